// How transitions are run: the stack of recommendations, and the steps that several transitions share.
#include "worker/state/machine.h"

#include <fmt/format.h>

#include <algorithm>

namespace dask::worker {
namespace {

constexpr std::uint32_t kNowhere = std::numeric_limits<std::uint32_t>::max();
// Named limit: transitions of one event beyond these many, plus these many a task, are taken for a circle and end the worker.
constexpr std::uint64_t kTransitionsMax = 10'000;
constexpr std::uint64_t kTransitionsPerTaskMax = 100;

}  // namespace

const Instructions& Machine::handle(Event event, double now, const std::string& stimulus_id) {
  instructions_.clear();
  reap_forgotten();
  now_ = now;
  stimulus_id_ = &stimulus_id;
  transitions_left_ = kTransitionsMax + kTransitionsPerTaskMax * tasks_.size();
  std::visit([this](auto& e) { on(e); }, event);
  run_recommendations();
  // Once, after all tasks have come to state fetch: so that many are gathered in one message.
  ensure_communicating();
  run_recommendations();
  forget_idle_peers();
  return instructions_;
}

// ---- recommendations ----

void Machine::recommend(Task& ts, TaskState finish, Cause cause) {
  if (is_recommended(ts)) {
    Recommendation& pending = recommendations_[ts.recommendation];
    pending.finish = finish;
    pending.cause = std::move(cause);
    return;
  }
  ts.recommendation = static_cast<std::uint32_t>(recommendations_.size());
  recommendations_.push_back({&ts, finish, std::move(cause)});
}

bool Machine::is_recommended(const Task& ts, TaskState finish) const {
  return is_recommended(ts) && recommendations_[ts.recommendation].finish == finish;
}

void Machine::take_back(Task& ts) {
  if (!is_recommended(ts)) return;
  recommendations_[ts.recommendation].task = nullptr;
  ts.recommendation = kNowhere;
}

void Machine::run_recommendations() {
  while (!recommendations_.empty()) {
    const Recommendation r = std::move(recommendations_.back());
    recommendations_.pop_back();
    if (!r.task) continue;
    r.task->recommendation = kNowhere;
    if (transitions_left_ == 0) continue;
    transition(*r.task, r.finish, r.cause);
    if (--transitions_left_ == 0)
      instruct(CloseWorker{fmt::format("Transitions go round in a circle at {} ({})", r.task->key.repr(), *stimulus_id_),
                           story_text(r.task->key)});
  }
}

void Machine::transition(Task& ts, TaskState finish, const Cause& cause) {
  const TaskState start = ts.state;
  if (start == finish || start == TaskState::kForgotten) return;
  ++transition_counter_;
  const std::size_t before = recommendations_.size();
  if (TransitionFn fn = table()[static_cast<std::size_t>(start)][static_cast<std::size_t>(finish)]) {
    (this->*fn)(ts, cause);
    if (report_transitions_) instruct(NotifyTransition{ts.key, start, finish});
  } else if (start != TaskState::kReleased && finish != TaskState::kReleased) {
    // Any other pair goes by way of released. What that recommends for the task itself (to be forgotten) is not what is wanted here.
    transition(ts, TaskState::kReleased, Cause());
    take_back(ts);
    transition(ts, finish, cause);
  } else {
    return invalid_transition(ts, start, finish);
  }
  if (auto* recommendations = log_.transition(ts.key, start, finish, ts.state, *stimulus_id_, now_))
    for (std::size_t i = before; i < recommendations_.size(); ++i)
      if (const Recommendation& r = recommendations_[i]; r.task) recommendations->emplace_back(r.task->key, r.finish);
}

void Machine::invalid_transition(Task& ts, TaskState start, TaskState finish) {
  instruct(CloseWorker{fmt::format("InvalidTransition: {} :: {}->{}", ts.key.repr(), name_of(start), name_of(finish)), story_text(ts.key)});
  if (ts.state == TaskState::kReleased && ts.dependents.empty()) recommend(ts, TaskState::kForgotten);
}

// ---- steps that transitions share ----

void Machine::purge(Task& ts) {
  if (ts.holds_data) instruct(DropData{ts.key, ts.actor});
  ts.holds_data = false;
  while (!ts.who_has.empty()) remove_holder(ts, **ts.who_has.begin());
  for (Task* dependency : ts.dependencies) dependency->waiters.erase(&ts);
  ts.waiting_for_data.clear();
  ts.nbytes = -1;
  ts.previous = TaskState::kReleased;
  ts.next = TaskState::kReleased;
  ts.done = false;
  ts.coming_from = nullptr;
  ts.failure = nullptr;
  ts.thread = Value();
  missing_dep_flight_.erase(&ts);
  ready_.remove(&ts);
  constrained_.remove(&ts);
  in_flight_tasks_.erase(&ts);
  waiting_.erase(&ts);
  long_running_.erase(&ts);
  // Chosen to be run, but something else came first.
  if (leave_executing(ts) && !ts.is_running()) release_resources(ts);
}

void Machine::ask_for_again(Task& ts) {
  bool needed = false;
  for (Task* dependent : ts.dependents) {
    if (dependent->state == TaskState::kWaiting) {
      dependent->waiting_for_data.insert(&ts);
      ts.waiters.insert(dependent);
      needed = true;
    } else if (dependent->state == TaskState::kReady || dependent->state == TaskState::kConstrained) {
      if (!is_recommended(*dependent) || is_recommended(*dependent, TaskState::kExecuting)) recommend(*dependent, TaskState::kWaiting);
    }
  }
  if (needed) recommend(ts, TaskState::kFetch);
}

void Machine::to_memory(Task& ts, Announce announce, const Cause& cause) {
  ts.holds_data = true;
  ts.previous = TaskState::kReleased;
  ts.next = TaskState::kReleased;
  set_state(ts, TaskState::kMemory);
  if (const StoredValue* value = cause.value) {
    ts.actor = false;
    if (ts.nbytes < 0) ts.nbytes = value->nbytes;
    ts.type = value->type;
    ts.typename_ = value->typename_;
  }
  ts.nbytes = std::max<std::int64_t>(ts.nbytes, 0);
  nbytes_ += ts.nbytes;

  SmallVector<Task*, 8> ready;
  for (Task* dependent : ts.dependents) {
    dependent->waiting_for_data.erase(&ts);
    // Unless something else has been decided about it in this event (it is scattered, too, or to be released).
    if (dependent->waiting_for_data.empty() && dependent->state == TaskState::kWaiting &&
        (!is_recommended(*dependent) || is_recommended(*dependent, TaskState::kWaiting)))
      ready.push_back(dependent);
  }
  // The last one is taken first from the stack, and takes a free thread at once: let it be the one with the highest priority.
  std::stable_sort(ready.begin(), ready.end(), [](const Task* a, const Task* b) { return b->priority < a->priority; });
  for (Task* dependent : ready) recommend(*dependent, TaskState::kReady);
  note(ts, "put-in-memory");

  // The scheduler treats these two very differently: add-keys is only for what is in memory elsewhere, and triggers no transitions.
  if (announce == Announce::kAddKeys) {
    // Those of one transfer in one message.
    auto* before = instructions_.empty() ? nullptr : std::get_if<AddKeysMsg>(&instructions_.back());
    if (before && before->stimulus_id == *stimulus_id_) {
      before->keys.push_back(ts.key);
    } else {
      instruct(AddKeysMsg{{ts.key}, *stimulus_id_});
    }
  } else if (announce == Announce::kTaskFinished) {
    send_finished(ts, cause.run_id);
  }
}

void Machine::send_finished(Task& ts, std::int64_t run_id) {
  if (const auto* native = std::get_if<NativeRunSpec>(&ts.run_spec)) {
    double start = 0, stop = 0;
    for (const StartStop& activity : ts.startstops)
      if (activity.action == "compute") start = activity.start, stop = activity.stop;
    instruct(NativeTaskFinishedMsg{native->handle, ts.key, run_id, ts.nbytes, start, stop, ts.typename_, native->inline_bytes_max});
    return;
  }
  instruct(TaskFinishedMsg{ts.key, run_id, ts.nbytes, ts.type, ts.typename_, ts.metadata, ts.thread, ts.startstops, *stimulus_id_});
}

// ---- computing ----

void Machine::ensure_computing() {
  if (!running_) return;
  while (executing_.size() < settings_.nthreads || (constrained_.empty() && !ready_.empty() && may_run_ahead(*ready_.peek()))) {
    Task* ts = next_ready_task();
    if (!ts) return;
    // Something else has been decided about it in this event (it is to be released): that comes first.
    if (is_recommended(*ts) && !is_recommended(*ts, ts->state)) continue;
    recommend(*ts, TaskState::kExecuting);
    acquire_resources(*ts);
    enter_executing(*ts);
  }
}

Task* Machine::next_ready_task() {
  if (constrained_.empty()) return ready_.pop();
  if (!ready_.empty() && !(constrained_.peek_priority() < ready_.peek_priority())) return ready_.pop();
  if (resources_satisfied(*constrained_.peek())) return constrained_.pop();
  return ready_.pop();
}

}  // namespace dask::worker
