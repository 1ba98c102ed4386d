// Buckets by degree hold their groups by the place of the best leaf, so that the next target is two lookups.
#include "scheduler/graph/leaf_degrees.h"

#include <algorithm>
#include <cmath>

#include "core/base/check.h"

namespace dask::scheduler {

LeafDegrees::LeafDegrees(const PreparedGraph& graph)
    : graph_(graph), place_(graph.n, UINT32_MAX), group_of_(graph.n, UINT32_MAX), reachable_(graph.n, false) {
  std::size_t roots = 0;
  for (std::uint32_t i = 0; i < graph.n; ++i) {
    roots += graph.is_root(i);
    if (graph.is_leaf(i)) leaves_.push_back(i);
  }
  std::sort(leaves_.begin(), leaves_.end(), [&](auto a, auto b) { return graph.before(a, b); });
  for (std::uint32_t place = 0; place < leaves_.size(); ++place) place_[leaves_[place]] = place;
  make_groups();
  targets_ = leaves_;
  if (longest_path_first(roots)) {
    // Of equals the first comes first, here too (Dask takes the last).
    std::sort(targets_.begin(), targets_.end(), [&](auto a, auto b) {
      int numbers = graph.compare_numbers(a, b);
      return numbers > 0 || (numbers == 0 && place_[a] < place_[b]);
    });
  }
}

void LeafDegrees::make_groups() {
  const RootSets& sets = *graph_.roots;
  if (!sets.exact()) return;
  std::vector<std::uint32_t> group_of_set(sets.sets(), UINT32_MAX);
  std::vector<std::uint32_t> set_of_group;
  std::uint64_t pairs = 0;
  for (std::uint32_t leaf : leaves_) {
    if (graph_.is_root(leaf)) continue;
    std::uint32_t& group = group_of_set[sets.set(leaf)];
    if (group == UINT32_MAX) {
      group = static_cast<std::uint32_t>(set_of_group.size());
      set_of_group.push_back(sets.set(leaf));
      pairs += sets.size(leaf);
      if (pairs > kPairsMax) {
        std::fill(group_of_.begin(), group_of_.end(), UINT32_MAX);
        return;
      }
    }
    group_of_[leaf] = group;
  }
  groups_.resize(set_of_group.size());
  for (std::size_t place = leaves_.size(); place-- > 0;) {
    std::uint32_t group = group_of_[leaves_[place]];
    if (group != UINT32_MAX) groups_[group].first = static_cast<std::uint32_t>(place);
  }
  groups_of_root_.begin.assign(graph_.n + 1, 0);
  groups_of_root_.items.resize(pairs);
  for (std::uint32_t set : set_of_group) {
    for (std::uint32_t root : sets.members(set)) ++groups_of_root_.begin[root + 1];
  }
  for (std::uint32_t i = 0; i < graph_.n; ++i) groups_of_root_.begin[i + 1] += groups_of_root_.begin[i];
  std::vector<std::uint32_t> at(groups_of_root_.begin.begin(), groups_of_root_.begin.end() - 1);
  for (std::uint32_t group = 0; group < groups_.size(); ++group) {
    auto members = sets.members(set_of_group[group]);
    for (std::uint32_t root : members) groups_of_root_.items[at[root]++] = group;
    groups_[group].degree = static_cast<std::uint32_t>(members.size());
    insert(group);
  }
}

// Heavy reducers and splitters gain from the longest chain of tasks; graphs that stay about as wide as they start only when
// they are symmetric. Source: use_longest_path.
bool LeafDegrees::longest_path_first(std::size_t roots) const {
  double difference = std::abs(static_cast<double>(roots) - static_cast<double>(leaves_.size()));
  if (difference / static_cast<double>(roots) >= 0.8) return true;
  if (groups_.empty()) return false;
  std::vector<std::size_t> leaves_in_group(groups_.size(), 0);
  for (std::uint32_t leaf : leaves_) {
    if (group_of_[leaf] != UINT32_MAX) ++leaves_in_group[group_of_[leaf]];
  }
  std::size_t size = 0;
  for (std::uint32_t i = 0; i < graph_.n; ++i) {
    if (!graph_.is_root(i)) continue;
    std::size_t leaves = 0;
    for (std::uint32_t group : groups_of_root_[i]) leaves += leaves_in_group[group];
    if (size == 0) {
      size = leaves;
    } else if (size != leaves) {
      return false;
    }
  }
  return true;
}

std::uint32_t LeafDegrees::next_target(std::span<const std::uint32_t> rank) {
  if (reachable_count_ != 0 && !buckets_.empty()) {
    const Bucket& nearest = buckets_.begin()->second;
    return leaves_[nearest.reachable.empty() ? nearest.all.begin()->first : nearest.reachable.begin()->first];
  }
  while (true) {
    DASK_CHECK(next_ < targets_.size(), "no leaf is left although nodes are");
    std::uint32_t leaf = targets_[next_++];
    if (rank[leaf] == UINT32_MAX) return leaf;
  }
}

void LeafDegrees::reach(std::uint32_t node) {
  if (reachable_[node]) return;
  reachable_[node] = true;
  ++reachable_count_;
  std::uint32_t group = group_of_[node];
  if (group == UINT32_MAX || groups_[group].degree == 0 || place_[node] >= groups_[group].reachable) return;
  Bucket& bucket = buckets_[groups_[group].degree];
  if (groups_[group].reachable != UINT32_MAX) bucket.reachable.erase({groups_[group].reachable, group});
  groups_[group].reachable = place_[node];
  bucket.reachable.insert({place_[node], group});
}

void LeafDegrees::unreach(std::uint32_t node) {
  if (!reachable_[node]) return;
  reachable_[node] = false;
  --reachable_count_;
}

void LeafDegrees::root_done(std::uint32_t root) {
  if (groups_.empty()) return;
  for (std::uint32_t group : groups_of_root_[root]) {
    erase(group);
    if (--groups_[group].degree != 0) insert(group);
  }
}

void LeafDegrees::insert(std::uint32_t group) {
  Bucket& bucket = buckets_[groups_[group].degree];
  bucket.all.insert({groups_[group].first, group});
  if (groups_[group].reachable != UINT32_MAX) bucket.reachable.insert({groups_[group].reachable, group});
}

void LeafDegrees::erase(std::uint32_t group) {
  auto bucket = buckets_.find(groups_[group].degree);
  bucket->second.all.erase({groups_[group].first, group});
  if (groups_[group].reachable != UINT32_MAX) bucket->second.reachable.erase({groups_[group].reachable, group});
  if (bucket->second.all.empty()) buckets_.erase(bucket);
}

}  // namespace dask::scheduler
