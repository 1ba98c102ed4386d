// The whole state as a Value, as Dask's WorkerState._to_dict gives it: for dump_cluster_state and for people.
#include <fmt/format.h>

#include "worker/state/state.h"

namespace dask::worker {
namespace {

// Dask's repr of a task where another one mentions it.
std::string repr(const Task& ts) { return fmt::format("<TaskState {} {}>", ts.key.repr(), state_text(ts)); }

template <class Tasks>
Value keys_of(const Tasks& tasks) {
  Value::Array out;
  for (const Task* ts : tasks) out.push_back(ts->key.value());
  return out;
}

Value reprs_of(const TaskSet& tasks) {
  Value::Array out;
  for (const Task* ts : tasks) out.push_back(repr(*ts));
  return out;
}

// Only what says something, as Dask's TaskState._to_dict_no_nest.
Value dump_task(const Task& ts) {
  Value out = Value::map();
  const auto add = [&out](std::string_view name, Value value) {
    if (value.as_bool(true)) out.set(name, std::move(value));
  };
  add("key", ts.key.value());
  add("run_id", ts.run_id);
  if (const auto* native = std::get_if<NativeRunSpec>(&ts.run_spec)) add("run_spec", "native " + native->function);
  add("dependencies", reprs_of(ts.dependencies));
  add("dependents", reprs_of(ts.dependents));
  add("waiting_for_data", reprs_of(ts.waiting_for_data));
  add("waiters", reprs_of(ts.waiters));
  add("state", name_of(ts.state));
  if (ts.previous != TaskState::kReleased) add("previous", name_of(ts.previous));
  if (ts.next != TaskState::kReleased) add("next", name_of(ts.next));
  Value::Array priority, who_has, startstops;
  for (double number : ts.priority.numbers()) priority.push_back(number);
  for (const Peer* peer : ts.who_has) who_has.push_back(peer->address);
  for (const StartStop& activity : ts.startstops)
    startstops.push_back(Value::Map{{"action", activity.action}, {"start", activity.start}, {"stop", activity.stop}});
  add("priority", std::move(priority));
  add("who_has", std::move(who_has));
  if (ts.coming_from) add("coming_from", ts.coming_from->address);
  Value resources = Value::map();
  for (const auto& [name, needed] : ts.resource_restrictions) resources.set(name, needed);
  add("resource_restrictions", std::move(resources));
  if (ts.failure) {
    add("exception_text", ts.failure->exception_text);
    add("traceback_text", ts.failure->traceback_text);
  }
  add("type", ts.typename_);
  add("startstops", std::move(startstops));
  add("metadata", ts.metadata);
  if (ts.nbytes >= 0) add("nbytes", ts.nbytes);
  add("annotations", ts.annotations);
  add("span_id", ts.span_id);
  add("done", ts.done);
  return out;
}

}  // namespace

Value State::dump() const {
  Value out = Value::map();
  out.set("address", settings_.address);
  out.set("nthreads", settings_.nthreads);
  out.set("running", running_);
  out.set("ready", keys_of(ready_.sorted()));
  out.set("constrained", keys_of(constrained_.sorted()));
  Value::Map data, data_needed, has_what, in_flight_workers, task_dumps, task_counts;
  Value::Array busy_workers;
  for (const Task* ts : tasks()) {
    if (ts->state == TaskState::kMemory) data.emplace_back(ts->key.value(), Value());
    task_dumps.emplace_back(ts->key.value(), dump_task(*ts));
  }
  for (const auto& [address, peer] : peers_) {
    if (!peer->data_needed.empty()) data_needed.emplace_back(address, keys_of(peer->data_needed.sorted()));
    if (!peer->has_what.empty()) has_what.emplace_back(address, keys_of(peer->has_what));
    if (peer->busy) busy_workers.push_back(address);
    if (!peer->in_flight) continue;
    Value::Array asked;
    for (const Key& key : peer->in_flight_keys) asked.push_back(key.value());
    in_flight_workers.emplace_back(address, std::move(asked));
  }
  for (std::size_t state = 0; state < kTaskStates; ++state)
    if (counts_[state] != 0) task_counts.emplace_back(name_of(static_cast<TaskState>(state)), counts_[state]);
  out.set("data", std::move(data));
  out.set("data_needed", std::move(data_needed));
  out.set("executing", keys_of(executing_));
  out.set("has_what", std::move(has_what));
  out.set("long_running", keys_of(long_running_));
  out.set("in_flight_tasks", keys_of(in_flight_tasks_));
  out.set("in_flight_workers", std::move(in_flight_workers));
  out.set("missing_dep_flight", keys_of(missing_dep_flight_));
  out.set("busy_workers", std::move(busy_workers));
  out.set("log", Value::Array(log_.story({}, {})));
  out.set("transition_counter", transition_counter_);
  out.set("tasks", std::move(task_dumps));
  out.set("task_counts", std::move(task_counts));
  return out;
}

}  // namespace dask::worker
