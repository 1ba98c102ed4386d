// Work stealing: moves tasks that have not started from busy workers to idle ones. Pure policy: proposes moves from a
// snapshot; the machine decides whether they still hold when the victim answers. Behaviour follows Dask's stealing.py; the
// cost of a move is transfer time over compute time, in powers of two, and cheap levels go first.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "scheduler/state/state.h"

namespace dask::scheduler {

// A task that `thief` should run instead of `victim`. Valid only until the next event is applied.
struct Steal {
  TaskId task;
  WorkerId victim;
  WorkerId thief;
  double victim_duration_s = 0;  // what leaves the victim, transfer included
  double thief_duration_s = 0;   // what comes to the thief
};

// Moves that were asked for and not answered yet, summed per worker.
struct StealsInFlight {
  std::map<WorkerId, double> occupancy_s;
  std::map<WorkerId, std::int64_t> tasks;
};

inline constexpr std::size_t kStealScanMax = 5'000;  // tasks of one victim that are looked at in one round

// Proposes moves, cheapest level first. `movable` says that a task is not in flight already.
//
// Invariants: (1) victim is processing the task; (2) thief satisfies the task's restrictions; (3) the thief is expected to
// finish it earlier than the victim's backlog would.
std::vector<Steal> propose_steals(const State& state, StealsInFlight in_flight, const std::function<bool(TaskId)>& movable);

}  // namespace dask::scheduler
