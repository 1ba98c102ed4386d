// The scheduler of a simulation, and the course of a run: trouble, then calm, then the reckoning.
#include "simulation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <iostream>

namespace dask::sim {

using namespace scheduler;

namespace {
constexpr Time kSettleWindow = 60 * kSecond;
constexpr int kSettleWindowsMax = 30;
constexpr std::uint64_t kEventsMax = 200'000;  // a run that gets there goes round in circles
}  // namespace

Simulation::Simulation(std::uint64_t seed, WorkerKind kind, std::size_t log_lines, bool print)
    : world_(seed), kind_(kind), machine_(world_.settings), log_lines_(log_lines), print_(print), runs_(world_.tasks.size(), 0) {}

void Simulation::write(std::string line) {
  line = fmt::format("{:10.6f} {}", static_cast<double>(timeline_.now()) * 1e-6, line);
  if (print_) std::cout << line << "\n";
  outcome_.log.push_back(std::move(line));
  if (outcome_.log.size() > log_lines_) outcome_.log.pop_front();
}

void Simulation::fail(std::string why) {
  if (!outcome_.failure.empty()) return;
  log("FAILED: {}", why);
  outcome_.failure = std::move(why);
}

TaskState Simulation::state_of(TaskIx task) const {
  const Task* ts = machine_.state().find(world_.tasks[task].key.msgpack());
  return ts ? ts->state : TaskState::kForgotten;
}

void Simulation::happen(Event event, const char* what) {
  if (!outcome_.failure.empty()) return;
  ++outcome_.events;
  if (outcome_.events > kEventsMax) return fail("too many events: it goes round in circles");
  const std::string stimulus = fmt::format("{}-{}", what, outcome_.events);
  log("* {}", stimulus);
  deliver(machine_.handle(std::move(event), static_cast<double>(timeline_.now()) * 1e-6, stimulus));
  if (print_)
    for (const TransitionRecord& r : machine_.story({stimulus}))
      log("  {}: {} -> {}", Key::from_valid_msgpack(r.key).str(), name_of(r.start), name_of(r.finish));
  if (const std::string complaints = machine_.state().validate(); !complaints.empty()) fail("the state is inconsistent: " + complaints);
}

// Gathers what one event causes per receiver, as the shell does, and sends it.
void Simulation::deliver(const Actions& actions) {
  const State& state = machine_.state();
  std::map<WorkerId, std::vector<ToWorker>> to_workers;
  const auto task_of = [&](TaskId id) {
    const Task* ts = state.get(id);
    if (!ts) {
      fail("an action names a task that is gone");
      return TaskIx{0};
    }
    return world_.index(ts->key);
  };
  const auto locations = [&](std::uint32_t begin, std::uint32_t end) {
    std::vector<Location> found;
    for (auto d = begin; d < end; ++d) {
      Location location{task_of(actions.dependencies[d].task), {}};
      for (auto h = actions.dependencies[d].holders_begin; h < actions.dependencies[d].holders_end; ++h)
        location.holders.push_back(by_id_.at(actions.holders[h]));
      found.push_back(std::move(location));
    }
    return found;
  };
  const auto tell = [&](ClientId id, std::function<void(ModelClient&)> what) {
    for (auto& [client_id, c] : clients_by_id_)
      if ((!id.valid() || id == client_id) && c->connected && !c->leaving)
        c->to_client.send(timeline_, world_.delay(), [c, what] { what(*c); });
  };
  const auto set_status = [&](ClientId id, TaskIx task, Status status) {
    tell(id, [task, status](ModelClient& c) {
      if (auto it = c.futures.find(task); it != c.futures.end() && !(it->second == Status::kRejected || it->second == Status::kCancelled))
        it->second = status;
    });
  };

  for (const Action& action : actions.list) {
    if (const auto* a = std::get_if<SendComputeTask>(&action)) {
      const TaskIx task = task_of(a->task);
      log("  compute {} on {} run {}", name(task), process_of(a->worker)->name, a->run_id);
      if (!state.worker(a->worker).present) fail("a task is sent to a worker that is gone");
      const Task& ts = *state.get(a->task);
      process_of(a->worker)->native_tasks.erase(task);
      if (ts.spec == SpecKind::kNative) process_of(a->worker)->native_tasks[task] = a->task;
      if (ts.spec == SpecKind::kNative && !state.worker(a->worker).native) fail("a native task is sent to a worker that does not take any");
      to_workers[a->worker].push_back(Compute{task, a->run_id, ts.priority, locations(a->dependencies_begin, a->dependencies_end),
                                              ts.spec == SpecKind::kNative ? std::optional(a->task) : std::nullopt});
    } else if (const auto* free = std::get_if<SendFreeKey>(&action)) {
      const TaskIx task = free->task.valid() ? task_of(free->task) : world_.index(free->key);
      log("  free {} on {}", name(task), process_of(free->worker)->name);
      to_workers[free->worker].push_back(Free{task});
    } else if (const auto* remove = std::get_if<SendRemoveReplica>(&action)) {
      log("  remove replica {} on {}", remove->key.str(), process_of(remove->worker)->name);
      to_workers[remove->worker].push_back(RemoveReplica{world_.index(remove->key)});
    } else if (const auto* acquire = std::get_if<SendAcquireReplicas>(&action)) {
      log("  {} acquires {} replicas", process_of(acquire->worker)->name, acquire->dependencies_end - acquire->dependencies_begin);
      to_workers[acquire->worker].push_back(Acquire{locations(acquire->dependencies_begin, acquire->dependencies_end)});
    } else if (const auto* refresh = std::get_if<SendRefreshWhoHas>(&action)) {
      to_workers[refresh->worker].push_back(WhoHas{locations(refresh->dependencies_begin, refresh->dependencies_end)});
    } else if (const auto* steal = std::get_if<SendStealRequest>(&action)) {
      log("  steal {} from {}?", name(task_of(steal->task)), process_of(steal->worker)->name);
      to_workers[steal->worker].push_back(StealRequest{task_of(steal->task), steal->stimulus_id});
    } else if (const auto* memory = std::get_if<ReportKeyInMemory>(&action)) {
      log("  {} in memory for {}", name(task_of(memory->task)), state.client(memory->client).name);
      set_status(memory->client, task_of(memory->task), Status::kFinished);
    } else if (const auto* lost = std::get_if<ReportLostData>(&action)) {
      log("  {} lost for {}", name(task_of(lost->task)), state.client(lost->client).name);
      if (retired_safely_) fail(name(task_of(lost->task)) + " is lost with a worker that had handed everything over");
      set_status(lost->client, task_of(lost->task), Status::kPending);
    } else if (const auto* erred = std::get_if<ReportTaskErred>(&action)) {
      const TaskIx task = erred->task.valid() ? task_of(erred->task) : world_.index(erred->key);
      log("  {} erred for {}: {}: {}", name(task), state.client(erred->client).name, erred->failure->error_class,
          erred->failure->exception_text);
      tell(erred->client, [this, task, failure = erred->failure](ModelClient& c) { told_erred(c, task, *failure); });
    } else if (const auto* retried = std::get_if<ReportTaskRetried>(&action)) {
      log("  {} retried for {}", name(task_of(retried->task)), state.client(retried->client).name);
      set_status(retried->client, task_of(retried->task), Status::kPending);
    } else if (const auto* cancelled = std::get_if<ReportCancelledKeys>(&action)) {
      for (const Key& key : cancelled->keys) {
        log("  {} cancelled for {}: {}", key.str(), cancelled->client.valid() ? state.client(cancelled->client).name : "all",
            cancelled->reason);
        set_status(cancelled->client, world_.index(key), Status::kCancelled);
      }
    } else if (const auto* said = std::get_if<Say>(&action)) {
      if (said->text.starts_with("Impossible transition")) fail(said->text);
    }
  }
  for (auto& [id, batch] : to_workers) {
    WorkerProcess* w = process_of(id);
    w->to_worker.send(timeline_, world_.delay(), [w, batch = std::move(batch)] {
      if (w->alive) w->model->receive(batch);
    });
  }
}

// ---- the course of a run ----

Outcome Simulation::run() {
  for (int i = 0; i < world_.n_workers; ++i)
    timeline_.after(world_.random.chance(0.5) ? 0 : world_.random.between(0, kSecond), [this, i] { start_worker(i); });
  for (int i = 0; i < world_.n_clients; ++i) connect_client(i);
  plan_faults();
  while (outcome_.failure.empty() && timeline_.step(world_.chaos)) {
  }
  chaos_ = false;
  log("---- the trouble is over");
  settle();
  if (outcome_.failure.empty()) check_results();
  if (outcome_.failure.empty()) release_everything();
  if (outcome_.failure.empty()) check_nothing_left();
  outcome_.transitions = machine_.state().transition_counter;
  outcome_.state_hash = fmt::format("{}/{}/{}", outcome_.events, outcome_.transitions, world_.random.next());
  return std::move(outcome_);
}

void Simulation::plan_faults() {
  const auto repeat = [this](double per_s, std::function<void()> what) {
    if (per_s <= 0) return;
    for (Time t = 0; t < world_.chaos;) {
      t += static_cast<Time>(2 * world_.random.unit() / per_s * static_cast<double>(kSecond)) + 1;
      if (t < world_.chaos) timeline_.at(t, what);
    }
  };
  repeat(world_.kills_per_s, [this] {
    if (WorkerProcess* w = some_worker(false)) kill(*w, false);
  });
  repeat(world_.pauses_per_s, [this] {
    if (WorkerProcess* w = some_worker(true)) pause(*w);
  });
  if (kind_ != WorkerKind::kModel)
    repeat(world_.kills_per_s * 0.5, [this] {
      WorkerProcess* w = some_worker(false);
      if (w && w->model->executor_dies()) log("the executor of {} died", w->name);
    });
  repeat(world_.retirements_per_s, [this] {
    if (WorkerProcess* w = some_worker(true)) retire(*w);
  });
  for (Time t = 0; t < world_.chaos; t += 250 * kMillisecond) timeline_.at(t, [this] { happen(TimePassed{}, "time"); });
  if (world_.stealing)
    for (Time t = 0; t < world_.chaos + kSecond; t += 100 * kMillisecond) timeline_.at(t, [this] { happen(StealingDue{}, "stealing"); });
  if (world_.reviewing_replicas)
    for (Time t = 0; t < world_.chaos + kSecond; t += 300 * kMillisecond)
      timeline_.at(t, [this] { happen(ReplicaReviewDue{"managed"}, "replica review"); });
}

void Simulation::settle() {
  for (int i = 0; i < kSettleWindowsMax; ++i) {
    const Time end = timeline_.now() + kSettleWindow;
    while (outcome_.failure.empty() && timeline_.step(end)) {
    }
    if (!outcome_.failure.empty() || unsettled().empty()) return;
    if (timeline_.empty()) break;
  }
  fail("it hangs: " + unsettled());
}

std::string Simulation::unsettled() const {
  std::string text;
  machine_.state().for_each_task([&](const Task& ts) {
    if (ts.state != TaskState::kMemory && ts.state != TaskState::kErred && ts.state != TaskState::kReleased)
      text += fmt::format("{} is {}; ", ts.key.str(), name_of(ts.state));
  });
  if (specs_pending_ > 0) text += "run specs on the way; ";
  for (const auto& c : clients_) {
    if (!c->connected || c->leaving) continue;
    for (TaskIx task : futures_in(*c, {Status::kPending}))
      text += fmt::format("{} waits for {} ({}); ", c->name, name(task), name_of(state_of(task)));
  }
  if (!text.empty())
    for (const auto& w : processes_)
      if (w->alive) text += fmt::format("{} knows {}; ", w->name, w->model->inventory());
  return text;
}

void Simulation::check_results() {
  const State& state = machine_.state();
  for (const auto& c : clients_) {
    if (!c->connected || c->leaving) continue;
    for (const auto& [task, status] : c->futures) {
      const TaskState is = state_of(task);
      const bool right = status == Status::kFinished ? is == TaskState::kMemory : status == Status::kError ? is == TaskState::kErred : true;
      if (!right)
        return fail(fmt::format("{} was told that {} is {}, but it is {}", c->name, name(task),
                                status == Status::kFinished ? "finished" : "erred", name_of(is)));
      const Task* ts = state.find(world_.tasks[task].key.msgpack());
      if ((status == Status::kFinished || status == Status::kError) && !state.wants(*ts, c->id))
        return fail(fmt::format("{} has a future of {}, the scheduler does not know", c->name, name(task)));
    }
    for (std::uint32_t slot : state.client(c->id).wants_what)
      if (!c->futures.contains(world_.index(state.task(slot).key)))
        return fail(fmt::format("{} is believed to want {}", c->name, state.task(slot).key.str()));
  }
  for (const auto& w : processes_) {
    if (!w->alive || !w->connected) continue;
    std::set<TaskIx> believed, held;
    for (std::uint32_t slot : state.worker(w->id).has_what) believed.insert(world_.index(state.task(slot).key));
    for (TaskIx task : w->model->in_memory()) held.insert(task);
    for (TaskIx task : believed)
      if (!held.contains(task)) return fail(fmt::format("{} is believed to be on {}", name(task), w->name));
    for (TaskIx task : held)
      if (!believed.contains(task)) return fail(fmt::format("{} is on {} and the scheduler does not know", name(task), w->name));
    for (const auto& [task, value] : w->model->serve({held.begin(), held.end()}))
      if (value != world_.tasks[task].value) return fail(fmt::format("{} has a wrong value on {}", name(task), w->name));
    for (TaskIx task = 0; task < world_.tasks.size(); ++task)
      if (w->model->busy_with(task)) return fail(fmt::format("{} is still busy with {}", w->name, name(task)));
  }
}

void Simulation::release_everything() {
  log("---- everything is released");
  for (const auto& c : clients_) {
    if (!c->connected || c->leaving) continue;
    std::vector<TaskIx> all;
    for (const auto& [task, status] : c->futures) all.push_back(task);
    release(*c, all);
  }
  const Time end = timeline_.now() + kSettleWindow;
  while (outcome_.failure.empty() && timeline_.step(end)) {
  }
}

void Simulation::check_nothing_left() {
  const State& state = machine_.state();
  std::string left;
  state.for_each_task([&](const Task& ts) {
    std::string dependents;
    for (const Edge& edge : ts.dependents)
      dependents += fmt::format(" {} ({})", state.task(edge.task).key.str(), name_of(state.task(edge.task).state));
    left += fmt::format("{} ({}) is left over, wanted by {}, needed by{}; ", ts.key.str(), name_of(ts.state),
                        ts.who_wants.empty() ? "nobody" : state.client(ts.who_wants[0].client).name, dependents);
  });
  if (!left.empty()) fail(left);
  for (const auto& w : processes_) {
    if (!w->alive) continue;
    if (w->model->known() > 0) fail(fmt::format("{} still knows {}", w->name, w->model->inventory()));
    if (!w->connected) continue;
    const Worker& ws = state.worker(w->id);
    if (ws.nbytes != 0 || !ws.processing.empty() || !ws.actors.empty() || ws.network_occ != 0 || !ws.needs_what.empty())
      fail(fmt::format("{} is not empty in the scheduler's books: {} bytes, {} processing, {} actors, {} to fetch of {} bytes", w->name,
                       ws.nbytes, ws.processing.size(), ws.actors.size(), ws.needs_what.size(), ws.network_occ));
    for (const auto& [resource, used] : ws.used_resources)
      if (used != 0) fail(fmt::format("{} of {} is still in use on {}", used, resource, w->name));
    if (state.occupancy(ws) != 0) fail(w->name + " is still occupied");
  }
  if (state.queue_size() != 0 || !state.unrunnable().empty()) fail("something still waits");
  if (!state.groups().empty()) fail("a group is left over");
  for (const auto& [prefix_name, id] : state.prefixes()) {
    const TaskPrefix& tp = state.prefix(id);
    if (tp.size != 0 || std::any_of(tp.states.begin(), tp.states.end(), [](auto n) { return n != 0; }))
      fail(fmt::format("prefix {} still counts {} tasks", prefix_name, tp.size));
  }
  for (const auto& [client_name, id] : state.clients())
    if (!state.client(id).wants_what.empty()) fail(client_name + " still wants something");
}

}  // namespace dask::sim
