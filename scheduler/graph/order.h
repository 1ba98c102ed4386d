// The order in which a graph's tasks should run, decided before any of them runs: dask.order's role.
// Pure: indices in, ranks out. It follows dask/order.py (2026.8): walk a critical path towards one output after the other,
// go back for what is missing, and run what has become free when that releases memory. Where Dask breaks ties by the keys'
// text, we compare tuples by their elements and everything else by its place in the graph; of equals the first runs first.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/key.h"

namespace dask::scheduler {

// A graph in compressed rows: the dependencies of node i are deps[dep_begin[i] .. dep_begin[i + 1]), each at most once.
// Nodes from `n_tasks` on are keys that the graph does not define; they have no row, no dependencies and get no rank.
struct OrderGraph {
  std::size_t n_tasks = 0;
  std::size_t n_nodes = 0;
  std::span<const std::uint32_t> dep_begin;  // n_tasks + 1
  std::span<const std::uint32_t> deps;       // < n_nodes
  std::span<const std::uint8_t> data;        // per task: not 0 when it holds data and runs nothing (DataNode); or empty
  std::span<const Key> keys;                 // per node, to break ties; or empty
};

// All nodes, every one after its dependencies; fewer when there is a cycle.
std::vector<std::uint32_t> topological_order(const OrderGraph& graph);

// The tasks of one cycle, each depending on the next and the last on the first; empty when there is none.
std::vector<std::uint32_t> find_cycle(const OrderGraph& graph);

// Ranks 0 .. n_tasks - 1, every task after its dependencies. The graph must have no cycle. About n log n.
std::vector<std::uint32_t> order_tasks(const OrderGraph& graph);

// How many results are held at most when the tasks run one by one by `rank`: what a good order keeps low.
// Source: dask.order.diagnostics.
std::size_t order_pressure(const OrderGraph& graph, std::span<const std::uint32_t> rank);

}  // namespace dask::scheduler
