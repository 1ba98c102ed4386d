// The names of task states, as Dask spells and shows them.
#include "worker/state/task.h"

#include <array>

namespace dask::worker {

std::string_view name_of(TaskState state) {
  static constexpr std::array<std::string_view, kTaskStates> kNames = {"released", "waiting",     "fetch",     "flight",       "missing",
                                                                       "ready",    "constrained", "executing", "long-running", "memory",
                                                                       "error",    "rescheduled", "cancelled", "resumed",      "forgotten"};
  return kNames[static_cast<std::size_t>(state)];
}

std::string state_text(const Task& ts) {
  std::string text(name_of(ts.state));
  if (ts.state == TaskState::kCancelled) return text + "(" + std::string(name_of(ts.previous)) + ")";
  if (ts.state == TaskState::kResumed) return text + "(" + std::string(name_of(ts.previous)) + "->" + std::string(name_of(ts.next)) + ")";
  return text;
}

}  // namespace dask::worker
