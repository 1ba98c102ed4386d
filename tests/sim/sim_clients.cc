// Clients of a simulation: what they ask for, what they are told, and whether that is right.
#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "simulation.h"

namespace dask::sim {

using namespace scheduler;

std::vector<Key> Simulation::keys(const std::vector<TaskIx>& tasks) const {
  std::vector<Key> found;
  for (TaskIx task : tasks) found.push_back(world_.tasks[task].key);
  return found;
}

std::vector<TaskIx> Simulation::futures_in(const ModelClient& c, std::initializer_list<Status> statuses) const {
  std::vector<TaskIx> found;
  for (const auto& [task, status] : c.futures)
    if (std::find(statuses.begin(), statuses.end(), status) != statuses.end() && !c.scattering.contains(task)) found.push_back(task);
  return found;
}

void Simulation::to_scheduler(ModelClient& c, std::function<void()> deliver) {
  c.to_scheduler.send(timeline_, world_.delay(), std::move(deliver));
}

void Simulation::connect_client(int index) {
  clients_.push_back(std::make_unique<ModelClient>());
  ModelClient& c = *clients_.back();
  c.name = fmt::format("c{}-{}", index, clients_.size());
  timeline_.after(world_.delay(), [this, &c, index] {
    c.connected = true;
    happen(ClientConnected{c.name, {}}, "client connected");
    c.id = machine_.last_client();
    clients_by_id_[c.id] = &c;
    const auto act = [this, &c, index](auto&& self) -> void {
      const auto pause = static_cast<Time>(static_cast<double>(kSecond) * 2 * world_.random.unit() / world_.client_ops_per_s);
      timeline_.after(pause, [this, &c, index, self] {
        if (!chaos_) return;
        if (world_.random.chance(world_.client_leaves)) {
          c.leaving = true;
          log("{} leaves", c.name);
          c.to_client.close();
          to_scheduler(c, [this, &c] {
            c.connected = false;
            happen(ClientLeft{c.id}, "client left");
          });
          return connect_client(index);
        }
        client_acts(c);
        self(self);
      });
    };
    act(act);
  });
}

void Simulation::client_acts(ModelClient& c) {
  Random& random = world_.random;
  const auto dice = random.below(100);
  const auto some_of = [&](std::vector<TaskIx> from) {
    std::vector<TaskIx> some;
    for (TaskIx task : from)
      if (random.chance(0.4)) some.push_back(task);
    return some;
  };
  const std::vector<TaskIx> all =
      futures_in(c, {Status::kPending, Status::kFinished, Status::kError, Status::kCancelled, Status::kRejected});
  if (dice < 45 || all.empty()) return submit(c);
  if (dice < 65) return release(c, some_of(all));
  if (dice < 72) {
    const std::vector<TaskIx> tasks = some_of(all);
    const bool force = random.chance(0.2);
    log("{} cancels {} keys{}", c.name, tasks.size(), force ? " by force" : "");
    for (TaskIx task : tasks) c.futures.erase(task);
    return to_scheduler(c, [this, &c, tasks, force] { happen(KeysCancelled{c.id, keys(tasks), force, "cancelled", ""}, "cancel"); });
  }
  if (dice < 80) {
    const std::vector<TaskIx> tasks = futures_in(c, {Status::kError});
    if (tasks.empty()) return;
    log("{} retries {} keys, first {}", c.name, tasks.size(), name(tasks[0]));
    return to_scheduler(c, [this, tasks] { happen(RetryRequested{keys(tasks)}, "retry"); });
  }
  if (dice < 85) {
    std::vector<TaskIx> data;
    for (TaskIx task = 0; task < world_.tasks.size(); ++task)
      if (world_.tasks[task].data) data.push_back(task);
    if (!data.empty()) scatter(c, random.of(data));
    return;
  }
  if (dice < 89) {
    const std::vector<TaskIx> tasks = some_of(futures_in(c, {Status::kPending}));
    if (tasks.empty()) return;
    log("{} fires and forgets {} keys, first {}", c.name, tasks.size(), name(tasks[0]));
    to_scheduler(c, [this, tasks] { happen(KeysDesired{machine_.client_named("fire-and-forget"), keys(tasks)}, "fire and forget"); });
    return release(c, tasks);
  }
  if (dice < 92) {
    const TaskIx task = random.of(all);
    return to_scheduler(c, [this, &c, task] { happen(KeyReportRequested{c.id, world_.tasks[task].key}, "report"); });
  }
  if (dice < 93) {
    const TaskIx task = random.of(all);
    if (world_.tasks[task].annotations && !world_.tasks[task].annotations->resources.empty()) return;  // no worker might have both
    const std::size_t worker = random.below(world_.native.size());
    const std::vector<std::string> workers =
        random.chance(0.5) ? std::vector<std::string>{} : std::vector{fmt::format("w{}", world_.native[worker] ? worker : 0)};
    log("{} restricts {} to {}", c.name, name(task), fmt::join(workers, " "));
    return to_scheduler(c, [this, task, workers] { happen(RestrictionsSet{{{world_.tasks[task].key, workers}}}, "restrictions"); });
  }
  const std::vector<TaskIx> finished = futures_in(c, {Status::kFinished});
  if (!finished.empty()) gather(c, random.of(finished));
}

void Simulation::submit(ModelClient& c) {
  Random& random = world_.random;
  std::set<TaskIx> wanted;
  for (auto n = random.between(1, 5); n > 0; --n) {
    const auto task = static_cast<TaskIx>(random.below(world_.tasks.size()));
    if (!world_.tasks[task].data) wanted.insert(task);
  }
  if (wanted.empty()) return;
  // The graph below the wanted keys; it ends where the client has futures already (now and then), and at data.
  std::vector<TaskIx> stack(wanted.begin(), wanted.end()), externs;
  std::set<TaskIx> defined(wanted.begin(), wanted.end()), outside;
  while (!stack.empty()) {
    const TaskIx task = stack.back();
    stack.pop_back();
    for (TaskIx d : world_.tasks[task].dependencies) {
      if (defined.contains(d) || outside.contains(d)) continue;
      const auto held = c.futures.find(d);
      const bool alive = held != c.futures.end() && held->second != Status::kCancelled && held->second != Status::kRejected;
      if (world_.tasks[d].data && !alive && random.chance(0.8)) return scatter(c, d);  // bring it first
      if (world_.tasks[d].data || (alive && random.chance(0.5))) {
        outside.insert(d);
      } else {
        defined.insert(d);
        stack.push_back(d);
      }
    }
  }
  GraphSubmitted e;
  e.graph = graphs_++;
  GraphColumns& g = e.columns;
  std::vector<TaskIx> columns(defined.begin(), defined.end());
  std::map<TaskIx, std::uint32_t> at;
  for (TaskIx task : columns) at[task] = static_cast<std::uint32_t>(at.size());
  for (TaskIx task : outside) at[task] = static_cast<std::uint32_t>(at.size());
  g.n_tasks = columns.size();
  g.keys = keys(columns);
  for (TaskIx task : outside) g.keys.push_back(world_.tasks[task].key);
  for (TaskIx task : columns) {
    const TaskInfo& info = world_.tasks[task];
    g.dep_begin.push_back(static_cast<std::uint32_t>(g.deps.size()));
    for (TaskIx d : info.dependencies) g.deps.push_back(at.at(d));
    g.flags.push_back(info.data_producer ? GraphColumns::kDataProducer : 0);
    g.annotation.push_back(info.annotations ? static_cast<std::int32_t>(g.annotations.size()) : -1);
    if (info.annotations) g.annotations.push_back(info.annotations);
    if (info.actor) e.actors.push_back(info.key);
    g.order.push_back(static_cast<double>(task));
  }
  g.dep_begin.push_back(static_cast<std::uint32_t>(g.deps.size()));
  const std::vector<TaskIx> want(wanted.begin(), wanted.end());
  e.wanted = keys(want);
  e.spec = random.chance(0.3) ? SpecKind::kNative : SpecKind::kPython;
  for (TaskIx task : want) {
    const auto it = c.futures.emplace(task, Status::kPending).first;
    if (it->second == Status::kCancelled || it->second == Status::kRejected) it->second = Status::kPending;
  }
  log("{} submits graph {} of {} tasks, wants {}", c.name, e.graph, columns.size(),
      fmt::join(want | std::views::transform([this](TaskIx t) { return name(t); }), " "));
  if (random.chance(world_.graph_rejected)) {
    auto failure = std::make_shared<Failure>();
    failure->exception_text = "rejected";
    return to_scheduler(c, [this, &c, wanted = e.wanted, failure] { happen(GraphRejected{c.id, wanted, failure}, "graph rejected"); });
  }
  to_scheduler(c, [this, &c, e = std::move(e), columns]() mutable {
    e.client = c.id;
    e.received = static_cast<double>(timeline_.now()) * 1e-6;
    const std::uint64_t graph = e.graph;
    const bool python = e.spec == SpecKind::kPython;
    happen(std::move(e), "graph");
    if (python) specs_arrive(graph, columns);
  });
}

// Run specs come in chunks, or stop coming at some point.
void Simulation::specs_arrive(std::uint64_t graph, std::vector<TaskIx> tasks) {
  ++specs_pending_;
  const bool fails = world_.random.chance(world_.specs_fail);
  const std::size_t until = fails ? world_.random.below(tasks.size() + 1) : tasks.size();
  Link helper;
  for (std::size_t first = 0; first < until;) {
    const std::size_t last = std::min(until, first + 1 + world_.random.below(10));
    helper.send(timeline_, world_.delay(), [this, graph, first, last] {
      static const OpaquePtr spec = std::make_shared<const Opaque>();
      RunSpecsArrived e{graph, {}};
      for (std::size_t i = first; i < last; ++i) e.specs.emplace_back(static_cast<std::uint32_t>(i), spec);
      happen(std::move(e), "run specs");
    });
    first = last;
  }
  helper.send(timeline_, world_.delay(), [this, graph, fails] {
    --specs_pending_;
    FailurePtr failure;
    if (fails) {
      auto f = std::make_shared<Failure>();
      f->exception_text = "helper died";
      failure = std::move(f);
    }
    happen(GraphCompleted{graph, std::move(failure)}, "graph completed");
  });
}

void Simulation::release(ModelClient& c, const std::vector<TaskIx>& tasks) {
  if (tasks.empty()) return;
  log("{} releases {}", c.name, fmt::join(tasks | std::views::transform([this](TaskIx t) { return name(t); }), " "));
  for (TaskIx task : tasks) c.futures.erase(task);
  to_scheduler(c, [this, &c, tasks] { happen(KeysReleased{c.id, keys(tasks)}, "release"); });
}

// The scheduler puts the data on a worker, and believes it once the worker has confirmed; then the client has a future.
void Simulation::scatter(ModelClient& c, TaskIx data) {
  if (!c.scattering.insert(data).second) return;
  log("{} scatters {}", c.name, name(data));
  to_scheduler(c, [this, &c, data] {
    WorkerProcess* w = some_worker(false);
    if (!w) {
      c.scattering.erase(data);
      return;
    }
    w->to_worker.send(timeline_, world_.delay(), [this, &c, w, data] {
      w->model->receive({Update{data}});
      w->to_scheduler.send(timeline_, world_.delay(), [this, &c, w, data] {
        happen(DataUpdated{c.id, {{world_.tasks[data].key, {w->id}, world_.tasks[data].nbytes}}}, "scattered");
        const Status status = state_of(data) == TaskState::kMemory ? Status::kFinished : Status::kRejected;
        c.to_client.send(timeline_, world_.delay(), [&c, data, status] {
          c.futures[data] = status;
          c.scattering.erase(data);
        });
      });
    });
  });
}

// By way of the scheduler, which believes its own state and is corrected by what it finds.
void Simulation::gather(ModelClient& c, TaskIx task) {
  to_scheduler(c, [this, task] {
    const Task* ts = machine_.state().find(world_.tasks[task].key.msgpack());
    if (!ts || ts->who_has.empty()) return;
    WorkerProcess* w = process_of(ts->who_has[world_.random.below(ts->who_has.size())].worker);
    timeline_.after(world_.delay(), [this, w, task] {
      if (!w->alive) return;
      const auto data = w->model->serve({task});
      if (!data.empty() && data.begin()->second != world_.tasks[task].value) fail(fmt::format("{} is wrong on {}", name(task), w->name));
      if (!data.empty()) return;
      timeline_.after(world_.delay(), [this, w, task] {
        log("gathering {} from {} failed", name(task), w->name);
        happen(ReplicasMissing{{{world_.tasks[task].key, w->id}}}, "replicas missing");
      });
    });
  });
}

bool Simulation::explained(TaskIx task, const Failure& failure) const {
  const std::string& text = failure.exception_text;
  const std::vector<bool>& ancestors = world_.tasks[task].ancestors;
  if (text.starts_with("user: ")) {
    for (TaskIx a = 0; a < world_.tasks.size(); ++a)
      if (ancestors[a] && text == "user: " + name(a)) return world_.tasks[a].errs || world_.tasks[a].errs_first > 0;
    return false;
  }
  if (text == "helper died") return world_.specs_fail > 0;
  if (text == "rejected") return world_.graph_rejected > 0;
  if (failure.error_class == "distributed.scheduler.KilledWorker") return world_.kills_per_s > 0;
  if (failure.error_class == "distributed.scheduler.NoWorkerError" || failure.error_class == "distributed.scheduler.NoValidWorkerError")
    return world_.settings.no_workers_timeout_s.has_value();
  if (text == "Worker holding Actor was lost") {
    for (TaskIx a = 0; a < world_.tasks.size(); ++a)
      if (ancestors[a] && world_.tasks[a].actor) return true;
  }
  return false;
}

void Simulation::told_erred(ModelClient& c, TaskIx task, const Failure& failure) {
  if (!explained(task, failure))
    fail(fmt::format("{} is told that {} erred, for no known reason: {}: {}", c.name, name(task), failure.error_class,
                     failure.exception_text));
  auto it = c.futures.find(task);
  if (it != c.futures.end() && !(it->second == Status::kRejected || it->second == Status::kCancelled))
    it->second = failure.exception_text == "rejected" ? Status::kRejected : Status::kError;
}

}  // namespace dask::sim
