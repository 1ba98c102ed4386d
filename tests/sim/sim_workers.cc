// Workers of a simulation: their lives, their links, and what goes wrong with them.
#include <fmt/format.h>

#include <algorithm>

#include "model_worker.h"
#include "real_worker.h"
#include "simulation.h"

namespace dask::sim {

using namespace scheduler;

void Simulation::start_worker(int index) {
  const auto process = static_cast<Process>(processes_.size());
  auto owned = std::make_unique<WorkerProcess>();
  WorkerProcess& w = *owned;
  w.process = process;
  w.index = index;
  w.name = "w" + std::to_string(index);
  SimWorker::Surroundings around;
  around.tell = [this, &w](FromWorker message) {
    if (!w.connected) return;
    w.to_scheduler.send(timeline_, world_.delay(), [this, &w, message = std::move(message)] { from_worker(w, message); });
  };
  around.fetch = [this, &w](Process peer, std::vector<TaskIx> asked) { fetch(w, peer, std::move(asked)); };
  around.after = [this, &w](Time delay, std::function<void()> what) {
    timeline_.after(delay, [&w, what = std::move(what)] {
      if (w.alive) what();
    });
  };
  around.count_run = [this](TaskIx task) { return runs_[task]++; };
  around.complain = [this, &w](std::string text) { fail(w.name + ": " + text); };
  w.model = make_worker(w, std::move(around));
  processes_.push_back(std::move(owned));
  current_[index] = process;

  timeline_.after(world_.delay(), [this, &w] {
    const std::string address = "tcp://10.0.0.1:" + std::to_string(9000 + w.index);
    if (!w.alive) return;
    if (machine_.state().find_worker(address)) {  // the one before is not buried yet: try again later
      w.alive = false;
      timeline_.after(50 * kMillisecond, [this, i = w.index, p = w.process] {
        if (current_[i] == p) start_worker(i);
      });
      return;
    }
    Worker ws;
    ws.address = address;
    ws.host = "10.0.0.1";
    ws.name = Value(w.name);
    ws.nthreads = world_.nthreads[static_cast<std::size_t>(w.index)];
    ws.status = WorkerStatus::kRunning;
    ws.native = world_.native[static_cast<std::size_t>(w.index)];
    if (w.index == 0) ws.resources["GPU"] = 1;
    w.connected = true;
    w.id = WorkerId{static_cast<std::uint32_t>(machine_.state().workers_added)};  // the next; named before its first tasks are sent
    by_id_[w.id] = w.process;
    happen(WorkerConnected{std::move(ws)}, "worker connected");
    if (machine_.last_worker() != w.id) fail("worker ids are not dense: mend the simulation");
    heartbeat(w);
  });
}

std::unique_ptr<SimWorker> Simulation::make_worker(const WorkerProcess& w, SimWorker::Surroundings around) {
  const std::int64_t nthreads = world_.nthreads[static_cast<std::size_t>(w.index)];
  const bool real = kind_ == WorkerKind::kReal || (kind_ == WorkerKind::kMixed && mix(world_.seed + w.process) % 2 == 0);
  if (!real) return std::make_unique<ModelWorker>(world_, w.process, nthreads, std::move(around));
  std::map<std::string, double> resources;
  if (w.index == 0) resources["GPU"] = 1;
  return std::make_unique<RealWorker>(world_, w.process, nthreads, std::move(resources), std::move(around));
}

Simulation::WorkerProcess* Simulation::process_of(WorkerId id) {
  auto it = by_id_.find(id);
  return it == by_id_.end() ? nullptr : processes_[it->second].get();
}

// The id to report a native task by: the one that the worker gives, else (a model worker) the one that was sent last.
std::optional<TaskId> Simulation::native_id(const WorkerProcess& w, TaskIx task, const std::optional<TaskId>& given) const {
  if (given || dynamic_cast<const RealWorker*>(w.model.get())) return given;
  const auto sent = w.native_tasks.find(task);
  return sent == w.native_tasks.end() ? std::nullopt : std::optional(sent->second);
}

void Simulation::from_worker(WorkerProcess& w, const FromWorker& message) {
  const auto key = [this](TaskIx task) { return world_.tasks[task].key; };
  const double usual = static_cast<double>(world_.run_max) * 0.5e-6;  // seconds that a task takes
  if (const auto* m = std::get_if<Finished>(&message)) {
    log("{} -> finished {} run {}", w.name, name(m->task), m->run_id);
    if (const auto native = native_id(w, m->task, m->native)) {
      NativeTasksFinished e{w.id, {}, {"int"}};
      e.rows.push_back({*native, m->run_id, world_.tasks[m->task].nbytes, 0, usual, 0});
      return happen(std::move(e), "native finished");
    }
    TaskFinished e{w.id, {}};
    e.msg.key = key(m->task);
    e.msg.run_id = m->run_id;
    e.msg.nbytes = world_.tasks[m->task].nbytes;
    e.msg.typename_ = "int";
    const double now = static_cast<double>(timeline_.now()) * 1e-6;
    e.msg.startstops.push_back({"compute", now - usual, now});
    happen(std::move(e), "finished");
  } else if (const auto* erred = std::get_if<Erred>(&message)) {
    log("{} -> erred {} run {}: {}", w.name, name(erred->task), erred->run_id, erred->text);
    if (const auto native = native_id(w, erred->task, erred->native)) {
      auto failure = std::make_shared<Failure>();
      failure->exception_text = erred->text;
      NativeTasksErred e{w.id, {}};
      e.rows.push_back({*native, erred->run_id, 0, 0.01, std::move(failure)});
      return happen(std::move(e), "native erred");
    }
    TaskErred e{w.id, {}};
    e.msg.key = key(erred->task);
    e.msg.run_id = erred->run_id;
    e.msg.exception_text = erred->text;
    happen(std::move(e), "erred");
  } else if (const auto* released = std::get_if<Released>(&message)) {
    log("{} -> released {}", w.name, name(released->task));
    happen(WorkerDataReleased{w.id, {key(released->task)}}, "data released");
  } else if (const auto* added = std::get_if<Added>(&message)) {
    log("{} -> added {}", w.name, name(added->task));
    happen(ReplicasAdded{w.id, {key(added->task)}}, "replica added");
  } else if (const auto* seceded = std::get_if<Seceded>(&message)) {
    log("{} -> long-running {} run {}", w.name, name(seceded->task), seceded->run_id);
    TaskLongRunning e{w.id, {}};
    e.msg.key = key(seceded->task);
    e.msg.run_id = seceded->run_id;
    e.msg.compute_duration = 0.1;
    happen(std::move(e), "long-running");
  } else if (const auto* given_back = std::get_if<GivenBack>(&message)) {
    log("{} -> reschedule {}", w.name, name(given_back->task));
    happen(TaskRescheduled{w.id, key(given_back->task)}, "rescheduled");
  } else if (const auto* where = std::get_if<WhereIs>(&message)) {
    log("{} -> where are {} tasks, first {}", w.name, where->tasks.size(), name(where->tasks[0]));
    happen(WhoHasRequested{w.id, keys(where->tasks)}, "who has");
  } else if (const auto* paused = std::get_if<Paused>(&message)) {
    log("{} -> {}", w.name, paused->paused ? "paused" : "running");
    if (!w.retiring) happen(WorkerStatusChanged{w.id, paused->paused ? WorkerStatus::kPaused : WorkerStatus::kRunning}, "status");
  } else if (const auto* answer = std::get_if<StealAnswer>(&message)) {
    log("{} -> steal answer {}: {}", w.name, name(answer->task), answer->state);
    happen(StealAnswered{w.id, key(answer->task), answer->state, answer->stimulus_id}, "steal answered");
  }
}

// A worker asks a peer for data: there and back, unless one of them dies.
void Simulation::fetch(WorkerProcess& from, Process peer, std::vector<TaskIx> asked) {
  timeline_.after(world_.delay(), [this, &from, peer, asked = std::move(asked)] {
    WorkerProcess& to = *processes_[peer];
    const bool dead = !to.alive, busy = !dead && world_.random.chance(world_.busy_peer);
    auto data = dead || busy ? std::map<TaskIx, std::uint64_t>{} : to.model->serve(asked);
    timeline_.after(world_.delay(), [this, &from, peer, dead, busy, asked, data = std::move(data)] {
      if (!from.alive) return;
      log("{} fetched {} from {}: {}", from.name, name(asked[0]), processes_[peer]->name,
          dead   ? "dead"
          : busy ? "busy"
                 : fmt::format("{} of {}", data.size(), asked.size()));
      if (dead)
        from.model->fetch_failed(peer, asked);
      else if (busy)
        from.model->peer_busy(peer, asked);
      else
        from.model->fetched(peer, asked, data);
    });
  });
}

Simulation::WorkerProcess* Simulation::some_worker(bool running) {
  std::vector<WorkerProcess*> found;
  for (const auto& [index, process] : current_)
    if (WorkerProcess& w = *processes_[process]; w.alive && w.connected && (!running || (!w.paused && !w.retiring))) found.push_back(&w);
  return found.empty() ? nullptr : world_.random.of(found);
}

// The process ends. What it has sent may still arrive before its end is noticed, be lost, or come even later.
void Simulation::kill(WorkerProcess& w, bool expected) {
  log("{} dies{}", w.name, expected ? " as expected" : "");
  w.alive = false;
  w.connected = false;
  w.to_worker.close();
  const auto fate = world_.random.below(3);
  if (fate == 0) w.to_scheduler.close();
  const Time noticed = fate == 1 ? w.to_scheduler.last() + 1 : timeline_.now() + world_.delay();
  timeline_.at(noticed, [this, &w, expected] {
    happen(WorkerLeft{w.id, expected}, "worker left");
    if (expected) return;
    for (auto& other : processes_)  // the shell tells the others
      if (other->alive && other->connected)
        other->to_worker.send(timeline_, world_.delay(), [o = other.get(), gone = w.process] { o->model->receive({PeerGone{gone}}); });
  });
  timeline_.at(noticed + world_.random.between(0, 2 * kSecond), [this, index = w.index] { start_worker(index); });
}

void Simulation::pause(WorkerProcess& w) {
  log("{} pauses", w.name);
  w.paused = true;
  w.model->pause(true);
  timeline_.after(world_.random.between(0, 2 * kSecond), [&w] {
    if (!w.alive) return;
    w.paused = false;
    w.model->pause(false);
  });
}

bool Simulation::only_copies(const WorkerProcess& w) const {
  const State& state = machine_.state();
  const Worker& ws = state.worker(w.id);
  return std::any_of(ws.has_what.begin(), ws.has_what.end(), [&](std::uint32_t slot) {
    const Task& ts = state.task(slot);
    return std::none_of(ts.who_has.begin(), ts.who_has.end(), [&](const Holder& h) { return state.running().contains(h.worker); });
  });
}

void Simulation::retire(WorkerProcess& w) {
  log("{} retires", w.name);
  w.retiring = true;
  happen(WorkerStatusChanged{w.id, WorkerStatus::kClosingGracefully}, "closing gracefully");
  advance_retirement(w, timeline_.now() + 3 * kSecond);
}

void Simulation::advance_retirement(WorkerProcess& w, Time give_up) {
  if (!w.alive || !w.connected) return;
  happen(RetirementAdvanced{{w.id}}, "retirement advanced");
  if (!only_copies(w)) {
    retired_safely_ = true;
    happen(WorkerLeft{w.id, true}, "worker retired");
    retired_safely_ = false;
    return kill(w, true);
  }
  if (timeline_.now() > give_up) {
    w.retiring = false;
    happen(WorkerStatusChanged{w.id, WorkerStatus::kRunning}, "retirement given up");
    return;
  }
  timeline_.after(100 * kMillisecond, [this, &w, give_up] { advance_retirement(w, give_up); });
}

void Simulation::heartbeat(WorkerProcess& w) {
  if (!w.alive || !w.connected || !chaos_) return;
  WorkerHeartbeat e{w.id, Value(Value::Map{{"memory", 1000}}), static_cast<double>(timeline_.now()) * 1e-6, {}};
  for (TaskIx task = 0; task < world_.tasks.size(); ++task)
    if (w.model->busy_with(task) && world_.random.chance(0.3)) e.executing.emplace_back(world_.tasks[task].key, world_.random.unit());
  happen(std::move(e), "heartbeat");
  timeline_.after(500 * kMillisecond, [this, &w] { heartbeat(w); });
}

}  // namespace dask::sim
