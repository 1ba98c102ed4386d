#include "model_worker.h"

#include <fmt/format.h>

#include <algorithm>

namespace dask::sim {
namespace {
constexpr Time kFindMissingInterval = 1 * kSecond;
constexpr Time kBusyRetryDelay = 150 * kMillisecond;
constexpr std::size_t kFetchBatchMax = 4;
}  // namespace

const char* ModelWorker::name_of(State state) {
  static const char* const names[] = {"released", "waiting", "ready",  "executing", "long-running", "fetch",
                                      "flight",   "missing", "memory", "error",     "cancelled",    "resumed"};
  return names[static_cast<int>(state)];
}

ModelWorker::ModelWorker(World& world, Process self, std::int64_t nthreads, Surroundings surroundings)
    : world_(world), self_(self), nthreads_(nthreads), out_(std::move(surroundings)) {}

void ModelWorker::receive(const std::vector<ToWorker>& batch) {
  for (const ToWorker& message : batch) {
    std::visit([this](const auto& m) { on(m); }, message);
    ensure_computing();
    ensure_communicating();
  }
}

// ---- what the scheduler says ----

void ModelWorker::on(const Compute& m) {
  Item& item = tasks_[m.task];
  item.run_id = m.run_id;
  switch (item.state) {
    case State::kWaiting:
    case State::kReady:
    case State::kExecuting:
    case State::kLongRunning: return;
    case State::kMemory: return out_.tell(Finished{m.task, m.run_id});
    default: break;
  }
  item.priority = m.priority;
  for (const Location& location : m.dependencies) {
    if (location.holders.empty())
      out_.complain(fmt::format("{} is to run without a holder of {}", world_.tasks[m.task].name, world_.tasks[location.task].name));
    tasks_[location.task].dependents.insert(m.task);
    item.dependencies.insert(location.task);
  }
  update_who_has(m.dependencies);
  if (item.state == State::kCancelled && item.previous != State::kFlight) {
    item.state = item.previous;
    if (item.state == State::kLongRunning) out_.tell(Seceded{m.task, item.run_id});
  } else if (item.state == State::kFlight || item.state == State::kCancelled) {
    item.previous = State::kFlight;
    item.state = State::kResumed;
  } else if (item.state == State::kResumed) {
    if (item.previous != State::kFlight) item.state = item.previous;  // it is still executing: as asked
  } else {
    release(m.task);
    wait(m.task);
  }
}

void ModelWorker::on(const RemoveReplica& m) {
  auto it = tasks_.find(m.task);
  if (it == tasks_.end() || it->second.state != State::kMemory) return;
  for (TaskIx dependent : it->second.dependents) {
    const State s = tasks_.at(dependent).state;
    if (s == State::kExecuting || s == State::kLongRunning)
      out_.complain(
          fmt::format("the replica of {} is to go while {} is {}", world_.tasks[m.task].name, world_.tasks[dependent].name, name_of(s)));
  }
  release(m.task);
}

void ModelWorker::on(const Acquire& m) {
  for (const Location& location : m.replicas) tasks_[location.task];
  update_who_has(m.replicas);
  for (const Location& location : m.replicas) need(location.task);
}

void ModelWorker::on(const WhoHas& m) {
  update_who_has(m.replicas);
  for (const Location& location : m.replicas) {
    auto it = tasks_.find(location.task);
    if (it != tasks_.end() && (it->second.state == State::kMissing || it->second.state == State::kFetch)) fetch_or_miss(location.task);
  }
}

void ModelWorker::on(const PeerGone& m) {
  for (auto& [task, item] : tasks_)
    if (item.who_has.erase(m.peer) && item.state == State::kFetch) fetch_or_miss(task);
}

void ModelWorker::on(const StealRequest& m) {
  auto it = tasks_.find(m.task);
  const std::string state = it == tasks_.end() ? "" : name_of(it->second.state);
  out_.tell(StealAnswer{m.task, state, m.stimulus_id});
  if (state == "waiting" || state == "ready") release(m.task);
}

void ModelWorker::on(const Update& m) {
  Item& item = tasks_[m.task];
  const State s = item.state == State::kCancelled ? item.previous : item.state;  // a stock worker would drop it when cancelled
  if (s != State::kReleased && s != State::kFetch && s != State::kMissing && s != State::kFlight) return;
  into_memory(m.task, world_.tasks[m.task].value);
}

// ---- states ----

void ModelWorker::update_who_has(const std::vector<Location>& locations) {
  for (const Location& location : locations) {
    auto it = tasks_.find(location.task);
    if (it == tasks_.end()) continue;
    it->second.who_has.clear();
    for (Process holder : location.holders)
      if (holder != self_) it->second.who_has.insert(holder);
  }
}

void ModelWorker::wait(TaskIx task) {
  Item& item = tasks_[task];
  item.waiting_for.clear();
  item.state = State::kWaiting;
  for (TaskIx d : item.dependencies) {
    if (tasks_[d].state == State::kMemory) continue;
    item.waiting_for.insert(d);
    tasks_[d].waiters.insert(task);
    need(d);
  }
  if (!item.waiting_for.empty()) return;
  item.state = State::kReady;
  ready_.insert({item.priority, task});
}

void ModelWorker::need(TaskIx task) {
  Item& item = tasks_[task];
  switch (item.state) {
    case State::kReleased:
    case State::kMissing:
    case State::kError: return fetch_or_miss(task);
    case State::kCancelled: item.state = item.previous == State::kFlight ? State::kFlight : State::kResumed; return;
    case State::kResumed:
      if (item.previous == State::kFlight) item.state = State::kFlight;
      return;
    default: return;
  }
}

void ModelWorker::fetch_or_miss(TaskIx task) {
  Item& item = tasks_[task];
  item.state = item.who_has.empty() ? State::kMissing : State::kFetch;
  if (item.state != State::kMissing || looking_) return;
  looking_ = true;
  out_.after(kFindMissingInterval, [this] { look_for_missing(); });
}

void ModelWorker::look_for_missing() {
  looking_ = false;
  WhereIs question;
  for (const auto& [task, item] : tasks_)
    if (item.state == State::kMissing) question.tasks.push_back(task);
  if (question.tasks.empty()) return;
  out_.tell(question);
  looking_ = true;
  out_.after(kFindMissingInterval, [this] { look_for_missing(); });
}

void ModelWorker::release(TaskIx task) {
  auto it = tasks_.find(task);
  if (it == tasks_.end()) return;
  Item& item = it->second;
  switch (item.state) {
    case State::kReleased:
    case State::kCancelled: return;
    case State::kExecuting:
    case State::kLongRunning:
    case State::kFlight:
      item.previous = item.state;
      item.state = State::kCancelled;
      return;
    case State::kResumed: item.state = State::kCancelled; return;
    case State::kMemory: out_.tell(Released{task}); return purge(task);
    default: return purge(task);
  }
}

void ModelWorker::purge(TaskIx task) {
  Item& item = tasks_[task];
  ready_.erase({item.priority, task});
  item.state = State::kReleased;
  item.who_has.clear();
  item.waiting_for.clear();
  const std::set<TaskIx> dependencies = item.dependencies;
  for (TaskIx d : dependencies) {
    Item& dependency = tasks_[d];
    dependency.waiters.erase(task);
    const bool loose = dependency.state == State::kFetch || dependency.state == State::kFlight || dependency.state == State::kMissing ||
                       dependency.state == State::kError;
    if (dependency.waiters.empty() && loose) release(d);
  }
  forget_if_unneeded(task);
}

void ModelWorker::forget_if_unneeded(TaskIx task) {
  auto it = tasks_.find(task);
  if (it == tasks_.end() || it->second.state != State::kReleased || !it->second.dependents.empty()) return;
  const std::set<TaskIx> dependencies = std::move(it->second.dependencies);
  tasks_.erase(it);
  for (TaskIx d : dependencies)
    if (auto dependency = tasks_.find(d); dependency != tasks_.end()) {
      dependency->second.dependents.erase(task);
      forget_if_unneeded(d);
    }
}

void ModelWorker::into_memory(TaskIx task, std::uint64_t value) {
  Item& item = tasks_[task];
  item.state = State::kMemory;
  item.value = value;
  const std::set<TaskIx> dependents = item.dependents;
  for (TaskIx dependent : dependents) {
    Item& waiter = tasks_[dependent];
    if (!waiter.waiting_for.erase(task)) continue;
    if (waiter.state != State::kWaiting || !waiter.waiting_for.empty()) continue;
    waiter.state = State::kReady;
    ready_.insert({waiter.priority, dependent});
  }
  item.waiters.clear();
}

// ---- running ----

void ModelWorker::ensure_computing() {
  while (!paused_ && !ready_.empty() && static_cast<std::int64_t>(executing_.size()) < nthreads_) {
    const TaskIx task = ready_.begin()->second;
    ready_.erase(ready_.begin());
    run(task);
  }
}

void ModelWorker::run(TaskIx task) {
  Item& item = tasks_[task];
  item.state = State::kExecuting;
  executing_.insert(task);
  const TaskInfo& info = world_.tasks[task];
  const int attempt = out_.count_run(task);
  bool inputs_missing = false;
  std::uint64_t value = mix(task + 1);
  for (TaskIx d : info.dependencies) {  // in their order
    const auto it = tasks_.find(d);
    inputs_missing = inputs_missing || it == tasks_.end() || it->second.state != State::kMemory;
    if (!inputs_missing) value = mix(value ^ it->second.value);
  }
  const Time duration = world_.random.between(1, world_.run_max);
  item.seceding = world_.random.chance(info.secedes);
  if (item.seceding) out_.after(duration / 2, [this, task] { secede(task); });
  out_.after(duration, [this, task, run_id = item.run_id, attempt, value, inputs_missing] {
    done(task, run_id, attempt, inputs_missing ? nullptr : &value);
  });
}

void ModelWorker::secede(TaskIx task) {
  Item& item = tasks_.at(task);
  if (!executing_.erase(task)) return;
  if (item.state == State::kExecuting) {
    item.state = State::kLongRunning;
    out_.tell(Seceded{task, item.run_id});
  } else {
    item.previous = State::kLongRunning;
  }
  ensure_computing();
}

// The end of a run; `value` is null when its inputs were not there.
void ModelWorker::done(TaskIx task, std::int64_t run_id, int attempt, const std::uint64_t* value) {
  Item& item = tasks_.at(task);
  const TaskInfo& info = world_.tasks[task];
  executing_.erase(task);
  std::string error;
  if (!value)
    error = "inputs missing";
  else if (info.errs || attempt < info.errs_first)
    error = "user: " + info.name;
  const bool gives_back = error.empty() && world_.random.chance(info.reschedules);
  if (item.state == State::kCancelled) {
    purge(task);
  } else if (item.state == State::kResumed) {
    item.state = State::kReleased;
    if (error.empty() && !gives_back) {
      into_memory(task, *value);
      out_.tell(Added{task});
    } else {
      fetch_or_miss(task);
    }
  } else if (!error.empty()) {
    item.state = State::kError;
    out_.tell(Erred{task, run_id, error});
  } else if (gives_back) {
    out_.tell(GivenBack{task});
    purge(task);
  } else {
    into_memory(task, *value);
    out_.tell(Finished{task, run_id});
  }
  ensure_computing();
  ensure_communicating();
}

void ModelWorker::pause(bool paused) {
  paused_ = paused;
  out_.tell(Paused{paused});
  ensure_computing();
  ensure_communicating();
}

// ---- fetching ----

void ModelWorker::ensure_communicating() {
  if (paused_) return;
  for (auto& [task, item] : tasks_) {
    if (item.state != State::kFetch) continue;
    for (Process peer : item.who_has) {
      if (in_flight_.contains(peer) || busy_.contains(peer)) continue;
      std::vector<TaskIx> batch;
      for (auto& [other, other_item] : tasks_)
        if (other_item.state == State::kFetch && other_item.who_has.contains(peer) && batch.size() < kFetchBatchMax) {
          other_item.state = State::kFlight;
          batch.push_back(other);
        }
      in_flight_[peer] = batch;
      out_.fetch(peer, batch);
      break;
    }
  }
}

// The end of a flight; `value` is null when the peer did not give it.
void ModelWorker::arrived(TaskIx task, const std::uint64_t* value, Process peer) {
  auto known = tasks_.find(task);
  if (known == tasks_.end()) return;  // scattered and freed in the meantime
  Item& item = known->second;
  if (!value) item.who_has.erase(peer);
  if (item.state == State::kMemory) return;  // scattered in the meantime
  if (item.state == State::kCancelled) {
    purge(task);
  } else if (item.state == State::kResumed) {
    item.state = State::kReleased;
    if (value) {
      into_memory(task, *value);
      out_.tell(Finished{task, item.run_id});
    } else {
      wait(task);
    }
  } else if (item.state == State::kFlight) {
    if (value) {
      into_memory(task, *value);
      out_.tell(Added{task});
    } else {
      fetch_or_miss(task);
    }
  }  // else it was scattered and freed in the meantime
}

void ModelWorker::fetched(Process peer, const std::vector<TaskIx>& asked, const std::map<TaskIx, std::uint64_t>& data) {
  in_flight_.erase(peer);
  for (TaskIx task : asked) {
    auto it = data.find(task);
    arrived(task, it == data.end() ? nullptr : &it->second, peer);
  }
  ensure_computing();
  ensure_communicating();
}

void ModelWorker::fetch_failed(Process peer, const std::vector<TaskIx>& asked) {
  in_flight_.erase(peer);
  for (TaskIx task : asked) arrived(task, nullptr, peer);
  on(PeerGone{peer});
  ensure_computing();
  ensure_communicating();
}

void ModelWorker::peer_busy(Process peer, const std::vector<TaskIx>& asked) {
  in_flight_.erase(peer);
  busy_.insert(peer);
  WhereIs question;
  for (TaskIx task : asked) {
    auto known = tasks_.find(task);
    if (known == tasks_.end()) continue;
    Item& item = known->second;
    if (item.state == State::kCancelled) {
      purge(task);
    } else if (item.state == State::kResumed) {
      item.state = State::kReleased;
      wait(task);
    } else if (item.state == State::kFlight) {
      item.state = State::kFetch;
      if (std::all_of(item.who_has.begin(), item.who_has.end(), [&](Process p) { return busy_.contains(p); }))
        question.tasks.push_back(task);
    }
  }
  if (!question.tasks.empty()) out_.tell(question);
  out_.after(kBusyRetryDelay, [this, peer] {
    busy_.erase(peer);
    ensure_communicating();
  });
  ensure_computing();
  ensure_communicating();
}

// ---- looking in from outside ----

std::map<TaskIx, std::uint64_t> ModelWorker::serve(const std::vector<TaskIx>& asked) const {
  std::map<TaskIx, std::uint64_t> data;
  for (TaskIx task : asked)
    if (auto it = tasks_.find(task); it != tasks_.end() && it->second.state == State::kMemory) data.emplace(task, it->second.value);
  return data;
}

bool ModelWorker::has(TaskIx task) const {
  auto it = tasks_.find(task);
  return it != tasks_.end() && it->second.state == State::kMemory;
}

std::vector<TaskIx> ModelWorker::in_memory() const {
  std::vector<TaskIx> found;
  for (const auto& [task, item] : tasks_)
    if (item.state == State::kMemory) found.push_back(task);
  return found;
}

bool ModelWorker::busy_with(TaskIx task) const {
  auto it = tasks_.find(task);
  if (it == tasks_.end()) return false;
  switch (it->second.state) {
    case State::kWaiting:
    case State::kReady:
    case State::kExecuting:
    case State::kLongRunning:
    case State::kResumed: return true;
    default: return false;
  }
}

std::string ModelWorker::inventory() const {
  std::string text;
  for (const auto& [task, item] : tasks_) text += (text.empty() ? "" : ", ") + world_.tasks[task].name + " " + name_of(item.state);
  return text.empty() ? "nothing" : text;
}

}  // namespace dask::sim
