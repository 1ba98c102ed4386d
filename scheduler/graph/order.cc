// The walk of dask.order: critical paths from outputs back to roots, and runnable paths forward to the next reducer.
// Names are those of dask/order.py, where every step is explained; sets are flags here, and paths share their beginnings.
#include "scheduler/graph/order.h"

#include <algorithm>
#include <deque>
#include <unordered_map>

#include "core/base/check.h"
#include "scheduler/graph/leaf_degrees.h"
#include "scheduler/graph/order_graph.h"

namespace dask::scheduler {
namespace {

constexpr std::uint32_t kNone = UINT32_MAX;

class Walk {
 public:
  explicit Walk(const OrderGraph& input)
      : graph_(input), rank_(graph_.n, kNone), num_needed_(graph_.n), runnable_hull_(graph_.n, false), degrees_(graph_) {
    for (std::uint32_t i = 0; i < graph_.n; ++i) num_needed_[i] = graph_.dependencies.size(i);
    expected_ = graph_.n;
  }

  std::vector<std::uint32_t> run() {
    while (done_ < expected_) {
      build_critical_path(degrees_.next_target(rank_));
      walk_critical_path();
      process_runnables();
    }
    rank_.resize(graph_.n_tasks);
    return std::move(rank_);
  }

 private:
  // A path to a reducer: its last node, and what came before. Paths that branched share what came before.
  struct PathNode {
    std::uint32_t task;
    std::uint32_t previous;
    std::uint32_t length;
  };
  struct Branch {
    int splits;
    std::uint32_t path;
  };

  bool done(std::uint32_t i) const { return rank_[i] != kNone; }

  std::uint32_t extend(std::uint32_t path, std::uint32_t task) {
    paths_.push_back({task, path, path == kNone ? 1 : paths_[path].length + 1});
    return static_cast<std::uint32_t>(paths_.size() - 1);
  }
  // First node first.
  std::vector<std::uint32_t> nodes_of(std::uint32_t path) const {
    std::vector<std::uint32_t> nodes(paths_[path].length);
    for (std::size_t i = nodes.size(); path != kNone; path = paths_[path].previous) nodes[--i] = paths_[path].task;
    return nodes;
  }

  // What goes on the critical path last is visited first: the largest sort key, and of equals the first.
  bool visited_after(std::uint32_t a, std::uint32_t b) const {
    int numbers = graph_.compare_numbers(a, b);
    return numbers < 0 || (numbers == 0 && graph_.tie_before(b, a));
  }

  void build_critical_path(std::uint32_t target) {
    critical_path_.push_back(target);
    std::uint32_t item = target;
    next_deps_.assign(graph_.dependencies[target].begin(), graph_.dependencies[target].end());
    while (!next_deps_.empty()) {
      item = *std::max_element(next_deps_.begin(), next_deps_.end(), [this](auto a, auto b) { return visited_after(a, b); });
      critical_path_.push_back(item);
      next_deps_.clear();
      for (std::uint32_t dep : graph_.dependencies[item]) {
        if (!done(dep)) next_deps_.push_back(dep);
      }
      critical_path_.insert(critical_path_.end(), next_deps_.begin(), next_deps_.end());
    }
  }

  void walk_critical_path() {
    bool walked_back = false;
    while (!critical_path_.empty()) {
      std::uint32_t item = critical_path_.back();
      if (done(item)) {
        critical_path_.pop_back();
      } else if (num_needed_[item] != 0) {
        walked_back = walk_back(item) || walked_back;
      } else {
        critical_path_.pop_back();
        if (walked_back && runnable_.size() < critical_path_.size()) process_runnables();
        add_to_result(item);
      }
    }
  }

  // Puts what `item` misses on the critical path. True when that is more than one unknown node.
  bool walk_back(std::uint32_t item) {
    next_deps_.clear();
    for (std::uint32_t dep : graph_.dependencies[item]) {
      if (!done(dep)) next_deps_.push_back(dep);
    }
    std::sort(next_deps_.begin(), next_deps_.end(), [this](auto a, auto b) { return visited_after(a, b); });
    std::size_t unknown = 0;
    for (std::uint32_t dep : next_deps_) {
      if (known_runnable_paths_.contains(dep)) continue;
      ++unknown;
      critical_path_.push_back(dep);
    }
    for (std::uint32_t dep : next_deps_) {
      auto known = known_runnable_paths_.find(dep);
      if (known == known_runnable_paths_.end()) continue;
      std::vector<std::uint32_t> paths = std::move(known->second);
      known_runnable_paths_.erase(known);
      for (std::uint32_t path : paths) {
        for (; path != kNone; path = paths_[path].previous) critical_path_.push_back(paths_[path].task);
      }
    }
    return unknown > 1;
  }

  void give_rank(std::uint32_t item) {
    rank_[item] = next_rank_;
    if (item < graph_.n_tasks) ++next_rank_;
    ++done_;
  }

  void add_to_result(std::uint32_t first) {
    adding_.push_back(first);
    while (!adding_.empty()) {
      std::uint32_t item = adding_.back();
      adding_.pop_back();
      runnable_hull_[item] = false;
      degrees_.unreach(item);
      if (done(item)) continue;
      for (std::uint32_t data : graph_.data_needed[item]) {
        if (!done(data)) give_rank(data);
      }
      give_rank(item);
      if (graph_.is_root(item)) degrees_.root_done(item);
      auto dependents = graph_.dependents[item];
      for (std::uint32_t dependent : dependents) {
        degrees_.reach(dependent);
        if (--num_needed_[dependent] == 0) (dependents.size() == 1 ? adding_ : runnable_).push_back(dependent);
      }
    }
  }

  void add_path(std::uint32_t path) {
    for (std::uint32_t task : nodes_of(path)) add_to_result(task);
  }

  // Follows every runnable node forward to the next reducer: runs the path when that frees something, else remembers it.
  void process_runnables() {
    std::vector<std::uint32_t> candidates;
    while (!runnable_.empty()) {
      candidates.clear();
      candidates.swap(runnable_);
      while (!candidates.empty()) {
        std::uint32_t key = candidates.back();
        candidates.pop_back();
        if (runnable_hull_[key] || done(key)) continue;
        if (graph_.is_leaf(key)) {
          add_to_result(key);
          continue;
        }
        branches_.push_back({0, extend(kNone, key)});
        while (!branches_.empty()) {
          Branch branch = branches_.front();
          branches_.pop_front();
          follow(branch);
        }
      }
    }
  }

  void follow(Branch branch) {
    while (true) {
      std::uint32_t path = branch.path;
      std::uint32_t current = paths_[path].task;
      runnable_hull_[current] = true;
      auto downstream = graph_.dependents[current];
      if (downstream.empty()) {
        if (num_needed_[current] <= 1) {
          add_path(path);
        } else {
          runnable_hull_[current] = false;
        }
        return;
      }
      if (paths_[path].length == 1 || graph_.dependencies.size(current) == 1) {
        if (downstream.size() == 1) {
          branch.path = extend(path, downstream[0]);
          continue;
        }
        split(branch, downstream);
        return;
      }
      auto known = known_runnable_paths_.find(current);
      if (known != known_runnable_paths_.end()) {
        known->second.push_back(path);
        runnable_hull_[current] = false;
        if (known->second.size() >= num_needed_[current]) join(branch.splits, current);
      } else if (num_needed_[current] <= 1) {
        add_path(path);
      } else {
        known_runnable_paths_[current] = {path};
        runnable_hull_[current] = false;
      }
      return;
    }
  }

  // Only nodes that depend on nothing else continue a path; the others would interleave.
  void split(Branch branch, std::span<const std::uint32_t> downstream) {
    std::vector<std::uint32_t> sorted(downstream.begin(), downstream.end());
    std::sort(sorted.begin(), sorted.end(), [this](auto a, auto b) { return graph_.before(a, b); });
    for (std::uint32_t next : sorted) {
      if (graph_.dependencies.size(next) == 1) branches_.push_back({branch.splits + 1, extend(branch.path, next)});
    }
  }

  // All that a reducer needs is runnable: run it, or when the paths came from nested splits, look further first.
  void join(int splits, std::uint32_t current) {
    std::deque<std::uint32_t> pruned;
    for (std::uint32_t path : known_runnable_paths_[current]) {
      std::uint32_t before_current = paths_[path].previous;
      if (before_current == kNone || !done(paths_[before_current].task)) pruned.push_back(path);
    }
    if (pruned.size() < num_needed_[current]) {
      known_runnable_paths_[current].assign(pruned.begin(), pruned.end());
      return;
    }
    known_runnable_paths_.erase(current);
    if (splits > 1) {
      std::uint32_t joined = kNone;
      for (std::uint32_t path : pruned) {
        for (std::uint32_t task : nodes_of(path)) joined = extend(joined, task);
      }
      branches_.push_back({splits - 1, joined});
      return;
    }
    // A path that waits for another one is tried again after it; a whole round without progress ends it.
    for (std::size_t idle = 0; !pruned.empty() && idle <= pruned.size();) {
      std::uint32_t path = pruned.front();
      pruned.pop_front();
      std::size_t done_before = done_;
      bool complete = true;
      for (std::uint32_t task : nodes_of(path)) {
        if (num_needed_[task] != 0) {
          complete = false;
          break;
        }
        add_to_result(task);
      }
      if (!complete) pruned.push_back(path);
      idle = complete || done_ != done_before ? 0 : idle + 1;
    }
  }

  PreparedGraph graph_;
  std::vector<std::uint32_t> rank_;
  std::vector<std::uint32_t> num_needed_;
  std::vector<bool> runnable_hull_;
  LeafDegrees degrees_;
  std::size_t expected_ = 0;
  std::size_t done_ = 0;
  std::uint32_t next_rank_ = 0;
  std::vector<std::uint32_t> critical_path_;
  std::vector<std::uint32_t> next_deps_;
  std::vector<std::uint32_t> adding_;
  std::vector<std::uint32_t> runnable_;
  std::deque<Branch> branches_;
  std::vector<PathNode> paths_;
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> known_runnable_paths_;
};

}  // namespace

std::vector<std::uint32_t> order_tasks(const OrderGraph& graph) {
  if (graph.n_nodes == 0) return {};
  return Walk(graph).run();
}

}  // namespace dask::scheduler
