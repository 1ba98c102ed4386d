// What workers say about tasks and replicas. Source: distributed/scheduler.py, stimulus_task_finished and its neighbours.
#include <algorithm>

#include "scheduler/machine/machine.h"

namespace dask::scheduler {

void Machine::on(TaskFinished& e) {
  if (!present(e.worker)) return;
  if (Task* ts = find(e.msg.key))
    finished(*ts, e.worker, e.msg);
  else
    free_unknown(e.worker, std::move(e.msg.key));
  queue_slots_maybe_opened();
}

void Machine::on(NativeTasksFinished& e) {
  if (!present(e.worker)) return;
  TaskFinishedMsg msg;
  msg.startstops.push_back(StartStop{"compute", 0, 0});
  for (const NativeTasksFinished::Row& row : e.rows) {
    Task* ts = state_.get(row.task);
    if (!ts || ts->state == TaskState::kForgotten) continue;  // free-keys is on its way already
    msg.run_id = row.run_id;
    msg.nbytes = row.nbytes;
    msg.startstops.resize(1);
    msg.startstops[0].action = "compute";
    msg.startstops[0].start = row.start;
    msg.startstops[0].stop = row.stop;
    if (row.type < e.types.size())
      msg.typename_ = e.types[row.type];
    else
      msg.typename_.clear();
    finished(*ts, e.worker, msg, row.value);
    queue_slots_maybe_opened();
  }
}

void Machine::on(TaskErred& e) {
  TaskErredMsg& msg = e.msg;
  if (Task* ts = find(msg.key)) {
    auto failure = std::make_shared<Failure>();
    failure->exception = std::move(msg.exception);
    failure->traceback = std::move(msg.traceback);
    failure->exception_text = std::move(msg.exception_text);
    failure->traceback_text = std::move(msg.traceback_text);
    erred(*ts, e.worker, msg.run_id, std::move(failure), std::move(msg.thread), std::move(msg.startstops));
  }
  queue_slots_maybe_opened();
}

void Machine::on(NativeTasksErred& e) {
  for (NativeTasksErred::Row& row : e.rows) {
    Task* ts = state_.get(row.task);
    if (!ts || ts->state == TaskState::kForgotten) continue;
    erred(*ts, e.worker, row.run_id, row.failure, {}, {StartStop{"compute", row.start, row.stop}});
    queue_slots_maybe_opened();
  }
}

bool Machine::is_input_on(const Task& ts, WorkerId worker) const {
  return std::any_of(ts.dependents.begin(), ts.dependents.end(),
                     [&](const Edge& edge) { return state_.task(edge.task).processing_on == worker; });
}

void Machine::finished(Task& ts, WorkerId worker, TaskFinishedMsg& msg, Bytes result) {
  switch (ts.state) {
    case TaskState::kReleased:
    case TaskState::kQueued:
    case TaskState::kNoWorker:
    case TaskState::kErred:
    case TaskState::kWaiting: act(SendFreeKey{worker, State::id_of(ts), {}}); return;
    case TaskState::kMemory:
      if (ts.run_id == msg.run_id)
        state_.add_replica(ts, state_.worker(worker));
      else if (!is_input_on(ts, worker))  // it was told to free it already; a second time would hit what it fetches now
        act(SendFreeKey{worker, State::id_of(ts), {}});
      return;
    case TaskState::kForgotten: return;
    case TaskState::kProcessing: break;
  }
  if (ts.processing_on != worker) {
    act(SendFreeKey{worker, State::id_of(ts), {}});
  } else if (ts.run_id != msg.run_id) {  // an earlier run of the same task on the same worker: run it again
    recommend(ts, TaskState::kReleased);
  } else {
    if (msg.metadata.is_map()) {
      Value& metadata = state_.extra(ts).metadata;
      for (auto& [name, value] : *msg.metadata.map_if())
        if (const std::string* text = name.string()) metadata.set(*text, value);
    }
    Cause cause;
    cause.worker = worker;
    cause.finished = &msg;
    cause.result = std::move(result);
    transition(ts, TaskState::kMemory, cause);
    act(RecordTaskStream{worker, State::id_of(ts), false, msg.nbytes, std::move(msg.thread), std::move(msg.startstops)});
  }
}

void Machine::erred(Task& ts, WorkerId worker, std::int64_t run_id, FailurePtr failure, Value thread, std::vector<StartStop> startstops) {
  if (ts.state != TaskState::kProcessing || ts.processing_on != worker) return;
  if (ts.run_id != run_id) {
    transition(ts, TaskState::kReleased);
  } else if (ts.retries > 0) {
    --ts.retries;
    transition(ts, TaskState::kWaiting);
  } else {
    act(RecordTaskStream{worker, State::id_of(ts), true, -1, std::move(thread), std::move(startstops)});
    fail(ts, std::move(failure), state_.worker(worker).address);
  }
}

void Machine::on(WorkerDataReleased& e) {
  if (!present(e.worker)) return;
  for (const Key& key : e.keys) {
    Task* ts = find(key);
    if (!ts || !state_.holds(state_.worker(e.worker), *ts)) continue;
    state_.remove_replica(*ts, state_.worker(e.worker));
    if (ts->who_has.empty()) recommend(*ts, TaskState::kReleased);
    run_recommendations();  // as if each had come alone
  }
}

void Machine::on(ReplicasAdded& e) {
  if (!present(e.worker)) return;
  for (Key& key : e.keys) {
    Task* ts = find(key);
    if (ts && ts->state == TaskState::kMemory)
      state_.add_replica(*ts, state_.worker(e.worker));
    else
      act(SendRemoveReplica{e.worker, std::move(key)});
  }
}

void Machine::on(ReplicasMissing& e) {
  for (const auto& [key, worker] : e.replicas) {
    Task* ts = find(key);
    if (!ts || !present(worker) || !state_.holds(state_.worker(worker), *ts)) continue;
    // What is about to run there on this replica starts over, before the worker is told to drop what it may have.
    for (const Edge& edge : ts->dependents)
      if (Task& dependent = state_.task(edge.task); dependent.processing_on == worker) recommend(dependent, TaskState::kReleased);
    run_recommendations();
    if (!state_.holds(state_.worker(worker), *ts)) continue;
    state_.remove_replica(*ts, state_.worker(worker));
    act(SendFreeKey{worker, State::id_of(*ts), {}});
    if (ts->who_has.empty()) recommend(*ts, TaskState::kReleased);
  }
}

void Machine::on(TaskLongRunning& e) {
  Task* ts = find(e.msg.key);
  if (!ts || ts->state != TaskState::kProcessing || ts->processing_on != e.worker || ts->run_id != e.msg.run_id) return;
  if (e.msg.compute_duration >= 0) {
    double& average = state_.prefix(ts->prefix).duration_average;
    average = average < 0 ? e.msg.compute_duration : (average + e.msg.compute_duration) / 2;
  }
  state_.add_to_long_running(*ts);
  state_.check_idle_saturated(state_.worker(e.worker));
  queue_slots_maybe_opened();
}

void Machine::on(TaskRescheduled& e) {
  Task* ts = find(e.key);
  if (!ts || ts->state != TaskState::kProcessing || (e.worker.valid() && ts->processing_on != e.worker)) return;
  recommend(*ts, TaskState::kReleased);
  queue_slots_maybe_opened();
}

void Machine::on(WhoHasRequested& e) {
  if (!present(e.worker)) return;
  SendRefreshWhoHas refresh{e.worker, static_cast<std::uint32_t>(actions_.dependencies.size()), 0};
  for (Key& key : e.keys) {
    if (const Task* ts = find(key))
      locate(*ts);
    else
      free_unknown(e.worker, std::move(key));
  }
  refresh.dependencies_end = static_cast<std::uint32_t>(actions_.dependencies.size());
  if (refresh.dependencies_end > refresh.dependencies_begin) act(refresh);
}

}  // namespace dask::scheduler
