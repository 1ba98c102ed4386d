// What P2P shuffles ask of tasks: outputs bound to a worker, and a whole shuffle started over. What a shuffle is, only
// scheduler/extensions/shuffles knows. Source: distributed/shuffle/_scheduler_plugin.py.
#include "scheduler/machine/machine.h"

namespace dask::scheduler {

void Machine::note_shuffle(const Task& ts) {
  if (ts.state == TaskState::kReleased || ts.state == TaskState::kErred || ts.state == TaskState::kForgotten)
    act(BarrierStopped{State::id_of(ts), ts.state});
}

void Machine::note_shuffle_failure(const Task& ts) {
  const auto note = [this](const Task& barrier) {
    if (barrier.p2p_barrier) act(ShuffleTaskErred{State::id_of(barrier)});
  };
  note(ts);
  for (const Edge& edge : ts.dependents) note(state_.task(edge.task));
  for (const Edge& edge : ts.dependencies) note(state_.task(edge.task));
}

void Machine::on(ShuffleOutputBound& e) {
  Task* ts = find(e.key);
  if (!ts) return;
  TaskExtra& extra = state_.extra(*ts);
  if (extra.own_workers) return;  // bound by the other shuffle of a join: both give the same worker
  extra.own_workers = ts->annotations ? ts->annotations->workers : std::vector<std::string>();
  restrict_to(*ts, {std::move(e.worker)});
  run_recommendations();
}

void Machine::on(ShuffleEnded& e) {
  const Task* barrier = find(e.barrier);
  if (!barrier) return;
  for (const Edge& edge : barrier->dependents) {
    Task& ts = state_.task(edge.task);
    if (!ts.extra || !ts.extra->own_workers) continue;
    restrict_to(ts, *std::move(ts.extra->own_workers));
    ts.extra->own_workers.reset();
  }
  run_recommendations();
}

// The task that a transfer was fused into: dask leaves an alias under the transfer's own name, and names the fused task after all of its
// parts, the last of them at the end. The alias alone would run again without sending anything.
Task* Machine::fused_transfer(const Task& alias) {
  if (alias.dependencies.size() != 1) return nullptr;
  Task& fused = state_.task(alias.dependencies.begin()->task);
  return state_.group(fused.group).key.ends_with("-" + state_.group(alias.group).key) ? &fused : nullptr;
}

void Machine::on(ShuffleRestarted& e) {
  Task* barrier = find(e.barrier);
  if (!barrier) return;
  for (const Edge& edge : barrier->dependents)  // it has failed: nothing to start over for
    if (state_.task(edge.task).state == TaskState::kErred) return;
  if (barrier->state == TaskState::kErred) return;
  for (const Edge& edge : barrier->dependencies)
    if (state_.task(edge.task).state == TaskState::kErred) return;
  // The last one that is recommended has its turn first: inputs, then the barrier, then outputs.
  for (const Edge& edge : barrier->dependents) recommend(state_.task(edge.task), TaskState::kReleased);
  recommend(*barrier, TaskState::kReleased);
  for (const Edge& edge : barrier->dependencies) recommend(state_.task(edge.task), TaskState::kReleased);
  for (const Edge& edge : barrier->dependencies)
    if (Task* fused = fused_transfer(state_.task(edge.task))) recommend(*fused, TaskState::kReleased);
  queue_slots_maybe_opened();
}

}  // namespace dask::scheduler
