// Questions about the whole: how many workers would be right, since when nothing happens, what became of a key.
// Source: distributed/scheduler.py, adaptive_target, check_idle, story.
#include <algorithm>
#include <cmath>

#include "scheduler/machine/machine.h"
#include "scheduler/policy/closing.h"

namespace dask::scheduler {

std::int64_t Machine::adaptive_target(double target_duration_s) const {
  const auto n_workers = static_cast<std::int64_t>(state_.workers().size());
  const auto waiting = static_cast<std::int64_t>(state_.queue_size() + state_.unrunnable().size());
  // Dask takes a hundred tasks as a sample; the counts of the prefixes give the same without looking at tasks.
  double waiting_occupancy = 0;
  for (const auto& [name, id] : state_.prefixes()) {
    const TaskPrefix& tp = state_.prefix(id);
    const auto n = tp.states[static_cast<std::size_t>(TaskState::kQueued)] + tp.states[static_cast<std::size_t>(TaskState::kNoWorker)];
    waiting_occupancy += static_cast<double>(n) * state_.prefix_duration(tp);
  }
  auto cpu = static_cast<std::int64_t>(std::ceil((state_.total_occupancy() + waiting_occupancy) / target_duration_s));
  // A few long tasks do not need many threads.
  std::int64_t ready = waiting;
  for (const auto& [address, id] : state_.workers()) ready += static_cast<std::int64_t>(state_.worker(id).processing.size());
  cpu = std::min(cpu, ready);
  if (n_workers > 0)
    cpu = static_cast<std::int64_t>(
        std::ceil(static_cast<double>(cpu) / static_cast<double>(state_.total_nthreads()) * static_cast<double>(n_workers)));
  if (waiting > 0 && n_workers == 0) cpu = std::max<std::int64_t>(1, cpu);
  // More than 60 % of the memory in use: more workers.
  std::int64_t used = 0;
  for (const auto& [address, id] : state_.workers()) used += state_.worker(id).nbytes;
  const bool full = state_.total_memory() > 0 && static_cast<double>(used) > 0.6 * static_cast<double>(state_.total_memory());
  const std::int64_t target = std::max(cpu, full ? 2 * n_workers : 0);
  if (target >= n_workers) return target;
  return n_workers - static_cast<std::int64_t>(workers_to_close(state_, {}).size());
}

double Machine::idle_since(double now) {
  bool busy = state_.transition_counter != idle_transition_counter_ || state_.queue_size() > 0 || !state_.unrunnable().empty();
  idle_transition_counter_ = state_.transition_counter;
  for (const auto& [address, id] : state_.workers()) busy = busy || !state_.worker(id).processing.empty();
  if (busy)
    idle_since_ = -1;
  else if (idle_since_ < 0)
    idle_since_ = now;
  return idle_since_;
}

std::vector<TransitionRecord> Machine::story(const std::vector<std::string>& keys_or_stimuli) const {
  std::vector<TransitionRecord> lines;
  for (const TransitionRecord* record : state_.transition_log()) {
    const bool asked = std::any_of(keys_or_stimuli.begin(), keys_or_stimuli.end(), [&](const std::string& wanted) {
      return Key::equal(record->key, wanted) || record->stimulus_id == wanted;
    });
    if (asked) lines.push_back(*record);
  }
  return lines;
}

}  // namespace dask::scheduler
