// Rebalancing: which results to move so that workers use about the same memory. Pure policy; the algorithm and its
// numbers are Dask's Scheduler._rebalance_find_msgs.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/state/state.h"

namespace dask::scheduler {

// distributed.worker.memory.rebalance.*; fractions of a worker's memory limit.
struct RebalanceSettings {
  std::string measure = "optimistic";  // one of MemoryState's
  double sender_min = 0.30;            // who uses less sends nothing
  double recipient_max = 0.60;         // who uses more receives nothing
  double half_gap = 0.05;              // around the mean, where a worker neither sends nor receives
};

struct Move {
  std::uint32_t task;  // slot
  WorkerId sender;
  WorkerId recipient;
};

struct Rebalance {
  std::vector<Move> moves;
  std::size_t senders = 0;  // workers that could send, and receive
  std::size_t recipients = 0;
};

// Among `workers`; only the tasks in `allowed`, when it is given. O(workers + tasks considered × log workers).
Rebalance propose_rebalance(const State& state, const std::vector<WorkerId>& workers, const std::optional<std::set<std::uint32_t>>& allowed,
                            const RebalanceSettings& settings);

}  // namespace dask::scheduler
