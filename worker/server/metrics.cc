// What the heartbeat tells the scheduler. Source: distributed/worker.py (get_metrics).
#include "worker/server/worker.h"

namespace dask::worker {
namespace {

// Dask's states of tasks at a worker, in the names of task_counts.
constexpr TaskState kCounted[] = {TaskState::kReleased, TaskState::kWaiting,     TaskState::kFetch,       TaskState::kFlight,
                                  TaskState::kMissing,  TaskState::kReady,       TaskState::kConstrained, TaskState::kExecuting,
                                  TaskState::kMemory,   TaskState::kLongRunning, TaskState::kError,       TaskState::kCancelled,
                                  TaskState::kResumed};

}  // namespace

Value Worker::metrics() {
  Value counts = Value::map();
  for (const TaskState state : kCounted)
    if (const std::size_t n = machine_.count(state); n > 0) counts.set(name_of(state), n);
  Value::Map workers;
  for (const auto& [peer, sum] : bandwidth_workers_) workers.emplace_back(peer, Value(Value::Array{sum.first, sum.second}));
  Value metrics(
      Value::Map{{"task_counts", std::move(counts)},
                 {"bandwidth", Value(Value::Map{{"total", bandwidth_}, {"workers", Value(std::move(workers))}, {"types", Value::map()}})},
                 {"digests_total_since_heartbeat", Value::map()},
                 {"managed_bytes", machine_.nbytes()},
                 {"spilled_bytes", Value(Value::Map{{"memory", store_->spilled_memory()}, {"disk", store_->spilled_disk()}})},
                 {"transfer", Value(Value::Map{{"incoming_bytes", machine_.transfer_incoming_bytes()},
                                               {"incoming_count", machine_.transfer_incoming_count()},
                                               {"incoming_count_total", machine_.transfer_incoming_count_total()},
                                               {"outgoing_bytes", outgoing_->bytes()},
                                               {"outgoing_count", outgoing_->count()},
                                               {"outgoing_count_total", outgoing_->count_total()}})},
                 {"event_loop_interval", 0.02}});
  // "host_net_io.read_bps" becomes {"host_net_io": {"read_bps": …}}.
  const Value recent = monitor_.recent();
  Value groups = Value::map();
  for (const auto& [name, value] : *recent.map_if()) {
    const std::string text(name.as_string());
    const std::size_t dot = text.find('.');
    if (dot == std::string::npos) {
      metrics.set(text, value);
      continue;
    }
    Value group = groups[text.substr(0, dot)];
    group.set(text.substr(dot + 1), value);
    groups.set(text.substr(0, dot), std::move(group));
  }
  for (const auto& [name, group] : *groups.map_if()) metrics.set(name.as_string(), group);
  return metrics;
}

}  // namespace dask::worker
