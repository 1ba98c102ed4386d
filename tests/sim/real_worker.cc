#include "real_worker.h"

#include <fmt/format.h>

#include <charconv>

namespace dask::sim {
namespace {

constexpr Time kFindMissingInterval = 1 * kSecond;
constexpr Time kBusyRetryDelay = 150 * kMillisecond;
constexpr std::int64_t kNbytesMax = 1'000'000;  // of a task

worker::Settings settings_of(const World& world, std::int64_t nthreads, std::map<std::string, double> resources) {
  worker::Settings settings;
  settings.nthreads = static_cast<std::uint32_t>(nthreads);
  settings.resources = std::move(resources);
  settings.seed = world.seed;
  // Now and then limits that are reached.
  if (world.seed % 2) settings.transfer_message_bytes_limit = 2 * kNbytesMax;
  if (world.seed % 3 == 0) settings.transfer_incoming_bytes_limit = 3 * kNbytesMax;
  if (world.seed % 5 == 0) settings.transfer_incoming_count_limit = 1;
  return settings;
}

std::uint64_t handle_of(TaskId id) { return (std::uint64_t{id.generation} << 32) | id.index; }
TaskId id_of(std::uint64_t handle) { return {static_cast<std::uint32_t>(handle), static_cast<std::uint32_t>(handle >> 32)}; }

}  // namespace

// Two hosts, so that the choice of peers has something to choose by.
std::string RealWorker::address_of(Process process) { return fmt::format("tcp://10.0.0.{}:{}", 1 + process % 2, process); }

Process RealWorker::process_of(const std::string& address) {
  Process process = 0;
  std::from_chars(address.data() + address.rfind(':') + 1, address.data() + address.size(), process);
  return process;
}

RealWorker::RealWorker(World& world, Process self, std::int64_t nthreads, std::map<std::string, double> resources,
                       Surroundings surroundings)
    : world_(world), self_(self), out_(std::move(surroundings)), machine_(settings_of(world, nthreads, std::move(resources))) {
  machine_.set_address(address_of(self));
}

// ---- what the scheduler says ----

worker::Dependency RealWorker::dependency(const Location& location) const {
  worker::Dependency d{key(location.task), world_.tasks[location.task].nbytes, {}};
  for (Process holder : location.holders) d.who_has.push_back(address_of(holder));
  return d;
}

worker::ComputeTask RealWorker::compute(const Compute& m) const {
  const TaskInfo& info = world_.tasks[m.task];
  worker::ComputeTask e;
  e.key = info.key;
  e.run_id = m.run_id;
  for (const Location& location : m.dependencies) e.dependencies.push_back(dependency(location));
  e.priority = {m.priority.user, m.priority.generation, m.priority.order};
  if (m.native) {
    e.run_spec = worker::NativeRunSpec{"function", {}, handle_of(*m.native)};
  } else {
    e.run_spec = worker::PythonRunSpec{Value(info.name)};
  }
  if (info.annotations) e.resource_restrictions = info.annotations->resources;
  e.actor = info.actor;
  return e;
}

void RealWorker::receive(const std::vector<ToWorker>& batch) {
  worker::ComputeTasks native;  // of consecutive messages, as they come in one ComputeBatch
  const auto say_native = [&] {
    if (!native.tasks.empty()) say(std::exchange(native, {}));
  };
  for (const ToWorker& message : batch) {
    const auto* m = std::get_if<Compute>(&message);
    if (m && m->native) {
      native.tasks.push_back(compute(*m));
      continue;
    }
    say_native();
    if (m) {
      say(compute(*m));
    } else if (const auto* free = std::get_if<Free>(&message)) {
      say(worker::FreeKeys{{key(free->task)}});
    } else if (const auto* remove = std::get_if<RemoveReplica>(&message)) {
      say(worker::RemoveReplicas{{key(remove->task)}});
    } else if (const auto* acquire = std::get_if<Acquire>(&message)) {
      worker::AcquireReplicas e;
      for (const Location& location : acquire->replicas) e.replicas.push_back(dependency(location));
      say(std::move(e));
    } else if (const auto* who_has = std::get_if<WhoHas>(&message)) {
      worker::RefreshWhoHas e;
      for (const Location& location : who_has->replicas) e.who_has.push_back({key(location.task), dependency(location).who_has});
      say(std::move(e));
    } else if (const auto* gone = std::get_if<PeerGone>(&message)) {
      say(worker::RemoveWorker{address_of(gone->peer)});
    } else if (const auto* steal = std::get_if<StealRequest>(&message)) {
      say(worker::StealRequest{key(steal->task)}, steal->stimulus_id);
    } else if (const auto* update = std::get_if<Update>(&message)) {
      store_[update->task] = world_.tasks[update->task].value;
      say(worker::UpdateData{{{key(update->task), world_.tasks[update->task].nbytes, {}, "int"}}});
    }
  }
  say_native();
}

// ---- the machine ----

void RealWorker::say(worker::Event event, const std::string& stimulus_id) {
  for (const worker::Instruction& instruction : machine_.handle(std::move(event), 0, stimulus_id)) carry_out(instruction);
  check();
  look_for_missing_later();
}

void RealWorker::carry_out(const worker::Instruction& instruction) {
  const auto index = [this](const Key& k) { return world_.index(k); };
  if (const auto* execution = std::get_if<worker::Execute>(&instruction)) {
    execute(*execution);
  } else if (const auto* gather = std::get_if<worker::GatherDep>(&instruction)) {
    std::vector<TaskIx> asked;
    for (const Key& k : gather->to_gather) asked.push_back(index(k));
    if (gather->worker == address_of(self_)) out_.complain("gathers from itself");
    out_.fetch(process_of(gather->worker), std::move(asked));
  } else if (const auto* later = std::get_if<worker::RetryBusyWorkerLater>(&instruction)) {
    out_.after(kBusyRetryDelay, [this, peer = later->worker] { say(worker::RetryBusyWorker{peer}); });
  } else if (const auto* drop = std::get_if<worker::DropData>(&instruction)) {
    store_.erase(index(drop->key));
  } else if (const auto* refuse = std::get_if<worker::RefuseData>(&instruction)) {
    out_.complain(refuse->reason);
  } else if (const auto* close = std::get_if<worker::CloseWorker>(&instruction)) {
    out_.complain(close->reason + "\n" + close->story);
  } else if (const auto* warning = std::get_if<worker::Warn>(&instruction)) {
    out_.complain(warning->text);
  } else if (const auto* finished = std::get_if<TaskFinishedMsg>(&instruction)) {
    out_.tell(Finished{index(finished->key), finished->run_id});
  } else if (const auto* native_finished = std::get_if<worker::NativeTaskFinishedMsg>(&instruction)) {
    out_.tell(Finished{index(native_finished->key), native_finished->run_id, id_of(native_finished->handle)});
  } else if (const auto* erred = std::get_if<TaskErredMsg>(&instruction)) {
    out_.tell(Erred{index(erred->key), erred->run_id, erred->exception_text});
  } else if (const auto* native_erred = std::get_if<worker::NativeTaskErredMsg>(&instruction)) {
    out_.tell(Erred{index(native_erred->key), native_erred->run_id, native_erred->failure->exception_text, id_of(native_erred->handle)});
  } else if (const auto* released = std::get_if<ReleaseWorkerDataMsg>(&instruction)) {
    out_.tell(Released{index(released->key)});
  } else if (const auto* added = std::get_if<AddKeysMsg>(&instruction)) {
    for (const Key& k : added->keys) out_.tell(Added{index(k)});
  } else if (const auto* seceded = std::get_if<LongRunningMsg>(&instruction)) {
    out_.tell(Seceded{index(seceded->key), seceded->run_id});
  } else if (const auto* given_back = std::get_if<RescheduleMsg>(&instruction)) {
    out_.tell(GivenBack{index(given_back->key)});
  } else if (const auto* ask = std::get_if<worker::RequestRefreshWhoHasMsg>(&instruction)) {
    WhereIs question;
    for (const Key& k : ask->keys) question.tasks.push_back(index(k));
    out_.tell(std::move(question));
  } else if (const auto* stolen = std::get_if<worker::StealResponseMsg>(&instruction)) {
    out_.tell(StealAnswer{index(stolen->key), stolen->state, stolen->stimulus_id});
  }
}

void RealWorker::execute(const worker::Execute& instruction) {
  const TaskIx task = world_.index(instruction.key);
  const TaskInfo& info = world_.tasks[task];
  if (running_.contains(task)) return out_.complain(info.name + " runs already");
  const std::uint64_t execution = running_[task] = ++executions_;
  const int attempt = out_.count_run(task);
  std::uint64_t value = mix(task + 1);
  for (TaskIx d : info.dependencies) {
    const auto input = store_.find(d);
    if (input == store_.end()) return out_.complain(fmt::format("{} is to run without {}", info.name, world_.tasks[d].name));
    value = mix(value ^ input->second);
  }
  const Time duration = world_.random.between(1, world_.run_max);
  const auto still_runs = [this, task, execution] {
    const auto found = running_.find(task);
    return found != running_.end() && found->second == execution;
  };
  if (world_.random.chance(info.secedes))
    out_.after(duration / 2, [this, still_runs, k = info.key] {
      if (still_runs()) say(worker::Secede{k, 0.1});
    });
  out_.after(duration, [this, still_runs, task, attempt, value, run_id = instruction.run_id] {
    if (!still_runs()) return;
    running_.erase(task);
    const TaskInfo& t = world_.tasks[task];
    if (t.errs || attempt < t.errs_first) {
      worker::ExecuteFailure e;
      e.key = t.key;
      e.run_id = run_id;
      e.failure = std::make_shared<const worker::Failure>(worker::Failure{{}, {}, "user: " + t.name, {}});
      return say(std::move(e));
    }
    if (world_.random.chance(t.reschedules)) return say(worker::Reschedule{t.key});
    store_[task] = value;
    worker::ExecuteSuccess e;
    e.key = t.key;
    e.run_id = run_id;
    e.stop = 0.1;
    e.nbytes = t.nbytes;
    e.typename_ = "int";
    say(std::move(e));
  });
}

void RealWorker::check() {
  if (std::string wrong = machine_.validate(); !wrong.empty()) return out_.complain("the state is inconsistent: " + wrong);
  if (store_.size() != machine_.in_memory_count())
    return out_.complain(fmt::format("{} values in the store, {} tasks in memory", store_.size(), machine_.in_memory_count()));
  for (const auto& [task, value] : store_)
    if (const worker::Task* ts = machine_.find(key(task)); !ts || ts->state != worker::TaskState::kMemory)
      return out_.complain(world_.tasks[task].name + " is in the store and not in memory");
  if (running_.size() != machine_.executing_count() + machine_.long_running().size()) out_.complain("not as many tasks run as it believes");
}

void RealWorker::look_for_missing_later() {
  if (looking_ || machine_.missing_dep_flight().empty()) return;
  looking_ = true;
  out_.after(kFindMissingInterval, [this] {
    looking_ = false;
    say(worker::FindMissing{});
  });
}

// ---- what happens to it ----

void RealWorker::fetched(Process peer, const std::vector<TaskIx>&, const std::map<TaskIx, std::uint64_t>& data) {
  worker::GatherDepSuccess e;
  e.worker = address_of(peer);
  for (const auto& [task, value] : data) {
    store_[task] = value;
    e.data.push_back({key(task), world_.tasks[task].nbytes, {}, "int"});
  }
  say(std::move(e));
}

void RealWorker::fetch_failed(Process peer, const std::vector<TaskIx>&) { say(worker::GatherDepNetworkFailure{address_of(peer)}); }

void RealWorker::peer_busy(Process peer, const std::vector<TaskIx>&) { say(worker::GatherDepBusy{address_of(peer)}); }

void RealWorker::pause(bool paused) {
  out_.tell(Paused{paused});
  if (paused) {
    say(worker::Pause{});
  } else {
    say(worker::Unpause{});
  }
}

bool RealWorker::executor_dies() {
  worker::DataLost lost;
  for (const auto& [task, value] : std::exchange(store_, {})) lost.keys.push_back(key(task));
  say(std::move(lost));
  while (!running_.empty()) {
    const TaskIx task = running_.begin()->first;
    running_.erase(running_.begin());
    say(worker::Reschedule{key(task)});
  }
  return true;
}

// ---- looking in from outside ----

std::map<TaskIx, std::uint64_t> RealWorker::serve(const std::vector<TaskIx>& asked) const {
  std::map<TaskIx, std::uint64_t> data;
  for (TaskIx task : asked)
    if (auto found = store_.find(task); found != store_.end()) data.insert(*found);
  return data;
}

std::vector<TaskIx> RealWorker::in_memory() const {
  std::vector<TaskIx> found;
  for (const auto& [task, value] : store_) found.push_back(task);
  return found;
}

bool RealWorker::busy_with(TaskIx task) const {
  const worker::Task* ts = machine_.find(key(task));
  if (!ts) return false;
  switch (ts->state) {
    case worker::TaskState::kWaiting:
    case worker::TaskState::kReady:
    case worker::TaskState::kConstrained:
    case worker::TaskState::kExecuting:
    case worker::TaskState::kLongRunning:
    case worker::TaskState::kResumed: return true;
    default: return false;
  }
}

std::string RealWorker::inventory() const {
  std::string text;
  for (const worker::Task* ts : machine_.tasks())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", ts->key.str(), name_of(ts->state));
  return text.empty() ? "nothing" : text;
}

}  // namespace dask::sim
