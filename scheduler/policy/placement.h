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

// The least busy worker with an open slot, for native tasks also with an open window; invalid when all are full.
// O(workers with open slots or windows).
WorkerId decide_worker_rootish_queuing_enabled(const State& state, const Task& ts);

// True when a queued task should stay queued although `ws` has an open slot: it takes long (kTailTask_s or more on average), at most
// one task per thread is queued, there are other workers, and all threads of `ws` are busy. Behind a running task it would start later than
// on the thread that is free first; sent ahead, the last tasks would pile up on the worker that reports first. Dask sends them ahead.
constexpr double kTailTask_s = 0.1;
bool waits_for_free_thread(const State& state, const Task& ts, const Worker& ws);

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
