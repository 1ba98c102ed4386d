// delayed<f>(...): a call that happens later, possibly elsewhere. Calls that use calls make a graph; compute() runs it once.
//
//   int inc(int x) { return x + 1; }
//   int add(int x, int y) { return x + y; }
//   auto total = dask::delayed<add>(dask::delayed<inc>(1), dask::delayed<inc>(2));
//   int five = total.compute();                          // or .compute({.scheduler = "threads"})
#pragma once

#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "dask/arguments.h"
#include "dask/errors.h"
#include "dask/graph.h"

namespace dask {

namespace detail {
// The value as T; throws TaskError when it cannot be read as one.
template <class T>
T value_as(const native::NativeValue& value, const std::string& key) {
  if (const T* same = value.get_if<T>()) return *same;
  auto converted = value.get_as<T>();
  if (!converted) throw TaskError(key, "dask::TypeError", converted.error().message);
  return *std::move(converted);
}
}  // namespace detail

template <class T>
class Delayed {
 public:
  using Type = T;
  explicit Delayed(NodePtr node) : node_(std::move(node)) {}
  // A value that is here already, to be shared by several calls.
  static Delayed of(T value) { return Delayed(graph::value(native::NativeValue::of(std::move(value)))); }

  T compute(const ComputeOptions& options = {}) const {
    return detail::value_as<T>(graph::compute(std::span(&node_, 1), options).front(), node_->key);
  }
  Delayed persist(const ComputeOptions& options = {}) const { return Delayed(graph::persist(std::span(&node_, 1), options).front()); }
  std::string visualize(const std::string& filename = "mydask.svg", const graph::VisualizeOptions& options = {}) const {
    return graph::visualize(std::span(&node_, 1), filename, options);
  }
  const std::string& key() const { return node_->key; }
  // Delayed<int>('add-2b7e…')
  std::string repr() const { return "Delayed<" + native::type_name<T>() + ">('" + node_->key + "')"; }
  const NodePtr& node() const { return node_; }

 private:
  NodePtr node_;
};

// A lazy call of F.
template <auto F, class... A>
Delayed<native::ResultOf<F>> delayed(const A&... args) {
  return Delayed<native::ResultOf<F>>(detail::make_task<F>(args...));
}

// A lazy value.
template <class T>
Delayed<T> delayed(T value) {
  return Delayed<T>::of(std::move(value));
}

// Several at once: what they share is computed once.  auto [a, b] = dask::compute(x, y);
template <class... T>
std::tuple<T...> compute(const ComputeOptions& options, const Delayed<T>&... lazy) {
  const NodePtr nodes[] = {lazy.node()...};
  const std::vector<native::NativeValue> values = graph::compute(nodes, options);
  return [&]<std::size_t... I>(std::index_sequence<I...>) { return std::tuple<T...>(detail::value_as<T>(values[I], nodes[I]->key)...); }
  (std::index_sequence_for<T...>());
}
template <class... T>
std::tuple<T...> compute(const Delayed<T>&... lazy) {
  return compute(ComputeOptions{}, lazy...);
}
template <class T>
std::vector<T> compute(const std::vector<Delayed<T>>& lazy, const ComputeOptions& options = {}) {
  std::vector<NodePtr> nodes;
  for (const Delayed<T>& one : lazy) nodes.push_back(one.node());
  const std::vector<native::NativeValue> values = graph::compute(nodes, options);
  std::vector<T> results;
  results.reserve(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) results.push_back(detail::value_as<T>(values[i], lazy[i].key()));
  return results;
}

template <class... T>
std::tuple<Delayed<T>...> persist(const Delayed<T>&... lazy) {
  const NodePtr nodes[] = {lazy.node()...};
  const std::vector<NodePtr> kept = graph::persist(nodes);
  return [&]<std::size_t... I>(std::index_sequence<I...>) { return std::tuple<Delayed<T>...>(Delayed<T>(kept[I])...); }
  (std::index_sequence_for<T...>());
}

template <class... T>
std::string visualize(const std::string& filename, const Delayed<T>&... lazy) {
  const NodePtr nodes[] = {lazy.node()...};
  return graph::visualize(nodes, filename);
}

}  // namespace dask
