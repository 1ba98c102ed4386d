// What the scheduler asks for: computing, replicas, releases, steals. Dask's WorkerState._handle_*.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "worker/state/machine.h"

namespace dask::worker {

// ---- pause, threads, resources ----

void Machine::on(Pause&) { running_ = false; }

void Machine::on(Unpause&) {
  running_ = true;
  ensure_computing();
}

void Machine::on(SetNthreads& e) {
  settings_.nthreads = e.nthreads;
  ensure_computing();
}

void Machine::on(SetResources& e) {
  for (const auto& [name, quantity] : e.resources) {
    if (!std::isfinite(quantity)) {
      warn(fmt::format("Resource {} cannot be {}; ignored", name, quantity));
      continue;
    }
    available_resources_[name] += quantity - total_resources_[name];
    total_resources_[name] = quantity;
  }
  ensure_computing();
}

// ---- computing ----

Task& Machine::ensure_task_exists(const Key& key, const Priority& priority) {
  Task& ts = find_or_new_task(key);
  if (ts.priority.empty()) ts.priority = priority;
  log_.note(ts.key, "ensure-task-exists", ts.state, *stimulus_id_, now_);
  return ts;
}

void Machine::on(ComputeTask& e) { compute(e); }

void Machine::on(ComputeTasks& e) {
  for (ComputeTask& task : e.tasks) {
    compute(task);
    run_recommendations();
  }
}

void Machine::compute(ComputeTask& e) {
  Task& ts = find_or_new_task(e.key);
  log_.note(ts.key, "compute-task", ts.state, *stimulus_id_, now_);
  ts.run_id = e.run_id;
  switch (ts.state) {
    case TaskState::kReady:
    case TaskState::kConstrained:
    case TaskState::kExecuting:
    case TaskState::kLongRunning:
    case TaskState::kWaiting: return;
    case TaskState::kMemory:
      // The answer must be in the form that the question has: by the handle of this very run.
      ts.run_spec = std::move(e.run_spec);
      return send_finished(ts, e.run_id);
    default: break;
  }

  ts.run_spec = std::move(e.run_spec);
  ts.priority = e.priority;
  ts.priority.append(generation_--);
  ts.actor = e.actor;
  ts.failure = nullptr;
  ts.annotations = std::move(e.annotations);
  ts.span_id = std::move(e.span_id);
  // Sent again while it runs: it holds what it was started with, and gives that back in the end.
  if (!ts.is_running()) {
    ts.resource_restrictions = std::move(e.resource_restrictions);
    for (auto& [name, needed] : ts.resource_restrictions)
      if (!std::isfinite(needed) || needed < 0) needed = 0;
  }
  recommend(ts, TaskState::kWaiting);

  SmallVector<Task*, 8> dependencies;
  for (const Dependency& entry : e.dependencies) {
    Task& dependency = ensure_task_exists(entry.key, ts.priority);
    dependencies.push_back(&dependency);
    if (&dependency == &ts) {
      warn(fmt::format("Task {} is said to depend on itself; ignored", ts.key.repr()));
      continue;
    }
    if (dependency.state != TaskState::kMemory) dependency.nbytes = entry.nbytes;
    ts.dependencies.insert(&dependency);
    dependency.dependents.insert(&ts);
  }
  for (std::size_t i = 0; i < dependencies.size(); ++i) update_who_has(*dependencies[i], e.dependencies[i].who_has);
}

void Machine::on(CancelCompute& e) {
  Task* ts = find_task(e.key);
  if (!ts || (ts->state != TaskState::kReady && ts->state != TaskState::kConstrained && ts->state != TaskState::kWaiting)) return;
  note(*ts, "cancel-compute");
  if (!ts->dependents.empty()) return warn(fmt::format("Task {} has dependents here; its cancellation is ignored", e.key.repr()));
  recommend(*ts, TaskState::kReleased);
}

void Machine::on(StealRequest& e) {
  Task* ts = find_task(e.key);
  instruct(StealResponseMsg{e.key, ts ? std::string(name_of(ts->state)) : std::string(), *stimulus_id_});
  if (ts && (ts->state == TaskState::kReady || ts->state == TaskState::kConstrained || ts->state == TaskState::kWaiting))
    recommend(*ts, TaskState::kReleased);
}

// ---- replicas and releases ----

void Machine::on(FreeKeys& e) {
  log_.note("free-keys", {}, e.keys, *stimulus_id_, now_);
  for (const Key& key : e.keys)
    if (Task* ts = find_task(key)) recommend(*ts, TaskState::kReleased);
}

void Machine::on(RemoveReplicas& e) {
  for (const Key& key : e.keys) {
    Task* ts = find_task(key);
    if (!ts || ts->state != TaskState::kMemory) continue;
    // Dask's worker fails hard here. The scheduler has already struck us off as a holder, so say that we still are one.
    const auto user = std::find_if(ts->dependents.begin(), ts->dependents.end(), [](const Task* dependent) {
      return dependent->state == TaskState::kExecuting || dependent->state == TaskState::kLongRunning;
    });
    if (user != ts->dependents.end()) {
      warn(fmt::format("Cannot remove replica of {} while {} is {}; it stays", key.repr(), (*user)->key.repr(), name_of((*user)->state)));
      instruct(AddKeysMsg{{ts->key}, *stimulus_id_});
      continue;
    }
    note(*ts, "remove-replica");
    recommend(*ts, TaskState::kReleased);
  }
}

void Machine::on(AcquireReplicas& e) {
  for (const Dependency& replica : e.replicas) {
    // After the inputs of computations with default or higher user priority, before those with a lower one.
    Task& ts = ensure_task_exists(replica.key, Priority{1});
    if (ts.state == TaskState::kMemory) continue;
    ts.nbytes = replica.nbytes;
    recommend(ts, TaskState::kFetch);
  }
  for (const Dependency& replica : e.replicas) update_who_has(replica.key, replica.who_has);
}

void Machine::on(UpdateData& e) {
  for (const StoredValue& value : e.data) {
    Task& ts = find_or_new_task(value.key);
    log_.note(value.key, "receive-from-scatter", ts.state, *stimulus_id_, now_);
    if (ts.is_running()) {
      instruct(DropData{value.key});
      instruct(RefuseData{value.key,
                          fmt::format("Cannot store {}: a task of this name runs on worker {}", value.key.repr(), settings_.address)});
      continue;
    }
    Cause cause;
    cause.value = &value;
    cause.run_id = ts.run_id;
    if (ts.coming_from) {
      // It is on its way from a peer as well. That transfer goes on, and finds out at its end that nobody waits for it.
      in_flight_tasks_.erase(&ts);
      ts.coming_from = nullptr;
      ts.done = true;
      ts.holds_data = true;
      if (ts.state == TaskState::kCancelled) {
        ts.previous = TaskState::kReleased;
        ts.done = false;
        set_state(ts, TaskState::kReleased);
      }
    }
    recommend(ts, TaskState::kMemory, std::move(cause));
  }
}

// ---- ours ----

void Machine::on(DataLost& e) {
  for (const Key& key : e.keys) {
    Task* ts = find_task(key);
    if (!ts || ts->state != TaskState::kMemory) continue;
    note(*ts, "data-lost");
    ts->holds_data = false;
    recommend(*ts, TaskState::kReleased);
  }
}

void Machine::on(DataResized& e) {
  Task* ts = find_task(e.key);
  if (!ts || ts->state != TaskState::kMemory || e.nbytes < 0) return;
  nbytes_ += e.nbytes - ts->nbytes;
  ts->nbytes = e.nbytes;
}

// ---- the end of an execution ----

Task* Machine::execute_done(const Key& key, const char* event) {
  Task* ts = find_task(key);
  if (!ts || (executing_.count(ts) == 0 && long_running_.count(ts) == 0) || !ts->is_running()) {
    warn(fmt::format("{} for {}, which does not run here; ignored", event, key.repr()));
    return nullptr;
  }
  ts->done = true;
  ++executed_count_;
  release_resources(*ts);
  leave_executing(*ts);
  long_running_.erase(ts);
  ensure_computing();
  return ts;
}

void Machine::on(ExecuteSuccess& e) {
  Task* ts = execute_done(e.key, "ExecuteSuccess");
  if (!ts) return drop_stray(e.key);
  ts->holds_data = true;
  for (StartStop& activity : e.startstops) ts->startstops.push_back(std::move(activity));
  ts->startstops.push_back({"compute", e.start, e.stop});
  if (const auto* native = std::get_if<NativeRunSpec>(&ts->run_spec))
    note_native_duration(native->function, std::max(e.stop - e.start, 0.0));
  ts->nbytes = e.nbytes;
  ts->type = std::move(e.type);
  ts->typename_ = std::move(e.typename_);
  ts->thread = std::move(e.thread);
  ts->metadata = std::move(e.metadata);
  Cause cause;
  cause.run_id = e.run_id;
  recommend(*ts, TaskState::kMemory, std::move(cause));
}

void Machine::on(ExecuteSuccesses& e) {
  for (ExecuteSuccess& one : e.executed) {
    on(one);
    run_recommendations();
  }
}

void Machine::on(ExecuteFailure& e) {
  Task* ts = execute_done(e.key, "ExecuteFailure");
  if (!ts) return;
  for (StartStop& activity : e.startstops) ts->startstops.push_back(std::move(activity));
  if (e.start != 0 || e.stop != 0) ts->startstops.push_back({"compute", e.start, e.stop});
  ts->thread = std::move(e.thread);
  Cause cause;
  cause.run_id = e.run_id;
  cause.failure = std::move(e.failure);
  recommend(*ts, TaskState::kError, std::move(cause));
}

void Machine::on(Reschedule& e) {
  if (Task* ts = execute_done(e.key, "Reschedule")) recommend(*ts, TaskState::kRescheduled);
}

void Machine::on(Secede& e) {
  Task* ts = find_task(e.key);
  if (!ts || !ts->is_running()) return;
  Cause cause;
  cause.compute_duration = e.compute_duration;
  recommend(*ts, TaskState::kLongRunning, std::move(cause));
}

}  // namespace dask::worker
