// Which roots (nodes without dependencies) lie under each node of a graph, and how many dependents the busiest of them has.
// Pure. Equal sets are stored once; where even that would cost too much, only upper bounds of the sizes are kept.
// Source: _connecting_to_roots of dask/order.py.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace dask::scheduler {

class RootSets {
 public:
  // Named limits: beyond them the sets are given up and `exact()` is false.
  static constexpr std::uint64_t kElementsMax = 24'000'000;
  static constexpr std::uint64_t kWorkMax = 60'000'000;

  // `topological`: all nodes, dependencies first; dependencies and dependents in compressed rows.
  RootSets(std::span<const std::uint32_t> topological, std::span<const std::uint32_t> dep_begin, std::span<const std::uint32_t> deps,
           std::span<const std::uint32_t> dependent_begin);

  bool exact() const { return exact_; }
  // Roots under the node; 0 for a root. An upper bound when not exact.
  std::uint32_t size(std::uint32_t node) const { return size_[node]; }
  std::uint32_t max_dependents(std::uint32_t node) const { return max_dependents_[node]; }
  // Names the set: nodes with the same roots have the same one. Only when exact, not for roots.
  std::uint32_t set(std::uint32_t node) const { return set_[node]; }
  std::size_t sets() const { return begin_.size() - 1; }
  std::span<const std::uint32_t> members(std::uint32_t set) const {
    return std::span(elements_).subspan(begin_[set], begin_[set + 1] - begin_[set]);
  }

 private:
  std::uint32_t unite(std::span<const std::uint32_t> sets);
  std::uint32_t add_set();

  bool exact_ = true;
  std::uint64_t work_ = 0;
  std::vector<std::uint32_t> size_;
  std::vector<std::uint32_t> max_dependents_;
  std::vector<std::uint32_t> set_;
  std::vector<std::uint64_t> begin_{0};
  std::vector<std::uint32_t> elements_;
  std::vector<std::uint32_t> stamp_;  // per node: the last union that saw it
  std::uint32_t epoch_ = 0;
  std::vector<std::uint32_t> union_;
  std::vector<std::pair<std::uint64_t, std::uint32_t>> by_hash_;  // open addressing: hash, set + 1
  std::size_t hashed_ = 0;
};

}  // namespace dask::scheduler
