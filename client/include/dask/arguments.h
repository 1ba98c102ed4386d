// From the arguments of delayed<f>(...) and client.submit<f>(...) to a node's bytes and dependencies. An argument is a value that converts
// to the parameter, a lazy value of its type (Delayed<T>, Future<T>), or a vector, array, pair, tuple, optional or map with such in it.
// What cannot be an argument is one readable error of the compiler.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "dask/graph.h"

namespace dask {

template <class T>
class Delayed;
template <class T>
class Future;

namespace detail {

// The type that a lazy value will have.
template <class A>
struct LazyValue {
  static constexpr bool kIs = false;
};
template <class T>
struct LazyValue<Delayed<T>> {
  static constexpr bool kIs = true;
  using Type = T;
};
template <class T>
struct LazyValue<Future<T>> {
  static constexpr bool kIs = true;
  using Type = T;
};

template <class A>
constexpr bool kHasLazy = LazyValue<A>::kIs;
template <class A, class X>
constexpr bool kHasLazy<std::vector<A, X>> = kHasLazy<A>;
template <class A, std::size_t N>
constexpr bool kHasLazy<std::array<A, N>> = kHasLazy<A>;
template <class A>
constexpr bool kHasLazy<std::optional<A>> = kHasLazy<A>;
template <class A, class B>
constexpr bool kHasLazy<std::pair<A, B>> = kHasLazy<A> || kHasLazy<B>;
template <class... A>
constexpr bool kHasLazy<std::tuple<A...>> = (kHasLazy<A> || ...);
template <class K, class V, class C, class X>
constexpr bool kHasLazy<std::map<K, V, C, X>> = kHasLazy<V>;
template <class K, class V, class H, class E, class X>
constexpr bool kHasLazy<std::unordered_map<K, V, H, E, X>> = kHasLazy<V>;

template <class From, class To>
constexpr bool kLazyFits = std::is_same_v<From, To> || (std::is_arithmetic_v<From> && std::is_arithmetic_v<To>);

class Arguments {
 public:
  explicit Arguments(std::size_t count) { writer_.array(count); }

  // Parameter type S, argument type A.
  template <class S, class A>
  void add(const A& argument) {
    if constexpr (LazyValue<A>::kIs) {
      using From = typename LazyValue<A>::Type;
      static_assert(kLazyFits<From, S>, "dask: the lazy argument has another type than the function's parameter");
      depend_on(argument.node());
    } else if constexpr (kHasLazy<A>) {
      add_container(static_cast<const S*>(nullptr), argument);
    } else {
      static_assert(std::is_convertible_v<const A&, S>, "dask: an argument does not convert to the function's parameter");
      if constexpr (std::is_same_v<A, S>)
        native::write<S>(writer_, argument);
      else if constexpr (std::is_convertible_v<const A&, S>)
        native::write<S>(writer_, static_cast<S>(argument));
    }
  }

  NodePtr task(const native::NativeFunction& function) {
    if (!writer_.error().empty()) throw std::invalid_argument(function.short_name() + ": " + writer_.error());
    return graph::task(function, std::move(writer_.out()), std::move(dependencies_));
  }

 private:
  void depend_on(const NodePtr& node);

  template <class S, class X, class A, class Y>
  void add_container(const std::vector<S, X>*, const std::vector<A, Y>& from) {
    writer_.array(from.size());
    for (const A& element : from) add<S>(element);
  }
  template <class S, class X, class A, std::size_t N>
  void add_container(const std::vector<S, X>*, const std::array<A, N>& from) {
    writer_.array(N);
    for (const A& element : from) add<S>(element);
  }
  template <class S, class A, std::size_t N>
  void add_container(const std::array<S, N>*, const std::array<A, N>& from) {
    writer_.array(N);
    for (const A& element : from) add<S>(element);
  }
  template <class S, class A>
  void add_container(const std::optional<S>*, const std::optional<A>& from) {
    if (from)
      add<S>(*from);
    else
      writer_.nil();
  }
  template <class S1, class S2, class A, class B>
  void add_container(const std::pair<S1, S2>*, const std::pair<A, B>& from) {
    writer_.array(2);
    add<S1>(from.first);
    add<S2>(from.second);
  }
  template <class... S, class... A>
  void add_container(const std::tuple<S...>*, const std::tuple<A...>& from) {
    static_assert(sizeof...(S) == sizeof...(A), "dask: a tuple argument has another length than the function's parameter");
    writer_.array(sizeof...(A));
    std::apply([this](const auto&... element) { (add<S>(element), ...); }, from);
  }
  template <class Map>
  static constexpr bool kIsMap = requires {
    typename Map::mapped_type;
  };
  template <class S, class A>
  requires(kIsMap<S>&& kIsMap<A>) void add_container(const S*, const A& from) {
    writer_.map(from.size());
    for (const auto& [key, value] : from) {
      native::write<typename S::key_type>(writer_, key);
      add<typename S::mapped_type>(value);
    }
  }
  template <class S, class A>
  requires(!kIsMap<S> || !kIsMap<A>) void add_container(const S*, const A&) {
    static_assert(std::is_void_v<A>, "dask: a container of lazy values does not fit the function's parameter");
  }

  native::Writer writer_;
  std::vector<NodePtr> dependencies_;
  std::unordered_map<const Node*, std::uint32_t> positions_;  // of dependencies, once they are many
};

template <auto F, class... A, std::size_t... I>
NodePtr make_task(std::index_sequence<I...>, const A&... args) {
  Arguments arguments(sizeof...(A));
  using Parameters = native::ParametersOf<F>;
  (arguments.add<native::Stored<std::tuple_element_t<I, Parameters>>>(args), ...);
  return arguments.task(native::registered<F>());
}

template <auto F, class... A>
NodePtr make_task(const A&... args) {
  native::require_task<F>();
  if constexpr (native::kIsTask<F>) {
    static_assert(sizeof...(A) == native::SignatureOf<F>::kParameters,
                  "dask: the number of arguments is not that of the function's parameters");
    if constexpr (sizeof...(A) == native::SignatureOf<F>::kParameters) return make_task<F>(std::index_sequence_for<A...>(), args...);
  }
  return nullptr;
}

}  // namespace detail
}  // namespace dask
