// Reducing replicas: which extra copies of results to drop. A result keeps one copy, and one for each worker that is going to
// need it. Pure policy; behaviour follows Dask's active memory manager with its policy ReduceReplicas
// (distributed/active_memory_manager.py).
#pragma once

#include <string>
#include <vector>

#include "scheduler/state/state.h"

namespace dask::scheduler {

struct Drop {
  std::uint32_t task;  // slot
  WorkerId worker;
};

// From workers that are leaving or paused first, then from those that use most memory by `measure` (one of MemoryState's).
// Never the last copy, never from a worker where a task that needs it waits or runs, never an actor.
// O(replicated tasks × their dependents up to a limit).
std::vector<Drop> propose_drops(const State& state, const std::vector<TaskId>& replicated, const std::string& measure);

}  // namespace dask::scheduler
