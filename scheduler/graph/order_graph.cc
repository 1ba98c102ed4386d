// Data nodes that several tasks use are taken out before ordering: they are part of the tasks' specs, and with them every
// graph would look like one big component. Source: the first half of dask.order.order.
#include "scheduler/graph/order_graph.h"

#include <algorithm>
#include <limits>
#include <string_view>

namespace dask::scheduler {
namespace {

// A tuple's msgpack compares like its elements: text by bytes, numbers of any width by value (they are big-endian behind
// heads that grow with the width).
bool is_tuple(std::string_view msgpack) {
  if (msgpack.empty()) return false;
  auto head = static_cast<unsigned char>(msgpack[0]);
  return (head & 0xf0) == 0x90 || head == 0xdc || head == 0xdd;
}

Rows rows_of(const OrderGraph& graph) {
  Rows rows;
  rows.begin.assign(graph.dep_begin.begin(), graph.dep_begin.end());
  if (rows.begin.empty()) rows.begin.push_back(0);
  rows.begin.resize(graph.n_nodes + 1, rows.begin.back());
  rows.items.assign(graph.deps.begin(), graph.deps.end());
  return rows;
}

// Dependencies first; shorter than the graph when there is a cycle.
std::vector<std::uint32_t> topological_order(const Rows& dependencies, const Rows& dependents) {
  auto n = static_cast<std::uint32_t>(dependencies.begin.size() - 1);
  std::vector<std::uint32_t> needed(n);
  std::vector<std::uint32_t> order;
  order.reserve(n);
  for (std::uint32_t i = 0; i < n; ++i) {
    needed[i] = dependencies.size(i);
    if (needed[i] == 0) order.push_back(i);
  }
  for (std::size_t at = 0; at < order.size(); ++at) {
    for (std::uint32_t dependent : dependents[order[at]]) {
      if (--needed[dependent] == 0) order.push_back(dependent);
    }
  }
  return order;
}

}  // namespace

Rows reversed(const Rows& rows) {
  Rows result;
  std::size_t n = rows.begin.size() - 1;
  result.begin.assign(n + 1, 0);
  for (std::uint32_t item : rows.items) ++result.begin[item + 1];
  for (std::size_t i = 0; i < n; ++i) result.begin[i + 1] += result.begin[i];
  result.items.resize(rows.items.size());
  std::vector<std::uint32_t> at(result.begin.begin(), result.begin.end() - 1);
  for (std::uint32_t i = 0; i < n; ++i) {
    for (std::uint32_t item : rows[i]) result.items[at[item]++] = i;
  }
  return result;
}

PreparedGraph::PreparedGraph(const OrderGraph& graph)
    : n(static_cast<std::uint32_t>(graph.n_nodes)), n_tasks(graph.n_tasks), removed(graph.n_nodes, false), keys_(graph.keys) {
  Rows all = rows_of(graph);
  Rows all_dependents = reversed(all);
  for (std::uint32_t i = 0; i < n; ++i) {
    bool data = i >= n_tasks || (!graph.data.empty() && graph.data[i] != 0);
    removed[i] = data && all.size(i) == 0 && all_dependents.size(i) > 1;
  }
  dependencies.begin.push_back(0);
  data_needed.begin.push_back(0);
  dependencies.items.reserve(all.items.size());
  for (std::uint32_t i = 0; i < n; ++i) {
    for (std::uint32_t dep : all[i]) (removed[dep] ? data_needed : dependencies).items.push_back(dep);
    dependencies.begin.push_back(static_cast<std::uint32_t>(dependencies.items.size()));
    data_needed.begin.push_back(static_cast<std::uint32_t>(data_needed.items.size()));
  }
  dependents = reversed(dependencies);
  topological = topological_order(dependencies, dependents);
  total_dependencies.assign(n, 1);
  for (std::uint32_t i : topological) {
    for (std::uint32_t dep : dependencies[i]) total_dependencies[i] += total_dependencies[dep];
    total_dependencies[i] = std::min(total_dependencies[i], std::numeric_limits<double>::max());
  }
  roots = std::make_unique<RootSets>(topological, dependencies.begin, dependencies.items, dependents.begin);
}

int PreparedGraph::compare_numbers(std::uint32_t a, std::uint32_t b) const {
  if (total_dependencies[a] != total_dependencies[b]) return total_dependencies[a] < total_dependencies[b] ? -1 : 1;
  if (dependencies.size(a) != dependencies.size(b)) return dependencies.size(a) < dependencies.size(b) ? -1 : 1;
  if (roots->size(a) != roots->size(b)) return roots->size(a) < roots->size(b) ? -1 : 1;
  if (roots->max_dependents(a) != roots->max_dependents(b)) return roots->max_dependents(a) > roots->max_dependents(b) ? -1 : 1;
  return 0;
}

bool PreparedGraph::tie_before(std::uint32_t a, std::uint32_t b) const {
  if (!keys_.empty()) {
    std::string_view key_a = keys_[a].msgpack();
    std::string_view key_b = keys_[b].msgpack();
    bool tuple_a = is_tuple(key_a);
    bool tuple_b = is_tuple(key_b);
    if (tuple_a != tuple_b) return tuple_a;
    if (tuple_a && key_a != key_b) return key_a < key_b;
  }
  return a < b;
}

std::vector<std::uint32_t> topological_order(const OrderGraph& graph) {
  Rows dependencies = rows_of(graph);
  return topological_order(dependencies, reversed(dependencies));
}

std::vector<std::uint32_t> find_cycle(const OrderGraph& graph) {
  Rows dependencies = rows_of(graph);
  std::vector<std::uint32_t> order = topological_order(dependencies, reversed(dependencies));
  if (order.size() == graph.n_nodes) return {};
  std::vector<bool> free(graph.n_nodes, false);
  for (std::uint32_t i : order) free[i] = true;
  // Every node that is left depends on another one that is left: following them must close a cycle.
  std::uint32_t at = 0;
  while (free[at]) ++at;
  std::vector<std::uint32_t> place(graph.n_nodes, UINT32_MAX);
  std::vector<std::uint32_t> path;
  while (place[at] == UINT32_MAX) {
    place[at] = static_cast<std::uint32_t>(path.size());
    path.push_back(at);
    for (std::uint32_t dep : dependencies[at]) {
      if (!free[dep]) {
        at = dep;
        break;
      }
    }
  }
  return {path.begin() + place[at], path.end()};
}

std::size_t order_pressure(const OrderGraph& graph, std::span<const std::uint32_t> rank) {
  Rows dependencies = rows_of(graph);
  Rows dependents = reversed(dependencies);
  std::vector<std::uint32_t> by_rank(graph.n_tasks);
  for (std::uint32_t i = 0; i < graph.n_tasks; ++i) by_rank[rank[i]] = i;
  std::vector<std::uint32_t> needed(graph.n_nodes);
  for (std::uint32_t i = 0; i < graph.n_nodes; ++i) needed[i] = dependents.size(i);
  std::ptrdiff_t held = 0;
  std::ptrdiff_t most = 0;
  for (std::uint32_t i : by_rank) {
    most = std::max(most, held);
    for (std::uint32_t dep : dependencies[i]) {
      if (--needed[dep] == 0 && dep < graph.n_tasks) --held;
    }
    if (dependents.size(i) != 0) ++held;
  }
  return static_cast<std::size_t>(most);
}

}  // namespace dask::scheduler
