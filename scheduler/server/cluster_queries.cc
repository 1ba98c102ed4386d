#include "scheduler/server/cluster_queries.h"

#include <algorithm>

#include "scheduler/server/server.h"

namespace dask::scheduler {

std::int64_t desired_workers(Server& server) {
  constexpr double kTargetDuration_s = 5;  // distributed.adaptive.target-duration
  auto configured = server.config().get_seconds("distributed.adaptive.target-duration");
  const double target = configured && *configured ? **configured : kTargetDuration_s;
  return server.machine().adaptive_target(std::max(target, 1e-3));
}

std::array<std::int64_t, kTaskStates> tasks_by_state(const State& state) {
  std::array<std::int64_t, kTaskStates> counts{};
  for (const auto& [name, id] : state.prefixes())
    for (std::size_t i = 0; i < kTaskStates; ++i) counts[i] += state.prefix(id).states[i];
  return counts;
}

}  // namespace dask::scheduler
