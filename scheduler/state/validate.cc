// The invariants of State, spelled out: tests and the simulation call this after every event. Dask's validate_state.
#include <algorithm>

#include "scheduler/state/state.h"

namespace dask::scheduler {
namespace {

struct Complaints {
  std::string text;
  template <class... Args>
  void expect(bool condition, const Task& ts, fmt::format_string<Args...> format, Args&&... args) {
    if (condition || text.size() > 4000) return;
    text += fmt::format("{} ({}): ", ts.key.repr(), name_of(ts.state)) + fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
};

}  // namespace

std::string State::validate() const {
  Complaints c;
  std::map<std::uint32_t, std::int64_t> worker_nbytes;
  std::size_t queued = 0, no_worker = 0, live = 0;
  for_each_task([&](const Task& ts) {
    ++live;
    c.expect(find(ts.key.msgpack()) == &ts, ts, "is not found under its key");
    std::uint32_t waiting_on = 0, waiters = 0;
    for (std::size_t i = 0; i < ts.dependencies.size(); ++i) {
      const Edge& edge = ts.dependencies[i];
      const Task& dependency = task(edge.task);
      waiting_on += edge.flag;
      c.expect(dependency.alive && dependency.state != TaskState::kForgotten, ts, "depends on a forgotten task");
      c.expect(edge.mate < dependency.dependents.size() && dependency.dependents[edge.mate].task == ts.slot &&
                   dependency.dependents[edge.mate].mate == i,
               ts, "edge {} and its mate disagree", i);
      if (ts.state == TaskState::kWaiting) {
        c.expect(static_cast<bool>(edge.flag) == dependency.who_has.empty(), ts, "waiting_on {} is {} with {} replicas",
                 dependency.key.repr(), edge.flag, dependency.who_has.size());
        c.expect(dependency.dependents[edge.mate].flag, ts, "is no waiter of {}", dependency.key.repr());
      }
      if (ts.state == TaskState::kProcessing || ts.state == TaskState::kQueued || ts.state == TaskState::kNoWorker) {
        c.expect(!dependency.who_has.empty(), ts, "is ready without {}", dependency.key.repr());
        c.expect(dependency.dependents[edge.mate].flag, ts, "is no waiter of {}", dependency.key.repr());
      }
    }
    for (const Edge& edge : ts.dependents) {
      waiters += edge.flag;
      if (edge.flag) {
        const TaskState s = task(edge.task).state;
        c.expect(s == TaskState::kWaiting || s == TaskState::kProcessing || s == TaskState::kQueued || s == TaskState::kNoWorker, ts,
                 "has a waiter {} in state {}", task(edge.task).key.repr(), name_of(s));
      }
    }
    c.expect(waiting_on == ts.waiting_on, ts, "waiting_on is {}, its edges say {}", ts.waiting_on, waiting_on);
    c.expect(waiters == ts.waiters, ts, "waiters is {}, its edges say {}", ts.waiters, waiters);
    c.expect(ts.recommendation == UINT32_MAX, ts, "has a recommendation left");
    for (const Want& want : ts.who_wants) {
      c.expect(has_client(want.client) && want.position < client(want.client).wants_what.size() &&
                   client(want.client).wants_what[want.position] == ts.slot,
               ts, "who_wants and wants_what disagree");
    }
    for (const Holder& holder : ts.who_has) {
      const Worker& ws = worker(holder.worker);
      c.expect(ws.present && holder.position < ws.has_what.size() && ws.has_what[holder.position] == ts.slot, ts,
               "who_has and has_what disagree on {}", ws.address);
      worker_nbytes[holder.worker.value] += nbytes_of(ts);
    }
    c.expect(ts.who_has.empty() == (ts.state != TaskState::kMemory), ts, "has {} replicas", ts.who_has.size());
    c.expect(ts.processing_on.valid() == (ts.state == TaskState::kProcessing), ts, "processing_on is {}", ts.processing_on.valid());
    if (ts.processing_on.valid()) {
      const Worker& ws = worker(ts.processing_on);
      c.expect(ws.present, ts, "is processing on {} that is gone", ws.address);
      c.expect(ts.processing_position < ws.processing.size() && ws.processing[ts.processing_position] == ts.slot, ts,
               "processing lists disagree");
      c.expect(ts.spec != SpecKind::kNone, ts, "is processing without a run spec");
    }
    if (ts.state == TaskState::kErred) c.expect(ts.extra && ts.extra->exception_blame.valid(), ts, "is erred and nobody is to blame");
    if (ts.state == TaskState::kQueued) ++queued;
    if (ts.state == TaskState::kNoWorker) {
      ++no_worker;
      c.expect(ts.extra && unrunnable_.contains(ts.extra->no_worker_ticket), ts, "is not among the unrunnable");
    }
    if (ts.state == TaskState::kWaiting) c.expect(!ts.who_wants.empty() || ts.waiters > 0, ts, "waits for nobody's sake");
  });
  if (live != index_.size()) c.text += fmt::format("{} tasks alive, {} in the index\n", live, index_.size());
  if (queued != queue_live_) c.text += fmt::format("{} tasks queued, the queue says {}\n", queued, queue_live_);
  if (no_worker != unrunnable_.size()) c.text += fmt::format("{} tasks without worker, the list says {}\n", no_worker, unrunnable_.size());
  std::int64_t network_occ = 0;
  for (const auto& [address, id] : addresses_) {
    const Worker& ws = worker(id);
    if (ws.nbytes != worker_nbytes[id.value])
      c.text += fmt::format("{}: nbytes is {}, its replicas sum up to {}\n", address, ws.nbytes, worker_nbytes[id.value]);
    std::int64_t needed = 0, counted = 0, long_running = 0;
    for (const auto& [dependency, need] : ws.needs_what) needed += need.nbytes;
    for (const auto& [prefix_id, n] : ws.task_prefix_count) counted += n;
    for (std::uint32_t slot : ws.processing) long_running += task(slot).long_running;
    if (needed != ws.network_occ)
      c.text += fmt::format("{}: network_occ is {}, needs_what sums up to {}\n", address, ws.network_occ, needed);
    if (long_running != ws.long_running)
      c.text += fmt::format("{}: long_running is {}, its tasks say {}\n", address, ws.long_running, long_running);
    if (counted + ws.long_running != static_cast<std::int64_t>(ws.processing.size()))
      c.text += fmt::format("{}: {} tasks by prefix, {} processing\n", address, counted, ws.processing.size());
    network_occ += ws.network_occ;
    if (ws.status == WorkerStatus::kRunning && !running_.contains(id)) c.text += fmt::format("{} runs and is not in running\n", address);
  }
  if (network_occ != network_occ_global_)
    c.text += fmt::format("network_occ is {} in all, workers sum up to {}\n", network_occ_global_, network_occ);
  return c.text;
}

}  // namespace dask::scheduler
