// Sums over the state that several HTTP answers show.
// Thread ownership: the loop's thread.
#pragma once

#include <array>
#include <cstdint>

#include "scheduler/state/task.h"

namespace dask::scheduler {

class Server;
class State;

// Dask's adaptive_target() with the configured target duration.
std::int64_t desired_workers(Server& server);
// Tasks by state, forgotten ones too (which stay counted while their prefix lives). O(prefixes).
std::array<std::int64_t, kTaskStates> tasks_by_state(const State& state);

}  // namespace dask::scheduler
