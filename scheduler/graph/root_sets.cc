// Sets grow along the edges. A union writes each root once (stamps say which it has seen) and is found again by a hash that
// does not depend on the members' order.
#include "scheduler/graph/root_sets.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace dask::scheduler {
namespace {

std::uint64_t mixed(std::uint64_t x) {
  x += 0x9E3779B97F4A7C15ULL;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31);
}

}  // namespace

RootSets::RootSets(std::span<const std::uint32_t> topological, std::span<const std::uint32_t> dep_begin,
                   std::span<const std::uint32_t> deps, std::span<const std::uint32_t> dependent_begin) {
  const std::size_t n = topological.size();
  size_.assign(n, 0);
  max_dependents_.assign(n, 0);
  set_.assign(n, UINT32_MAX);
  stamp_.assign(n, 0);
  by_hash_.assign(1024, {0, 0});
  std::uint32_t roots = 0;
  std::vector<std::uint32_t> sets;
  for (std::uint32_t node : topological) {
    auto row = deps.subspan(dep_begin[node], dep_begin[node + 1] - dep_begin[node]);
    if (row.empty()) {
      ++roots;
      size_[node] = 1;
      max_dependents_[node] = dependent_begin[node + 1] - dependent_begin[node];
      if (exact_) {
        elements_.push_back(node);
        set_[node] = add_set();
      }
      continue;
    }
    std::uint64_t sum = 0;
    for (std::uint32_t dep : row) {
      max_dependents_[node] = std::max(max_dependents_[node], max_dependents_[dep]);
      sum += size_[dep];
    }
    if (exact_) {
      sets.clear();
      for (std::uint32_t dep : row) sets.push_back(set_[dep]);
      std::sort(sets.begin(), sets.end());
      sets.erase(std::unique(sets.begin(), sets.end()), sets.end());
      work_ += row.size();
      set_[node] = sets.size() == 1 ? sets[0] : unite(sets);
      size_[node] = static_cast<std::uint32_t>(begin_[set_[node] + 1] - begin_[set_[node]]);
      exact_ = work_ <= kWorkMax && elements_.size() <= kElementsMax;
    } else {
      size_[node] = static_cast<std::uint32_t>(std::min<std::uint64_t>(sum, std::numeric_limits<std::uint32_t>::max()));
    }
  }
  for (std::uint32_t node : topological) {
    size_[node] = dep_begin[node] == dep_begin[node + 1] ? 0 : std::min(size_[node], roots);
  }
}

std::uint32_t RootSets::add_set() {
  begin_.push_back(elements_.size());
  return static_cast<std::uint32_t>(begin_.size() - 2);
}

std::uint32_t RootSets::unite(std::span<const std::uint32_t> sets) {
  ++epoch_;
  union_.clear();
  std::uint64_t hash = 0;
  std::uint32_t largest = sets[0];
  for (std::uint32_t set : sets) {
    if (begin_[set + 1] - begin_[set] > begin_[largest + 1] - begin_[largest]) largest = set;
    for (std::uint32_t root : members(set)) {
      ++work_;
      if (stamp_[root] == epoch_) continue;
      stamp_[root] = epoch_;
      union_.push_back(root);
      hash += mixed(root);
    }
  }
  if (union_.size() == begin_[largest + 1] - begin_[largest]) return largest;

  if (2 * ++hashed_ > by_hash_.size()) {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> old(2 * by_hash_.size(), {0, 0});
    old.swap(by_hash_);
    for (const auto& entry : old) {
      if (entry.second == 0) continue;
      std::size_t slot = entry.first & (by_hash_.size() - 1);
      while (by_hash_[slot].second != 0) slot = (slot + 1) & (by_hash_.size() - 1);
      by_hash_[slot] = entry;
    }
  }
  std::size_t slot = hash & (by_hash_.size() - 1);
  for (; by_hash_[slot].second != 0; slot = (slot + 1) & (by_hash_.size() - 1)) {
    if (by_hash_[slot].first != hash) continue;
    std::uint32_t known = by_hash_[slot].second - 1;
    auto its = members(known);
    work_ += its.size();
    if (its.size() == union_.size() && std::all_of(its.begin(), its.end(), [&](std::uint32_t root) { return stamp_[root] == epoch_; })) {
      --hashed_;
      return known;
    }
  }
  elements_.insert(elements_.end(), union_.begin(), union_.end());
  std::uint32_t added = add_set();
  by_hash_[slot] = {hash, added + 1};
  return added;
}

}  // namespace dask::scheduler
