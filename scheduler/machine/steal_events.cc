// Work stealing carried out: ask the victim for a task, move it when the victim has not started it.
// Source: distributed/stealing.py, move_task_request and move_task_confirm.
#include "scheduler/machine/machine.h"
#include "scheduler/policy/stealing.h"

namespace dask::scheduler {

void Machine::on(StealingDue&) {
  StealsInFlight in_flight;
  for (const auto& [id, steal] : steals_) {
    in_flight.occupancy_s[steal.victim] -= steal.victim_duration_s;
    in_flight.occupancy_s[steal.thief] += steal.thief_duration_s;
    --in_flight.tasks[steal.victim];
    ++in_flight.tasks[steal.thief];
  }
  const auto movable = [this](TaskId id) {
    const Task& ts = state_.task(id.index);
    return !steals_.contains(id) && !ts.compute_pending;
  };
  for (const Steal& steal : propose_steals(state_, std::move(in_flight), movable)) {
    const Task& ts = state_.task(steal.task.index);
    std::string stimulus_id = fmt::format("steal-{}", steal_counter_++);
    act(SendStealRequest{steal.victim, steal.task, stimulus_id});
    steals_.emplace(steal.task, StealInFlight{steal.victim, steal.thief, steal.victim_duration_s, steal.thief_duration_s, ts.run_id,
                                              std::move(stimulus_id)});
  }
}

void Machine::on(StealAnswered& e) {
  Task* ts = find(e.key);
  if (!ts) return;
  auto it = steals_.find(State::id_of(*ts));
  if (it == steals_.end() || it->second.stimulus_id != e.stimulus_id) return;
  const StealInFlight steal = std::move(it->second);
  steals_.erase(it);
  if (ts->state != TaskState::kProcessing || ts->processing_on != steal.victim || ts->run_id != steal.run_id || e.worker != steal.victim)
    return;
  const bool given_up = e.state == "ready" || e.state == "constrained" || e.state == "waiting";
  const bool unknown = e.state.empty() || e.state == "released" || e.state == "missing";
  if (unknown || (given_up && (!present(steal.thief) || state_.worker(steal.thief).status != WorkerStatus::kRunning))) {
    recommend(*ts, TaskState::kReleased);
  } else if (given_up) {
    Worker& victim = state_.worker(steal.victim);
    Worker& thief = state_.worker(steal.thief);
    state_.remove_from_processing(*ts);
    state_.release_resources(*ts, victim);
    state_.add_to_processing(*ts, thief);
    state_.acquire_resources(*ts, thief);
    send_compute(*ts, thief.id);
    ++steals_done_;
    act(LogEvent{{"stealing"}, Value(Value::Array{"confirm", ts->key.value(), e.state, victim.address, thief.address, e.stimulus_id})});
    state_.check_idle_saturated(victim);
    state_.check_idle_saturated(thief);
  }
  queue_slots_maybe_opened();
}

// What was asked of a worker that has gone is not answered any more.
void Machine::forget_steals_of(WorkerId worker) {
  std::erase_if(steals_, [&](const auto& entry) { return entry.second.victim == worker; });
}

}  // namespace dask::scheduler
