// What dask.order prepares before it walks: the graph without shared data nodes, its reverse, and the numbers by which nodes
// are compared. Private to scheduler/graph. Pure.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "scheduler/graph/order.h"
#include "scheduler/graph/root_sets.h"

namespace dask::scheduler {

// Rows of node indices.
struct Rows {
  std::vector<std::uint32_t> begin;
  std::vector<std::uint32_t> items;
  std::span<const std::uint32_t> operator[](std::uint32_t i) const { return std::span(items).subspan(begin[i], begin[i + 1] - begin[i]); }
  std::uint32_t size(std::uint32_t i) const { return begin[i + 1] - begin[i]; }
};
Rows reversed(const Rows& rows);

struct PreparedGraph {
  explicit PreparedGraph(const OrderGraph& graph);

  std::uint32_t n = 0;
  std::size_t n_tasks = 0;
  Rows dependencies;  // without removed nodes
  Rows dependents;
  Rows data_needed;  // per node: removed data nodes, which get their rank just before it
  std::vector<bool> removed;
  std::vector<std::uint32_t> topological;  // removed nodes included
  std::vector<double> total_dependencies;  // tasks that must run for this one, counted per path as Dask does
  std::unique_ptr<RootSets> roots;

  bool is_root(std::uint32_t i) const { return dependencies.size(i) == 0 && !removed[i]; }
  bool is_leaf(std::uint32_t i) const { return dependents.size(i) == 0 && !removed[i]; }
  // Dask's sort_key(a) < sort_key(b): few dependencies, few roots, busy roots first.
  bool before(std::uint32_t a, std::uint32_t b) const {
    int numbers = compare_numbers(a, b);
    return numbers < 0 || (numbers == 0 && tie_before(a, b));
  }
  // The sort key without the key's own text: negative, 0 or positive.
  int compare_numbers(std::uint32_t a, std::uint32_t b) const;
  bool tie_before(std::uint32_t a, std::uint32_t b) const;

 private:
  std::span<const Key> keys_;
};

}  // namespace dask::scheduler
