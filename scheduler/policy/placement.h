// Placement: which worker runs a task that is ready. Pure policy over a const State; the machine carries it out.
// Behaviour follows Dask's decide_worker, decide_worker_rootish_* and is_rootish (distributed/scheduler.py).
#pragma once

#include <optional>
#include <vector>

#include "scheduler/state/state.h"

namespace dask::scheduler {

// True for tasks of a group much larger than the cluster with few dependencies: they are queued rather than assigned.
bool is_rootish(const State& state, const Task& ts);

// True for native tasks while some workers of the cluster take none.
bool needs_native_worker(const State& state, const Task& ts);

// Running workers that meet the task's restrictions; nullopt when it has none. Sorted by id.
std::optional<std::vector<WorkerId>> valid_workers(const State& state, const Task& ts);

// The least busy worker with an open slot; invalid when all are full. O(workers with open slots).
WorkerId decide_worker_rootish_queuing_enabled(const State& state);

// A worker for a root-ish task without queuing: siblings stay together. `left` says how many further siblings go there.
struct CoAssignment {
  WorkerId worker;
  std::int64_t tasks_left = 0;
};
CoAssignment decide_worker_rootish_queuing_disabled(const State& state, const Task& ts);

// The worker that can start the task soonest, given where its dependencies are; invalid when none may run it.
WorkerId decide_worker_non_rootish(const State& state, const Task& ts);

// Seconds to bring the dependencies that `ws` lacks.
double comm_cost(const State& state, const Task& ts, const Worker& ws);

}  // namespace dask::scheduler
