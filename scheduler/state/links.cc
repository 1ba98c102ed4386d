// Edges between tasks, and the two waiting places: the queue of root-ish tasks and the list of tasks without a worker.
#include <algorithm>

#include "scheduler/state/state.h"

namespace dask::scheduler {

void State::add_dependency(Task& ts, Task& dependency) {
  Edge to_dependency;
  to_dependency.task = dependency.slot;
  to_dependency.mate = static_cast<std::uint32_t>(dependency.dependents.size());
  Edge to_dependent;
  to_dependent.task = ts.slot;
  to_dependent.mate = static_cast<std::uint32_t>(ts.dependencies.size());
  ts.dependencies.push_back(to_dependency);
  dependency.dependents.push_back(to_dependent);
  if (group(ts.group).dependencies.insert(dependency.group).second && dependency.group != ts.group) ++group(dependency.group).references;
}

void State::remove_dependency(Task& ts, std::size_t index) {
  const Edge edge = ts.dependencies[index];
  Task& dependency = task(edge.task);
  if (edge.flag) --ts.waiting_on;
  if (dependency.dependents[edge.mate].flag) --dependency.waiters;

  const std::uint32_t last_dependent = static_cast<std::uint32_t>(dependency.dependents.size() - 1);
  if (edge.mate != last_dependent) {
    dependency.dependents[edge.mate] = dependency.dependents[last_dependent];
    mate_of_dependent(dependency.dependents[edge.mate]).mate = edge.mate;
  }
  dependency.dependents.pop_back();

  const std::size_t last_dependency = ts.dependencies.size() - 1;
  if (index != last_dependency) {
    ts.dependencies[index] = ts.dependencies[last_dependency];
    mate_of_dependency(ts.dependencies[index]).mate = static_cast<std::uint32_t>(index);
  }
  ts.dependencies.pop_back();
}

void State::set_waiting_on(Task& ts, Edge& dependency, bool waits) {
  if (dependency.flag == (waits ? 1u : 0u)) return;
  dependency.flag = waits;
  ts.waiting_on += waits ? 1 : -1;
}

void State::set_waiter(Task& ts, Edge& dependent, bool waits) {
  if (dependent.flag == (waits ? 1u : 0u)) return;
  dependent.flag = waits;
  ts.waiters += waits ? 1 : -1;
}

void State::clear_waiters(Task& ts) {
  if (ts.waiters == 0) return;
  for (Edge& edge : ts.dependents) edge.flag = 0;
  ts.waiters = 0;
}

void State::clear_waiting_on(Task& ts) {
  if (ts.waiting_on == 0) return;
  for (Edge& edge : ts.dependencies) edge.flag = 0;
  ts.waiting_on = 0;
}

bool State::later(const QueueEntry& a, const QueueEntry& b) {
  if (a.priority != b.priority) return a.priority > b.priority;
  return a.slot > b.slot;
}

void State::queue_push(Task& ts) {
  queue_.push_back(QueueEntry{ts.priority, ts.slot, ++ts.queue_ticket});
  std::push_heap(queue_.begin(), queue_.end(), later);
  ++queue_live_;
}

void State::queue_remove(Task& ts) {
  ++ts.queue_ticket;  // its entry is stale now
  --queue_live_;
  // Stale entries must not outgrow the live ones.
  if (queue_.size() > 64 && queue_.size() > 4 * queue_live_) {
    std::erase_if(queue_, [&](const QueueEntry& entry) { return task(entry.slot).queue_ticket != entry.ticket; });
    std::make_heap(queue_.begin(), queue_.end(), later);
  }
}

Task* State::queue_peek() {
  while (!queue_.empty() && task(queue_.front().slot).queue_ticket != queue_.front().ticket) {
    std::pop_heap(queue_.begin(), queue_.end(), later);
    queue_.pop_back();
  }
  return queue_.empty() ? nullptr : &task(queue_.front().slot);
}

void State::unrunnable_add(Task& ts, double now) {
  const std::uint64_t ticket = ++unrunnable_ticket_;
  extra(ts).no_worker_ticket = ticket;
  unrunnable_.emplace(ticket, Unrunnable{ts.slot, now});
}

void State::unrunnable_remove(Task& ts) {
  if (!ts.extra || ts.extra->no_worker_ticket == 0) return;
  unrunnable_.erase(ts.extra->no_worker_ticket);
  ts.extra->no_worker_ticket = 0;
}

}  // namespace dask::scheduler
