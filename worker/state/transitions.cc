// The transitions of a task, one function each, and the table of who is allowed to follow whom. Dask's WorkerState._transition_*.
#include "worker/state/machine.h"

namespace dask::worker {
namespace {

using S = TaskState;

// States whose data or work is wanted here in any case: nobody's release lets them go.
bool is_unreleasable(S state) {
  return state == S::kReady || state == S::kConstrained || state == S::kWaiting || state == S::kExecuting || state == S::kLongRunning ||
         state == S::kMemory;
}

}  // namespace

// ---- fetching ----

void Machine::generic_fetch(Task& ts, const Cause&) {
  if (ts.who_has.empty()) return recommend(ts, S::kMissing);
  set_state(ts, S::kFetch);
  ts.done = false;
  ++fetch_count_;
  for (Peer* peer : ts.who_has) need(ts, *peer);
}

void Machine::generic_missing(Task& ts, const Cause&) {
  set_state(ts, S::kMissing);
  missing_dep_flight_.insert(&ts);
  ts.done = false;
  if (!ts.who_has.empty()) recommend(ts, S::kFetch);
}

void Machine::missing_fetch(Task& ts, const Cause& cause) {
  if (ts.who_has.empty()) return;
  missing_dep_flight_.erase(&ts);
  generic_fetch(ts, cause);
}

void Machine::missing_waiting(Task& ts, const Cause& cause) {
  purge(ts);
  released_waiting(ts, cause);
}

void Machine::fetch_flight(Task& ts, const Cause& cause) {
  ts.done = false;
  set_state(ts, S::kFlight);
  ts.coming_from = cause.worker;
  in_flight_tasks_.insert(&ts);
  --fetch_count_;
}

void Machine::fetch_missing(Task& ts, const Cause& cause) {
  --fetch_count_;
  for (Peer* peer : ts.who_has) unneed(ts, *peer);
  generic_missing(ts, cause);
}

void Machine::fetch_released(Task& ts, const Cause& cause) {
  --fetch_count_;
  generic_released(ts, cause);
}

void Machine::flight_fetch(Task& ts, const Cause& cause) {
  if (ts.done) generic_fetch(ts, cause);  // else it is on its way already
}

void Machine::flight_memory(Task& ts, const Cause& cause) { to_memory(ts, Announce::kAddKeys, cause); }

void Machine::flight_released(Task& ts, const Cause&) {
  ts.previous = S::kFlight;
  ts.next = S::kReleased;
  set_state(ts, S::kCancelled);
  ask_for_again(ts);
}

// ---- released, memory, forgotten ----

void Machine::generic_released(Task& ts, const Cause&) {
  purge(ts);
  for (Task* dependency : ts.dependencies)
    if (dependency->waiters.empty() && !is_unreleasable(dependency->state) && !is_decided(*dependency))
      recommend(*dependency, S::kReleased);
  set_state(ts, S::kReleased);
  if (ts.dependents.empty()) return recommend(ts, S::kForgotten);
  ask_for_again(ts);
}

void Machine::memory_released(Task& ts, const Cause& cause) {
  nbytes_ -= ts.nbytes;
  generic_released(ts, cause);
  instruct(ReleaseWorkerDataMsg{ts.key, *stimulus_id_});
}

void Machine::released_waiting(Task& ts, const Cause&) {
  ts.waiting_for_data.clear();
  for (Task* dependency : ts.dependencies) {
    if (dependency->state == S::kMemory) continue;
    ts.waiting_for_data.insert(dependency);
    dependency->waiters.insert(&ts);
    if (!is_decided(*dependency)) recommend(*dependency, S::kFetch);
  }
  if (ts.waiting_for_data.empty()) recommend(ts, S::kReady);
  set_state(ts, S::kWaiting);
  waiting_.insert(&ts);
}

void Machine::released_memory(Task& ts, const Cause& cause) { to_memory(ts, Announce::kNothing, cause); }

void Machine::released_forgotten(Task& ts, const Cause&) {
  if (!ts.dependents.empty()) return;
  for (Task* dependency : ts.dependencies) {
    dependency->dependents.erase(&ts);
    if (dependency->state == S::kReleased && dependency->dependents.empty()) recommend(*dependency, S::kForgotten);
  }
  purge(ts);
  ts.dependencies.clear();
  erase_task(ts);
}

// ---- computing ----

void Machine::waiting_ready(Task& ts, const Cause&) {
  if (!ts.waiting_for_data.empty()) return;  // lost again since it was recommended
  if (!ts.resource_restrictions.empty()) return recommend(ts, S::kConstrained);
  set_state(ts, S::kReady);
  waiting_.erase(&ts);
  ready_.add(&ts, ts.priority);
  ensure_computing();
}

void Machine::waiting_constrained(Task& ts, const Cause&) {
  if (!ts.waiting_for_data.empty()) return;
  set_state(ts, S::kConstrained);
  waiting_.erase(&ts);
  constrained_.add(&ts, ts.priority);
  ensure_computing();
}

void Machine::start_executing(Task& ts, const Cause&) {
  set_state(ts, S::kExecuting);
  instruct(Execute{ts.key, ts.run_id, *stimulus_id_});
}

void Machine::executing_memory(Task& ts, const Cause& cause) { to_memory(ts, Announce::kTaskFinished, cause); }

void Machine::executing_rescheduled(Task& ts, const Cause& cause) {
  instruct(RescheduleMsg{ts.key, *stimulus_id_});
  generic_released(ts, cause);
}

// A function that runs cannot be stopped because the scheduler asks for it: the task is cancelled, and waits for its end.
void Machine::executing_released(Task& ts, const Cause&) {
  ts.previous = ts.state;
  set_state(ts, S::kCancelled);
  ask_for_again(ts);
}

void Machine::executing_long_running(Task& ts, const Cause& cause) {
  set_state(ts, S::kLongRunning);
  leave_executing(ts);
  long_running_.insert(&ts);
  instruct(LongRunningMsg{ts.key, ts.run_id, cause.compute_duration, *stimulus_id_});
  ensure_computing();
}

void Machine::generic_error(Task& ts, const Cause& cause) {
  ts.failure = cause.failure ? cause.failure : std::make_shared<const Failure>();
  missing_dep_flight_.erase(&ts);
  set_state(ts, S::kError);
  // An input that came, but could not be unpacked: Dask's worker would wait for it for ever.
  for (Task* dependent : ts.dependents)
    if (dependent->state == S::kWaiting && !is_recommended(*dependent)) {
      Cause inherited = cause;
      inherited.run_id = dependent->run_id;
      recommend(*dependent, S::kError, std::move(inherited));
    }
  if (const auto* native = std::get_if<NativeRunSpec>(&ts.run_spec)) {
    double start = 0, stop = 0;
    if (!ts.startstops.empty()) start = ts.startstops.back().start, stop = ts.startstops.back().stop;
    instruct(NativeTaskErredMsg{native->handle, ts.key, cause.run_id, start, stop, ts.failure});
    return;
  }
  instruct(TaskErredMsg{ts.key, cause.run_id, ts.failure->exception, ts.failure->traceback, ts.failure->exception_text,
                        ts.failure->traceback_text, ts.thread, ts.startstops, *stimulus_id_});
}

// ---- cancelled: released while running or in flight ----

void Machine::cancelled_released(Task& ts, const Cause& cause) {
  if (!ts.done) return;
  generic_released(ts, cause);
}

void Machine::cancelled_fetch(Task& ts, const Cause&) {
  if (ts.previous == S::kFlight) {
    if (ts.done) return recommend(ts, S::kReleased);  // it has arrived, for nobody
    ts.previous = S::kReleased;
    return set_state(ts, S::kFlight);  // as if it had never been cancelled
  }
  ts.next = S::kFetch;
  set_state(ts, S::kResumed);
}

void Machine::cancelled_waiting(Task& ts, const Cause&) {
  if (ts.previous == S::kFlight) {
    ts.next = S::kWaiting;
    return set_state(ts, S::kResumed);
  }
  // As if it had never been cancelled; the scheduler learns (perhaps again) that it has seceded.
  set_state(ts, ts.previous);
  ts.previous = S::kReleased;
  if (ts.state == S::kLongRunning) instruct(LongRunningMsg{ts.key, ts.run_id, -1, *stimulus_id_});
}

// No LongRunningMsg: to the scheduler this task is nowhere, or in memory elsewhere. It comes when the task is wanted again.
void Machine::cancelled_or_resumed_long_running(Task& ts, const Cause&) {
  if (!ts.is_running()) return;
  ts.previous = S::kLongRunning;
  leave_executing(ts);
  long_running_.insert(&ts);
  ensure_computing();
}

// ---- resumed: cancelled, and then wanted in the other way ----

// What ended in failure is not what is wanted any more: go on with what is, and tell nobody.
void Machine::resumed_error(Task& ts, const Cause&) {
  recommend(ts, ts.next);
  set_state(ts, S::kReleased);
  ts.done = false;
  ts.previous = S::kReleased;
  ts.next = S::kReleased;
}

void Machine::resumed_fetch(Task& ts, const Cause& cause) {
  if (ts.previous != S::kFlight) return;
  if (ts.done) return resumed_error(ts, cause);  // it did not come: compute it, as was asked for
  set_state(ts, S::kFlight);
  ts.previous = S::kReleased;
  ts.next = S::kReleased;
}

void Machine::resumed_memory(Task& ts, const Cause& cause) {
  // The scheduler expects what was wanted last, which is the opposite of what has just ended.
  to_memory(ts, ts.next == S::kFetch ? Announce::kAddKeys : Announce::kTaskFinished, cause);
}

void Machine::resumed_released(Task& ts, const Cause&) {
  set_state(ts, S::kCancelled);
  ts.next = S::kReleased;
  ask_for_again(ts);
}

// ---- the table ----

const std::array<std::array<Machine::TransitionFn, kTaskStates>, kTaskStates>& Machine::table() {
  using M = Machine;
  static const auto kTable = [] {
    std::array<std::array<TransitionFn, kTaskStates>, kTaskStates> t{};
    auto row = [&t](S start, S finish, TransitionFn fn) { t[static_cast<std::size_t>(start)][static_cast<std::size_t>(finish)] = fn; };
    row(S::kCancelled, S::kError, &M::cancelled_released);
    row(S::kCancelled, S::kFetch, &M::cancelled_fetch);
    row(S::kCancelled, S::kLongRunning, &M::cancelled_or_resumed_long_running);
    row(S::kCancelled, S::kMemory, &M::cancelled_released);
    row(S::kCancelled, S::kMissing, &M::cancelled_released);
    row(S::kCancelled, S::kReleased, &M::cancelled_released);
    row(S::kCancelled, S::kRescheduled, &M::cancelled_released);
    row(S::kCancelled, S::kWaiting, &M::cancelled_waiting);
    row(S::kResumed, S::kError, &M::resumed_error);
    row(S::kResumed, S::kFetch, &M::resumed_fetch);
    row(S::kResumed, S::kLongRunning, &M::cancelled_or_resumed_long_running);
    row(S::kResumed, S::kMemory, &M::resumed_memory);
    row(S::kResumed, S::kReleased, &M::resumed_released);
    row(S::kResumed, S::kRescheduled, &M::resumed_error);
    row(S::kConstrained, S::kExecuting, &M::start_executing);
    row(S::kConstrained, S::kReleased, &M::generic_released);
    row(S::kError, S::kReleased, &M::generic_released);
    row(S::kExecuting, S::kError, &M::generic_error);
    row(S::kExecuting, S::kLongRunning, &M::executing_long_running);
    row(S::kExecuting, S::kMemory, &M::executing_memory);
    row(S::kExecuting, S::kReleased, &M::executing_released);
    row(S::kExecuting, S::kRescheduled, &M::executing_rescheduled);
    row(S::kFetch, S::kFlight, &M::fetch_flight);
    row(S::kFetch, S::kMissing, &M::fetch_missing);
    row(S::kFetch, S::kReleased, &M::fetch_released);
    row(S::kFlight, S::kError, &M::generic_error);
    row(S::kFlight, S::kFetch, &M::flight_fetch);
    row(S::kFlight, S::kMemory, &M::flight_memory);
    row(S::kFlight, S::kMissing, &M::generic_missing);
    row(S::kFlight, S::kReleased, &M::flight_released);
    row(S::kLongRunning, S::kError, &M::generic_error);
    row(S::kLongRunning, S::kMemory, &M::executing_memory);
    row(S::kLongRunning, S::kRescheduled, &M::executing_rescheduled);
    row(S::kLongRunning, S::kReleased, &M::executing_released);
    row(S::kMemory, S::kReleased, &M::memory_released);
    row(S::kMissing, S::kError, &M::generic_error);
    row(S::kMissing, S::kFetch, &M::missing_fetch);
    row(S::kMissing, S::kReleased, &M::generic_released);
    row(S::kMissing, S::kWaiting, &M::missing_waiting);
    row(S::kReady, S::kExecuting, &M::start_executing);
    row(S::kReady, S::kReleased, &M::generic_released);
    row(S::kReleased, S::kError, &M::generic_error);
    row(S::kReleased, S::kFetch, &M::generic_fetch);
    row(S::kReleased, S::kForgotten, &M::released_forgotten);
    row(S::kReleased, S::kMemory, &M::released_memory);
    row(S::kReleased, S::kMissing, &M::generic_missing);
    row(S::kReleased, S::kWaiting, &M::released_waiting);
    row(S::kWaiting, S::kConstrained, &M::waiting_constrained);
    row(S::kWaiting, S::kReady, &M::waiting_ready);
    row(S::kWaiting, S::kReleased, &M::generic_released);
    return t;
  }();
  return kTable;
}

std::vector<std::pair<TaskState, TaskState>> Machine::transition_table() {
  std::vector<std::pair<TaskState, TaskState>> out;
  for (std::size_t start = 0; start < kTaskStates; ++start)
    for (std::size_t finish = 0; finish < kTaskStates; ++finish)
      if (table()[start][finish]) out.emplace_back(static_cast<TaskState>(start), static_cast<TaskState>(finish));
  return out;
}

}  // namespace dask::worker
