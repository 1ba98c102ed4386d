// The transitions, one function each, in the order of Dask's table. Each changes the state, recommends what follows and
// says what to send. Source: distributed/scheduler.py, SchedulerState._transition_*.
#include <algorithm>
#include <cmath>

#include "scheduler/machine/machine.h"
#include "scheduler/policy/placement.h"

namespace dask::scheduler {

const std::array<std::array<Machine::TransitionFn, kTaskStates>, kTaskStates>& Machine::table() {
  static const auto table = [] {
    std::array<std::array<TransitionFn, kTaskStates>, kTaskStates> t{};
    const auto set = [&](TaskState from, TaskState to, TransitionFn fn) {
      t[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)] = fn;
    };
    using enum TaskState;
    set(kReleased, kWaiting, &Machine::released_waiting);
    set(kReleased, kErred, &Machine::released_erred);
    set(kReleased, kForgotten, &Machine::released_forgotten);
    set(kWaiting, kReleased, &Machine::waiting_released);
    set(kWaiting, kProcessing, &Machine::waiting_processing);
    set(kWaiting, kNoWorker, &Machine::waiting_no_worker);
    set(kWaiting, kQueued, &Machine::waiting_queued);
    set(kWaiting, kMemory, &Machine::waiting_memory);
    set(kQueued, kReleased, &Machine::queued_released);
    set(kQueued, kProcessing, &Machine::queued_processing);
    set(kQueued, kErred, &Machine::queued_erred);
    set(kProcessing, kReleased, &Machine::processing_released);
    set(kProcessing, kMemory, &Machine::processing_memory);
    set(kProcessing, kErred, &Machine::processing_erred);
    set(kNoWorker, kReleased, &Machine::no_worker_released);
    set(kNoWorker, kProcessing, &Machine::no_worker_processing);
    set(kNoWorker, kErred, &Machine::no_worker_erred);
    set(kMemory, kReleased, &Machine::memory_released);
    set(kMemory, kErred, &Machine::memory_erred);
    set(kMemory, kForgotten, &Machine::memory_forgotten);
    set(kErred, kReleased, &Machine::erred_released);
    return t;
  }();
  return table;
}

std::vector<std::pair<TaskState, TaskState>> Machine::transition_table() {
  std::vector<std::pair<TaskState, TaskState>> pairs;
  for (std::size_t from = 0; from < kTaskStates; ++from)
    for (std::size_t to = 0; to < kTaskStates; ++to)
      if (table()[from][to]) pairs.emplace_back(static_cast<TaskState>(from), static_cast<TaskState>(to));
  return pairs;
}

// ---- released ------------------------------------------------------------------------------------------------------------

void Machine::released_waiting(Task& ts, Cause&) {
  if (ts.has_lost_dependencies || ts.spec == SpecKind::kNone) return recommend(ts, TaskState::kForgotten);
  for (const Edge& edge : ts.dependencies) {
    const Task& dependency = state_.task(edge.task);
    if (dependency.state != TaskState::kErred) continue;  // this task was in memory then, or its turn has only come now
    state_.extra(ts).exception_blame = dependency.extra->exception_blame;
    return recommend(ts, TaskState::kErred);
  }
  for (Edge& edge : ts.dependents) state_.set_waiter(ts, edge, state_.task(edge.task).state == TaskState::kWaiting);
  if (!is_wanted(ts)) return let_go_of_dependencies(ts);  // what needed it has failed meanwhile
  if (ts.extra) ts.extra->exception_blame = TaskId{};
  state_.set_state(ts, TaskState::kWaiting);
  SmallVector<std::uint32_t, 8> released;
  for (Edge& edge : ts.dependencies) {
    Task& dependency = state_.task(edge.task);
    state_.set_waiting_on(ts, edge, dependency.who_has.empty());
    if (dependency.state == TaskState::kReleased)
      released.push_back(edge.task);
    else
      state_.set_waiter(dependency, state_.mate_of_dependency(edge), true);
  }
  recommend_by_priority(released, TaskState::kWaiting);
  if (ts.waiting_on == 0) recommend(ts, TaskState::kProcessing);
}

void Machine::released_erred(Task& ts, Cause&) {
  const TaskId blame = state_.extra(ts).exception_blame;
  let_go_of_dependencies(ts);
  for (const Edge& edge : ts.dependents) {
    Task& dependent = state_.task(edge.task);
    if (!dependent.who_has.empty()) continue;
    state_.extra(dependent).exception_blame = blame;
    recommend(dependent, TaskState::kErred);
  }
  state_.set_state(ts, TaskState::kErred);
  report_to_wanters(ts);
  if (state_.wants(ts, fire_and_forget_)) release_wants(fire_and_forget_, {ts.slot});
}

void Machine::released_forgotten(Task& ts, Cause&) {
  propagate_forgotten(ts);
  report_to_wanters(ts);
  remove_key(ts);
}

// ---- waiting -------------------------------------------------------------------------------------------------------------

void Machine::waiting_released(Task& ts, Cause&) {
  let_go_of_dependencies(ts);
  state_.clear_waiting_on(ts);
  state_.set_state(ts, TaskState::kReleased);
  const bool blamed = ts.extra && ts.extra->exception_blame.valid();
  if (ts.has_lost_dependencies) return recommend(ts, TaskState::kForgotten);
  if (!blamed && is_wanted(ts)) return recommend(ts, TaskState::kWaiting);
  // It was to fail with an input, and then to be released, too, because others let it go: whoever still needs it fails.
  if (is_wanted(ts)) recommend(ts, TaskState::kErred);
  state_.clear_waiters(ts);
}

void Machine::waiting_processing(Task& ts, Cause&) {
  WorkerId worker;
  if (!is_rootish(state_, ts)) {
    worker = decide_worker_non_rootish(state_, ts);
    if (!worker.valid()) return recommend(ts, TaskState::kNoWorker);
  } else if (std::isinf(state_.settings().worker_saturation) || !ts.queueable) {
    const CoAssignment choice = decide_worker_rootish_queuing_disabled(state_, ts);
    if (!choice.worker.valid()) return recommend(ts, TaskState::kNoWorker);
    worker = choice.worker;
    TaskGroup& tg = state_.group(ts.group);
    const auto todo = tg.states[static_cast<std::size_t>(TaskState::kReleased)] + tg.states[static_cast<std::size_t>(TaskState::kWaiting)];
    tg.last_worker = todo > 1 ? choice.worker : WorkerId{};
    tg.last_worker_tasks_left = choice.tasks_left;
  } else {
    worker = decide_worker_rootish_queuing_enabled(state_, ts);
    if (!worker.valid()) return recommend(ts, TaskState::kQueued);
  }
  add_to_processing(ts, state_.worker(worker));
}

void Machine::waiting_no_worker(Task& ts, Cause&) {
  state_.set_state(ts, TaskState::kNoWorker);
  state_.unrunnable_add(ts, now_);
}

void Machine::waiting_queued(Task& ts, Cause&) {
  state_.set_state(ts, TaskState::kQueued);
  state_.queue_push(ts);
}

// A race: a result arrives for a task that has just gone back to waiting. Its worker is told to drop it.
void Machine::waiting_memory(Task&, Cause&) {}

// ---- queued, no-worker ---------------------------------------------------------------------------------------------------

void Machine::queued_released(Task& ts, Cause&) {
  state_.queue_remove(ts);
  propagate_released(ts);
}

void Machine::queued_processing(Task& ts, Cause&) {
  const bool native = needs_native_worker(state_, ts);  // workers without native tasks have joined since it was queued
  const WorkerId worker = native ? decide_worker_non_rootish(state_, ts) : decide_worker_rootish_queuing_enabled(state_, ts);
  if (!worker.valid()) {
    if (native) recommend(ts, TaskState::kReleased);  // and on to no-worker: it must not hold up the queue
    return;
  }
  Worker& ws = state_.worker(worker);
  if (!native && waits_for_free_thread(state_, ts, ws)) return;
  state_.queue_remove(ts);
  add_to_processing(ts, ws);
}

void Machine::queued_erred(Task& ts, Cause& cause) {
  state_.queue_remove(ts);
  propagate_erred(ts, cause);
}

void Machine::no_worker_released(Task& ts, Cause&) {
  state_.unrunnable_remove(ts);
  propagate_released(ts);
}

void Machine::no_worker_processing(Task& ts, Cause&) {
  const WorkerId worker = decide_worker_non_rootish(state_, ts);
  if (!worker.valid()) return;
  state_.unrunnable_remove(ts);
  add_to_processing(ts, state_.worker(worker));
}

void Machine::no_worker_erred(Task& ts, Cause& cause) {
  state_.unrunnable_remove(ts);
  propagate_erred(ts, cause);
}

// ---- processing ----------------------------------------------------------------------------------------------------------

void Machine::processing_released(Task& ts, Cause&) {
  const bool sent = !ts.compute_pending;
  if (ts.actor) state_.worker(ts.processing_on).actors.erase(ts.slot);
  Worker* ws = exit_processing(ts);
  if (ws && sent) act(SendFreeKey{ws->id, State::id_of(ts), {}});
  propagate_released(ts);
}

void Machine::processing_memory(Task& ts, Cause& cause) {
  Worker& ws = state_.worker(cause.worker);
  DASK_CHECK(ws.present && ts.processing_on == cause.worker, "{} came into memory on {}", ts.key.str(), ws.address);
  TaskFinishedMsg& msg = *cause.finished;
  for (const StartStop& startstop : msg.startstops) state_.add_duration(ts, startstop.action, startstop.start, startstop.stop);
  state_.set_nbytes(ts, std::max<std::int64_t>(msg.nbytes, 0));
  exit_processing(ts);
  state_.add_replica(ts, ws);

  SmallVector<std::uint32_t, 8> ready;
  for (const Edge& edge : ts.dependents) {
    Edge& mate = state_.mate_of_dependent(edge);
    if (!mate.flag) continue;
    Task& dependent = state_.task(edge.task);
    state_.set_waiting_on(dependent, mate, false);
    if (dependent.waiting_on == 0) ready.push_back(dependent.slot);
  }
  recommend_by_priority(ready, TaskState::kProcessing);

  let_go_of_dependencies(ts);

  if (!is_wanted(ts)) {
    recommend(ts, TaskState::kReleased);
  } else {
    for (const Want& want : ts.who_wants)
      if (state_.client(want.client).connected) act(ReportKeyInMemory{want.client, State::id_of(ts), msg.type, {}, cause.result});
  }
  state_.set_state(ts, TaskState::kMemory);
  state_.set_typename(ts, msg.typename_);
  if (!ts.who_wants.empty() && state_.wants(ts, fire_and_forget_)) release_wants(fire_and_forget_, {ts.slot});
}

void Machine::processing_erred(Task& ts, Cause& cause) {
  const bool sent = !ts.compute_pending;
  if (ts.actor) state_.worker(ts.processing_on).actors.erase(ts.slot);
  const Worker* ws = exit_processing(ts);
  if (ws && sent && cause.erred_on.empty())
    act(SendFreeKey{ws->id, State::id_of(ts), {}});  // it fails because of another task, and still runs there
  propagate_erred(ts, cause);
}

// ---- memory --------------------------------------------------------------------------------------------------------------

void Machine::memory_released(Task& ts, Cause&) {
  if (ts.actor && !ts.who_wants.empty()) {  // an actor's state cannot be computed again
    state_.extra(ts).exception_blame = State::id_of(ts);
    state_.extra(ts).failure = make_failure("builtins.RuntimeError", "Worker holding Actor was lost");
    return recommend(ts, TaskState::kErred);
  }
  free_on_holders(ts);
  state_.remove_all_replicas(ts);
  state_.set_state(ts, TaskState::kReleased);
  for (const Want& want : ts.who_wants)
    if (state_.client(want.client).connected) act(ReportLostData{want.client, State::id_of(ts)});

  if (ts.spec == SpecKind::kNone || ts.has_lost_dependencies)
    recommend(ts, TaskState::kForgotten);
  else if (is_wanted(ts))
    recommend(ts, TaskState::kWaiting);  // or on to erred, when a dependency has failed since

  for (const Edge& edge : ts.dependents) {
    if (!edge.flag) continue;
    Task& dependent = state_.task(edge.task);
    if (dependent.state == TaskState::kNoWorker || dependent.state == TaskState::kProcessing || dependent.state == TaskState::kQueued)
      recommend(dependent, TaskState::kWaiting);
    else if (dependent.state == TaskState::kWaiting)
      state_.set_waiting_on(dependent, state_.mate_of_dependent(edge), true);
  }
}

// Only actors: their state is lost with their worker. Another task gets here when its last replica has just been lost and a
// dependency has just failed: it is lost first, and fails when it is wanted.
void Machine::memory_erred(Task& ts, Cause& cause) {
  if (!ts.actor) return memory_released(ts, cause);
  free_on_holders(ts);
  state_.remove_all_replicas(ts);
  for (const Edge& edge : ts.dependents) {
    Task& dependent = state_.task(edge.task);
    if (!dependent.who_has.empty()) continue;
    state_.extra(dependent).exception_blame = State::id_of(ts);
    recommend(dependent, TaskState::kErred);
  }
  cause.blame = State::id_of(ts);
  cause.failure = make_failure("builtins.RuntimeError", "Worker holding Actor was lost");
  propagate_erred(ts, cause);
}

void Machine::memory_forgotten(Task& ts, Cause&) {
  propagate_forgotten(ts);
  report_to_wanters(ts);
  remove_key(ts);
}

// ---- erred ---------------------------------------------------------------------------------------------------------------

void Machine::erred_released(Task& ts, Cause&) {
  TaskExtra& extra = state_.extra(ts);
  extra.failure = nullptr;
  extra.exception_blame = TaskId{};
  for (const std::string& address : extra.erred_on)
    if (const Worker* ws = state_.find_worker(address)) act(SendFreeKey{ws->id, State::id_of(ts), {}});
  extra.erred_on.clear();
  for (const Want& want : ts.who_wants)
    if (state_.client(want.client).connected) act(ReportTaskRetried{want.client, State::id_of(ts)});
  state_.set_state(ts, TaskState::kReleased);
}

}  // namespace dask::scheduler
