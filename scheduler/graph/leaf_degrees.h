// Which output (leaf) of a graph to work towards next: the one that needs the fewest roots that have not run yet, and among
// those one that is within reach. Leaves over the same roots are one group, so that a root's end costs one step per group.
// Private to scheduler/graph. Pure. Source: get_target of dask/order.py.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "scheduler/graph/order_graph.h"

namespace dask::scheduler {

class LeafDegrees {
 public:
  // Named limit: with more pairs of a group and a root than this, the next leaf is taken by its place alone.
  static constexpr std::uint64_t kPairsMax = 4'000'000;

  explicit LeafDegrees(const PreparedGraph& graph);

  // The next leaf. `rank`: UINT32_MAX for what has not run. There must be such a leaf.
  std::uint32_t next_target(std::span<const std::uint32_t> rank);
  // A dependency of `node` has run.
  void reach(std::uint32_t node);
  // `node` has run itself.
  void unreach(std::uint32_t node);
  void root_done(std::uint32_t root);

 private:
  struct Group {
    std::uint32_t degree = 0;              // roots that have not run
    std::uint32_t first = UINT32_MAX;      // lowest place of its leaves
    std::uint32_t reachable = UINT32_MAX;  // lowest place of those within reach
  };
  struct Bucket {
    std::set<std::pair<std::uint32_t, std::uint32_t>> all;        // (first, group)
    std::set<std::pair<std::uint32_t, std::uint32_t>> reachable;  // (reachable, group)
  };
  bool longest_path_first(std::size_t roots) const;
  void make_groups();
  void insert(std::uint32_t group);
  void erase(std::uint32_t group);

  const PreparedGraph& graph_;
  std::vector<std::uint32_t> leaves_;    // by place: ascending sort key
  std::vector<std::uint32_t> place_;     // of each leaf; UINT32_MAX for other nodes
  std::vector<std::uint32_t> group_of_;  // of each leaf that is no root; else UINT32_MAX
  std::vector<Group> groups_;
  Rows groups_of_root_;
  std::map<std::uint32_t, Bucket> buckets_;  // by degree
  std::vector<bool> reachable_;
  std::size_t reachable_count_ = 0;
  std::vector<std::uint32_t> targets_;  // leaves in the order of the strategy
  std::size_t next_ = 0;
};

}  // namespace dask::scheduler
