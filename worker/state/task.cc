// The names of task states, as Dask spells them.
#include "worker/state/task.h"

#include <array>

namespace dask::worker {

std::string_view name_of(TaskState state) {
  static constexpr std::array<std::string_view, kTaskStates> kNames = {"released", "waiting",     "fetch",     "flight",       "missing",
                                                                       "ready",    "constrained", "executing", "long-running", "memory",
                                                                       "error",    "rescheduled", "cancelled", "resumed",      "forgotten"};
  return kNames[static_cast<std::size_t>(state)];
}

}  // namespace dask::worker
