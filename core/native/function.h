// NativeFunction: a C++ function under a stable name, callable with arguments as bytes. A function becomes one by being named as
// a template argument: registered<f>() is its NativeFunction, registered before main() (or when its library is loaded).
//
//   const NativeFunction& inc = registered<f>();
//   CallResult result = inc.call(args, dependencies);
//
// Arguments are one msgpack list with an element per parameter: a value, or the mark of a dependency (writer.h), also inside
// containers. A parameter `const T&` sees a dependency's value in place; `T` and `T&&` get a copy.
// Thread safety: immutable after its construction; call() runs on any thread, several at a time.
#pragma once

#include <concepts>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "core/native/failure.h"
#include "core/native/value.h"

namespace dask::native {

class NativeFunction {
 public:
  using Call = CallResult (*)(std::string_view args, std::span<const NativeValue> dependencies);
  struct Description {
    std::string name;                 // "flights::delay(int, std::string)->double": unique in a program, the same in every build
    std::string short_name;           // "delay": the prefix of keys
    std::string place;                // the source file that registers it
    std::string result_type;          // type_name of what it gives
    const void* address = nullptr;    // something in the same program or library: tells builds and duplicates apart
    bool only_in_this_build = false;  // a lambda: the build id becomes part of the name
  };

  // Registers itself for the life of the program: make it with static storage duration. Functions of any signature use
  // registered<f>(); making one by hand is for functions that read their arguments themselves.
  NativeFunction(Description description, Call run);
  NativeFunction(const NativeFunction&) = delete;
  NativeFunction& operator=(const NativeFunction&) = delete;

  const std::string& name() const { return description_.name; }
  const std::string& short_name() const { return description_.short_name; }
  const std::string& place() const { return description_.place; }
  const std::string& result_type() const { return description_.result_type; }
  const void* address() const { return description_.address; }

  // Never throws: what the function throws, and arguments that do not fit, are a CallFailure.
  CallResult call(std::string_view args, std::span<const NativeValue> dependencies) const noexcept;

  const NativeFunction* next_registered() const { return next_; }  // for FunctionTable

 private:
  Description description_;
  Call call_;
  const NativeFunction* next_ = nullptr;
};

// The function that was registered last; the others follow by next_registered().
const NativeFunction* last_registered();

// ---- from a C++ function to a NativeFunction ---------------------------------------------------------------------------------

// What is kept of a parameter or a result: no reference, no const; text that is only looked at becomes text that is owned.
template <class P>
using Stored = std::conditional_t<std::same_as<std::remove_cvref_t<P>, std::string_view>, std::string, std::remove_cvref_t<P>>;
template <class R>
using StoredResult = std::conditional_t<std::is_void_v<R>, None, std::remove_cvref_t<R>>;

template <class R, class... P>
struct Signature {
  using Result = StoredResult<R>;
  using Parameters = std::tuple<P...>;
  static constexpr std::size_t kParameters = sizeof...(P);
  static constexpr bool kKnown = true;
};
struct UnknownSignature {
  using Result = None;
  using Parameters = std::tuple<>;
  static constexpr std::size_t kParameters = 0;
  static constexpr bool kKnown = false;
};

namespace detail {
template <class F>
struct SignatureOf : UnknownSignature {};
template <class R, class... P>
struct SignatureOf<R (*)(P...)> : Signature<R, P...> {};
template <class R, class... P>
struct SignatureOf<R (*)(P...) noexcept> : Signature<R, P...> {};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...) const> : Signature<R, const C&, P...> {};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...) const noexcept> : Signature<R, const C&, P...> {};
template <class F>
struct CallOperator : UnknownSignature {};
template <class C, class R, class... P>
struct CallOperator<R (C::*)(P...) const> : Signature<R, P...> {};
template <class C, class R, class... P>
struct CallOperator<R (C::*)(P...) const noexcept> : Signature<R, P...> {};
template <class F>
requires requires { &F::operator(); }
struct SignatureOf<F> : CallOperator<decltype(&F::operator())> {};

template <auto F>
constexpr std::string_view written_name() {
  std::string_view text = __PRETTY_FUNCTION__;
  text.remove_prefix(text.find("F = ") + 4);
  return text.substr(0, text.find_last_of(']')).substr(0, text.find("; "));
}
std::string function_name(std::string_view written);     // "ns::inc"
std::string short_function_name(std::string_view name);  // "inc"

template <class P>
constexpr bool kPassable =
    !std::is_pointer_v<std::remove_cvref_t<P>> && !(std::is_lvalue_reference_v<P> && !std::is_const_v<std::remove_reference_t<P>>);

#define DASK_REQUIRE_PASSABLE(...)                                                                                        \
  static_assert(::dask::native::detail::kPassable<__VA_ARGS__>,                                                           \
                "dask: a task's parameter must be a value or a const reference: what a pointer or a reference points to " \
                "cannot travel, and a task must not change its input")

// One parameter while a call is prepared: it points into a dependency or owns what was decoded.
template <class T>
class Argument {
 public:
  bool read(Reader& reader) {
    if (std::uint32_t index = 0; reader.take_dependency(index)) {
      const NativeValue* value = reader.dependency(index);
      if (!value) return false;
      if ((seen_ = value->template get_if<T>())) return true;
      auto converted = value->template get_as<T>();
      if (!converted) return reader.fail(converted.error().message);
      own_.emplace(*std::move(converted));
      return true;
    }
    return Codec<T>::read(reader, own_.emplace());
  }
  template <class P>
  decltype(auto) pass() {
    if constexpr (std::is_lvalue_reference_v<P>)
      return static_cast<const T&>(seen_ ? *seen_ : *own_);
    else
      return seen_ ? T(*seen_) : T(std::move(*own_));
  }

 private:
  const T* seen_ = nullptr;
  std::optional<T> own_;
};

CallFailure wrong_argument(std::size_t index, const Reader& reader);
CallFailure wrong_arguments(std::size_t expected, const Reader& reader);

template <auto F, class R, class... P, std::size_t... I>
CallResult call_with(std::string_view args, std::span<const NativeValue> dependencies, std::tuple<P...>*, std::index_sequence<I...>) {
  Reader reader(args, {}, dependencies);
  std::size_t size = 0;
  if (!reader.array(size) || size != sizeof...(P)) return tl::unexpected(wrong_arguments(sizeof...(P), reader));
  std::tuple<Argument<Stored<P>>...> arguments;
  std::size_t read = 0;
  if (!((std::get<I>(arguments).read(reader) && ++read) && ...)) return tl::unexpected(wrong_argument(read, reader));
  if constexpr (std::same_as<R, None>) {
    std::invoke(F, std::get<I>(arguments).template pass<P>()...);
    return NativeValue::of(None{});
  } else {
    return NativeValue::of<R>(std::invoke(F, std::get<I>(arguments).template pass<P>()...));
  }
}

template <auto F>
CallResult call_function(std::string_view args, std::span<const NativeValue> dependencies) {
  using S = SignatureOf<std::remove_const_t<decltype(F)>>;
  return call_with<F, typename S::Result>(args, dependencies, static_cast<typename S::Parameters*>(nullptr),
                                          std::make_index_sequence<S::kParameters>());
}

template <class... P>
std::string parameter_names(std::tuple<P...>*) {
  return type_names<Stored<P>...>();
}
template <class... P>
constexpr bool all_sendable(std::tuple<P...>*) {
  return (Serializable<Stored<P>> && ...) && (kPassable<P> && ...);
}
// Says once and readably what is wrong with a signature.
template <class... P>
constexpr void require_parameters(std::tuple<P...>*) {
  (
      [] {
        DASK_REQUIRE_PASSABLE(P);
        if constexpr (kPassable<P>) DASK_REQUIRE_SERIALIZABLE(Stored<P>);
      }(),
      ...);
}

// `file` is the source file that is compiled: functions and lambdas with internal linkage are registered once per file.
template <auto F>
NativeFunction::Description describe(const char* file) {
  using Type = std::remove_const_t<decltype(F)>;
  using S = SignatureOf<Type>;
  NativeFunction::Description d;
  d.only_in_this_build = std::is_class_v<Type>;
  const std::string name = std::is_class_v<Type> ? demangled(typeid(Type)) : function_name(written_name<F>());
  d.short_name = short_function_name(name);
  d.result_type = type_name<typename S::Result>();
  d.name = name + "(" + parameter_names(static_cast<typename S::Parameters*>(nullptr)) + ")->" + d.result_type;
  d.place = file;
  d.address = reinterpret_cast<const void*>(&call_function<F>);
  return d;
}

template <auto F>
struct Registered {
  static const NativeFunction function;
};
template <auto F>
const NativeFunction Registered<F>::function(describe<F>(__BASE_FILE__), &call_function<F>);
}  // namespace detail

template <auto F>
using SignatureOf = detail::SignatureOf<std::remove_const_t<decltype(F)>>;
template <auto F>
using ParametersOf = typename SignatureOf<F>::Parameters;
template <auto F>
using ResultOf = typename SignatureOf<F>::Result;

// F can be a task; when it is not, require_task<F>() says why in one error.
template <auto F>
constexpr bool kIsTask = SignatureOf<F>::kKnown&& Serializable<ResultOf<F>> && !std::is_pointer_v<ResultOf<F>> &&
                         detail::all_sendable(static_cast<ParametersOf<F>*>(nullptr));

template <auto F>
constexpr void require_task() {
  static_assert(SignatureOf<F>::kKnown,
                "dask: only functions, const member functions and lambdas without captures and with named parameter types can be tasks");
  if constexpr (SignatureOf<F>::kKnown) {
    DASK_REQUIRE_SERIALIZABLE(ResultOf<F>);
    detail::require_parameters(static_cast<ParametersOf<F>*>(nullptr));
  }
}

// The NativeFunction of a function, member function or captureless lambda. Naming it anywhere in a program registers it at start.
template <auto F>
const NativeFunction& registered() {
  require_task<F>();
  if constexpr (kIsTask<F>)
    return detail::Registered<F>::function;
  else
    __builtin_unreachable();  // require_task has stopped the compiler
}

}  // namespace dask::native
