// Scaling down: which workers may go without loss. Pure policy; behaviour follows Dask's Scheduler.workers_to_close.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/state/state.h"

namespace dask::scheduler {

struct ClosingRequest {
  std::optional<double> memory_ratio;   // keep this many times the bytes in use; 2 when neither this nor a number is given
  std::optional<std::int64_t> n;        // how many to close
  std::optional<std::int64_t> target;   // how many to keep; `n` wins
  std::optional<std::int64_t> minimum;  // never fewer than these stay
  std::set<std::string> kept;           // addresses of workers that are not looked at
  // Workers with the same group go together or not at all; empty: each for itself.
  std::function<std::string(const Worker&)> group;
};

// Idle workers first, those that hold least first, of equals the last by address; none with long-running tasks.
std::vector<WorkerId> workers_to_close(const State& state, const ClosingRequest& request);

}  // namespace dask::scheduler
