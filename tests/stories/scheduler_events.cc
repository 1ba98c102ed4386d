// The events of a story: each line becomes what a client, a worker or time tells the machine.
#include <algorithm>
#include <set>

#include "scheduler_story.h"

namespace dask::stories {

using namespace scheduler;

namespace {

// "submit c native: x; y <- x" -> ({submit, c, native}, " x; y <- x").
std::pair<std::vector<std::string>, std::string> head_and_body(const Line& line) {
  const auto colon = line.text.find(": ");
  if (colon == line.text.npos) return {line.tokens, ""};
  return {words(std::string_view(line.text).substr(0, colon)), line.text.substr(colon + 2)};
}

struct Definition {
  std::string key;
  std::vector<std::string> dependencies;
  Annotations annotations;
  bool annotated = false;
  bool data_producer = false;
  bool actor = false;
  bool barrier = false;
};

// KEY [<- KEY...] [priority=1] [retries=2] [workers=a,b] [allow_other_workers] [resources=GPU:1] [data_producer] [actor] [barrier]
Result<std::vector<Definition>> parse_definition(const std::string& text) {
  static const std::set<std::string> flags{"allow_other_workers", "data_producer", "actor", "barrier"};
  std::vector<std::string> tokens = words(text);
  if (tokens.empty()) return wrong("a task without a key");
  Attributes attributes(tokens);
  Definition common;
  common.data_producer = attributes.take("data_producer");
  common.actor = attributes.take("actor");
  common.barrier = attributes.take("barrier");
  Annotations& a = common.annotations;
  a.allow_other_workers = attributes.take("allow_other_workers");
  if (auto value = attributes.get("priority")) {
    DASK_TRY(a.user_priority, parse_number(*value));
    common.annotated = true;
  }
  if (auto value = attributes.get("retries")) {
    DASK_TRY(const double retries, parse_number(*value));
    a.retries = static_cast<int>(retries);
    common.annotated = true;
  }
  if (auto value = attributes.get("workers")) {
    a.workers = split(*value, ',');
    common.annotated = true;
  }
  if (auto value = attributes.get("resources")) {
    for (const std::string& resource : split(*value, ',')) {
      const std::vector<std::string> parts = split(resource, ':');
      if (parts.size() != 2) return wrong("resources are written name:quantity");
      DASK_TRY(const double quantity, parse_number(parts[1]));
      a.resources.emplace_back(parts[0], quantity);
    }
    common.annotated = true;
  }
  if (auto unknown = attributes.unknown()) return wrong("tasks have no attribute " + *unknown);
  tokens = attributes.words();
  if (tokens.size() > 1 && (tokens[1] != "<-" || tokens.size() == 2)) return wrong("a task is written KEY <- KEY...");
  DASK_TRY(const std::vector<std::string> keys, expand(tokens[0]));
  std::vector<Definition> definitions(keys.size(), common);
  for (std::size_t i = 0; i < keys.size(); ++i) definitions[i].key = keys[i];
  for (std::size_t t = 2; t < tokens.size(); ++t) {
    DASK_TRY(const std::vector<std::string> dependencies, expand(tokens[t]));
    const bool zip = keys.size() > 1 && dependencies.size() == keys.size();  // y-{0..9} <- x-{0..9}: one to one
    for (std::size_t i = 0; i < keys.size(); ++i)
      for (std::size_t d = 0; d < dependencies.size(); ++d)
        if (!zip || d == i) definitions[i].dependencies.push_back(dependencies[d]);
  }
  return definitions;
}

OpaquePtr some_spec() {
  static const OpaquePtr spec = std::make_shared<const Opaque>();
  return spec;
}

FailurePtr some_failure(std::string text) {
  auto failure = std::make_shared<Failure>();
  failure->error_class = "builtins.RuntimeError";
  failure->exception_text = std::move(text);
  return failure;
}

}  // namespace

SchedulerStory::Outcome SchedulerStory::happen(Event event, bool first) {
  now_ += 1e-6;
  const std::string stimulus = fmt::format("story-{:.6f}", now_);
  if (first) seen_.clear();
  for (Seen& s : render(machine(), machine().handle(std::move(event), now_, stimulus), worker_names_)) {
    if (s.kind == "steal") steals_[s.key] = s.text;
    if (s.kind == "compute") runs_[s.key].emplace_back(s.target, s.run_id);
    if (s.kind == "error" && s.text.starts_with("Impossible transition")) return wrong(s.text);
    seen_.push_back(std::move(s));
  }
  const std::string complaints = machine().state().validate();
  if (!complaints.empty()) return wrong("the state is inconsistent:\n" + complaints);
  return {};
}

Result<std::vector<Key>> SchedulerStory::keys(const std::vector<std::string>& texts) {
  std::vector<Key> found;
  for (const std::string& text : texts) {
    DASK_TRY(const std::vector<std::string> expanded, expand(text));
    for (const std::string& name : expanded) {
      DASK_TRY(Key key, parse_key(name));
      found.push_back(std::move(key));
    }
  }
  return found;
}

Result<Key> SchedulerStory::one_key(const Attributes& attributes, std::size_t index) {
  if (attributes.words().size() <= index) return wrong("a key is missing");
  return parse_key(attributes.words()[index]);
}

Result<WorkerId> SchedulerStory::worker(const std::string& name) const {
  auto it = workers_.find(name);
  if (it == workers_.end()) return wrong("there is no worker " + name);
  return it->second;
}

Result<ClientId> SchedulerStory::client(const std::string& name) const {
  if (const auto it = clients_.find(name); it != clients_.end()) return it->second;
  if (machine_)
    if (const Client* cs = machine_->state().find_client(name)) return cs->id;
  return wrong("there is no client " + name);
}

std::int64_t SchedulerStory::run_id(const Key& key, const std::string& worker_name, const std::optional<std::string>& nth) const {
  const Task* ts = machine_->state().find(key.msgpack());
  auto it = runs_.find(ts ? ts->key.str() : key.str());
  if (it == runs_.end()) return -2;
  if (nth) {
    const auto n = static_cast<std::size_t>(std::atoi(nth->c_str()));
    return n >= 1 && n <= it->second.size() ? it->second[n - 1].second : -2;
  }
  for (auto run = it->second.rbegin(); run != it->second.rend(); ++run)
    if (run->first == worker_name) return run->second;
  return -2;
}

SchedulerStory::Outcome SchedulerStory::event(const Line& line) {
  const std::string& verb = line.tokens[0];
  if (verb == "set") return set(line);
  if (verb == "worker") return add_worker(line);
  if (verb == "submit" || verb == "graph") return submit(line);
  if (verb == "finished" || verb == "erred") return finished(line);
  if (verb == "specs" || verb == "specs-failed") return specs(line);
  if (verb == "scatter") return scatter(line);
  if (verb == "time") {
    if (line.tokens.size() != 2) return wrong("say: time SECONDS");
    DASK_TRY(now_, parse_number(line.tokens[1]));
    return happen(TimePassed{});
  }
  if (verb == "steal") return happen(StealingDue{});
  if (verb == "answered") {
    if (line.tokens.size() < 4 || line.tokens[2] != "on") return wrong("say: answered KEY on WORKER [STATE]");
    DASK_TRY(Key key, parse_key(line.tokens[1]));
    DASK_TRY(const WorkerId id, worker(line.tokens[3]));
    std::string stimulus = steals_[key.str()];
    return happen(StealAnswered{id, std::move(key), line.tokens.size() > 4 ? line.tokens[4] : "", std::move(stimulus)});
  }
  static const std::set<std::string> by_clients{"client", "leave", "release", "desire", "cancel", "retry", "report", "reject"};
  return by_clients.contains(verb) ? client_event(line) : worker_event(line);
}

SchedulerStory::Outcome SchedulerStory::set(const Line& line) {
  if (machine_) return wrong("settings come first");
  if (line.tokens.size() != 3) return wrong("say: set NAME VALUE");
  const std::string& name = line.tokens[1];
  DASK_TRY(const double value, parse_number(line.tokens[2]));
  if (name == "allowed-failures")
    settings_.allowed_failures = static_cast<int>(value);
  else if (name == "worker-saturation")
    settings_.worker_saturation = value;
  else if (name == "native-window-tasks")
    settings_.native_window_tasks = static_cast<std::int64_t>(value);
  else if (name == "native-window-bytes")
    settings_.native_window_bytes = static_cast<std::int64_t>(value);
  else if (name == "no-workers-timeout")
    settings_.no_workers_timeout_s = value;
  else if (name == "unknown-task-duration")
    settings_.unknown_task_duration_s = value;
  else if (name == "memory-terminate")
    settings_.memory_terminate = value != 0;
  else if (name.starts_with("default-task-duration:"))
    settings_.default_task_durations_s[name.substr(22)] = value;
  else
    return wrong("no such setting: " + name);
  return {};
}

SchedulerStory::Outcome SchedulerStory::add_worker(const Line& line) {
  Attributes attributes(line.tokens);
  const bool native = attributes.take("native");
  if (attributes.words().size() != 2)
    return wrong("say: worker NAME [native] [nthreads=1] [memory=1GB] [resources=GPU:1] [host=h] [status=running]");
  const std::string name = attributes.words()[1];
  Worker ws;
  ws.native = native;
  ws.host = attributes.get("host", "127.0.0.1");
  ws.name = Value(name);
  ws.address = fmt::format("tcp://{}:{}", ws.host, name);
  DASK_TRY(const double nthreads, parse_number(attributes.get("nthreads", "1")));
  ws.nthreads = static_cast<std::int64_t>(nthreads);
  DASK_TRY(ws.memory_limit, parse_bytes(attributes.get("memory", "0")));
  ws.status = worker_status(attributes.get("status", "running"));
  if (auto resources = attributes.get("resources"))
    for (const std::string& resource : split(*resources, ',')) {
      const std::vector<std::string> parts = split(resource, ':');
      if (parts.size() != 2) return wrong("resources are written name:quantity");
      DASK_TRY(ws.resources[parts[0]], parse_number(parts[1]));
    }
  if (auto unknown = attributes.unknown()) return wrong("workers have no attribute " + *unknown);
  if (machine().state().find_worker(ws.address)) return wrong("worker " + name + " is there already");
  // The machine names the worker in its first actions: the id is the next one.
  const WorkerId id{static_cast<std::uint32_t>(machine().state().workers_added)};
  workers_[name] = id;
  worker_names_[id] = name;
  DASK_TRY_VOID(happen(WorkerConnected{std::move(ws)}));
  if (machine().last_worker() != id) return wrong("worker ids are not dense any more: mend the story runner");
  return {};
}

SchedulerStory::Outcome SchedulerStory::submit(const Line& line) {
  auto [head, body] = head_and_body(line);
  Attributes attributes(head);
  if (attributes.words().size() < 2 || body.empty())
    return wrong("say: submit CLIENT: TASK; TASK..., or: graph CLIENT wants KEY...: TASK; TASK...");
  GraphSubmitted e;
  DASK_TRY(e.client, client(attributes.words()[1]));
  e.graph = graphs_++;
  e.received = now_ + 1e-7;
  const bool native = attributes.take("native"), late = attributes.take("late");
  e.spec = native ? SpecKind::kNative : SpecKind::kPython;
  if (auto submitting = attributes.get("submitting_task")) {
    DASK_TRY(Key key, parse_key(*submitting));
    e.submitting_task = std::move(key);
  }
  if (auto unknown = attributes.unknown()) return wrong("graphs have no attribute " + *unknown);

  std::vector<Definition> definitions;
  for (const std::string& text : split(body, ';')) {
    DASK_TRY(const std::vector<Definition> some, parse_definition(text));
    definitions.insert(definitions.end(), some.begin(), some.end());
  }
  GraphColumns& g = e.columns;
  g.n_tasks = definitions.size();
  for (const Definition& definition : definitions) {
    DASK_TRY(Key key, parse_key(definition.key));
    g.keys.push_back(std::move(key));
  }
  const std::vector<Key> tasks = g.keys;
  for (std::uint32_t i = 0; i < definitions.size(); ++i) {
    const Definition& definition = definitions[i];
    g.dep_begin.push_back(static_cast<std::uint32_t>(g.deps.size()));
    for (const std::string& text : definition.dependencies) {
      DASK_TRY(Key key, parse_key(text));
      auto it = std::find(g.keys.begin(), g.keys.end(), key);
      g.deps.push_back(static_cast<std::uint32_t>(it - g.keys.begin()));
      if (it == g.keys.end()) g.keys.push_back(std::move(key));
    }
    g.flags.push_back(definition.data_producer ? GraphColumns::kDataProducer : 0);
    g.annotation.push_back(definition.annotated ? static_cast<std::int32_t>(g.annotations.size()) : -1);
    if (definition.annotated) g.annotations.push_back(std::make_shared<Annotations>(definition.annotations));
    if (definition.barrier) g.shuffles.emplace_back(i, std::make_shared<ShuffleSpec>());
    if (definition.actor) e.actors.push_back(tasks[i]);
    if (late) late_[tasks[i].str()] = {e.graph, i};
  }
  g.dep_begin.push_back(static_cast<std::uint32_t>(g.deps.size()));

  const auto wants = std::find(attributes.words().begin(), attributes.words().end(), "wants");
  if (line.tokens[0] == "submit") {
    e.wanted = tasks;
  } else if (wants == attributes.words().end()) {
    return wrong("a graph says what it wants: graph CLIENT wants KEY...: TASK; ...");
  } else {
    DASK_TRY(e.wanted, keys({wants + 1, attributes.words().end()}));
  }
  const std::uint64_t graph = e.graph;
  DASK_TRY_VOID(happen(std::move(e)));
  if (native || late) return {};
  RunSpecsArrived arrived{graph, {}};  // in the order of priorities, as the graph helper delivers them
  for (std::uint32_t i = 0; i < tasks.size(); ++i) arrived.specs.emplace_back(i, some_spec());
  std::stable_sort(arrived.specs.begin(), arrived.specs.end(), [&](const auto& a, const auto& b) {
    return definitions[a.first].annotations.user_priority > definitions[b.first].annotations.user_priority;
  });
  DASK_TRY_VOID(happen(std::move(arrived), false));
  return happen(GraphCompleted{graph, nullptr}, false);
}

// specs KEY...; specs-failed KEY: TEXT (all that are missing of the key's graph)
SchedulerStory::Outcome SchedulerStory::specs(const Line& line) {
  auto [head, body] = head_and_body(line);
  DASK_TRY(const std::vector<Key> about, keys({head.begin() + 1, head.end()}));
  std::map<std::uint64_t, std::vector<std::uint32_t>> columns;
  for (const Key& key : about) {
    auto it = late_.find(key.str());
    if (it == late_.end()) return wrong("the run spec of " + key.str() + " is not awaited");
    columns[it->second.first].push_back(it->second.second);
  }
  bool first = true;
  for (const auto& [graph, indices] : columns) {
    if (head[0] == "specs-failed") {
      DASK_TRY_VOID(happen(GraphCompleted{graph, some_failure(body)}, std::exchange(first, false)));
      continue;
    }
    RunSpecsArrived arrived{graph, {}};
    for (std::uint32_t index : indices) arrived.specs.emplace_back(index, some_spec());
    DASK_TRY_VOID(happen(std::move(arrived), std::exchange(first, false)));
  }
  return {};
}

// finished KEY on WORKER [nbytes=] [duration=] [run=]; erred KEY on WORKER [run=] [saying TEXT]
SchedulerStory::Outcome SchedulerStory::finished(const Line& line) {
  const auto saying = line.text.find(" saying ");
  Attributes attributes(words(line.text.substr(0, saying)));
  const auto& w = attributes.words();
  if (w.size() != 4 || w[2] != "on") return wrong("say: " + w[0] + " KEY on WORKER");
  DASK_TRY(const std::vector<Key> all, keys({w[1]}));
  DASK_TRY(const WorkerId id, worker(w[3]));
  const auto run = attributes.get("run");
  DASK_TRY(const std::int64_t nbytes, parse_bytes(attributes.get("nbytes", "100")));
  DASK_TRY(const double duration, parse_number(attributes.get("duration", "0")));
  if (auto unknown = attributes.unknown()) return wrong("no such attribute: " + *unknown);
  bool first = true;
  for (const Key& key : all) {
    if (w[0] == "erred") {
      TaskErredMsg msg;
      msg.key = key;
      msg.run_id = run_id(key, w[3], run);
      msg.exception_text = saying == line.text.npos ? "boom" : trim(std::string_view(line.text).substr(saying + 8));
      DASK_TRY_VOID(happen(TaskErred{id, std::move(msg)}, std::exchange(first, false)));
      continue;
    }
    TaskFinishedMsg msg;
    msg.key = key;
    msg.run_id = run_id(key, w[3], run);
    msg.nbytes = nbytes;
    msg.typename_ = "int";
    if (duration > 0) msg.startstops.push_back({"compute", now_, now_ + duration});
    DASK_TRY_VOID(happen(TaskFinished{id, std::move(msg)}, std::exchange(first, false)));
  }
  return {};
}

// scatter KEY... on WORKER... [nbytes=] [for CLIENT]
SchedulerStory::Outcome SchedulerStory::scatter(const Line& line) {
  Attributes attributes(line.tokens);
  std::vector<std::string> w = attributes.words();
  DataUpdated e;
  if (w.size() > 2 && w[w.size() - 2] == "for") {
    DASK_TRY(e.client, client(w.back()));
    w.resize(w.size() - 2);
  }
  const auto on = std::find(w.begin(), w.end(), "on");
  if (on == w.end()) return wrong("say: scatter KEY... on WORKER... [nbytes=] [for CLIENT]");
  DASK_TRY(const std::vector<Key> data, keys({w.begin() + 1, on}));
  DASK_TRY(const std::int64_t nbytes, parse_bytes(attributes.get("nbytes", "100")));
  for (const Key& key : data) {
    DataUpdated::Item item{key, {}, nbytes};
    for (auto it = on + 1; it != w.end(); ++it) {
      DASK_TRY(const WorkerId id, worker(*it));
      item.workers.push_back(id);
    }
    e.items.push_back(std::move(item));
  }
  return happen(std::move(e));
}

SchedulerStory::Outcome SchedulerStory::client_event(const Line& line) {
  auto [head, body] = head_and_body(line);
  const std::string verb = head[0];
  DASK_TRY(std::vector<Key> about, keys(words(body)));
  if (verb == "retry") {
    DASK_TRY(about, keys({head.begin() + 1, head.end()}));
    return happen(RetryRequested{std::move(about)});
  }
  if (head.size() < 2) return wrong("say: " + verb + " CLIENT");
  if (verb == "client") {
    DASK_TRY_VOID(happen(ClientConnected{head[1], {}}));
    clients_[head[1]] = machine().last_client();
    return {};
  }
  DASK_TRY(const ClientId id, client(head[1]));
  if (verb == "leave") return happen(ClientLeft{id});
  if (about.empty()) return wrong("say: " + verb + " CLIENT: KEY...");
  if (verb == "release") return happen(KeysReleased{id, std::move(about)});
  if (verb == "desire") return happen(KeysDesired{id, std::move(about)});
  if (verb == "report") return happen(KeyReportRequested{id, std::move(about[0])});
  if (verb == "reject") return happen(GraphRejected{id, std::move(about), some_failure("rejected")});
  KeysCancelled e{id, std::move(about), false, "cancelled", ""};
  e.force = head.size() > 2 && head[2] == "force";
  return happen(std::move(e));
}

SchedulerStory::Outcome SchedulerStory::worker_event(const Line& line) {
  auto [head, body] = head_and_body(line);
  Attributes attributes(head);
  const std::string verb = attributes.words()[0];
  static const std::map<std::string, WorkerStatus> statuses{
      {"pause", WorkerStatus::kPaused}, {"resume", WorkerStatus::kRunning}, {"closing", WorkerStatus::kClosingGracefully}};
  if (attributes.words().size() < 2) return wrong("no such event: " + verb);

  if (verb == "shuffle-ended" || verb == "shuffle-restarted") {
    DASK_TRY(Key key, one_key(attributes, 1));
    if (verb == "shuffle-ended") return happen(ShuffleEnded{std::move(key)});
    return happen(ShuffleRestarted{std::move(key)});
  }

  // KEY on WORKER
  if (verb == "bound" || verb == "rescheduled" || verb == "long-running" || verb == "dropped" || verb == "missing") {
    if (attributes.words().size() != 4) return wrong("say: " + verb + " KEY on WORKER");
    DASK_TRY(Key key, one_key(attributes, 1));
    const std::string name = attributes.words()[3];
    DASK_TRY(const WorkerId id, worker(name));
    if (verb == "bound") return happen(ShuffleOutputBound{std::move(key), machine_->state().worker(id).address});
    if (verb == "rescheduled") return happen(TaskRescheduled{id, std::move(key)});
    if (verb == "dropped") return happen(WorkerDataReleased{id, {std::move(key)}});
    if (verb == "missing") return happen(ReplicasMissing{{{std::move(key), id}}});
    LongRunningMsg msg;
    DASK_TRY(msg.compute_duration, parse_number(attributes.get("duration", "-1")));
    msg.run_id = run_id(key, name, attributes.get("run"));
    msg.key = std::move(key);
    return happen(TaskLongRunning{id, std::move(msg)});
  }

  const std::string name = attributes.words()[1];
  DASK_TRY(const WorkerId id, worker(name));
  DASK_TRY(std::vector<Key> about, keys(words(body)));
  if (verb == "lost") return happen(WorkerLeft{id, attributes.take("expected")});
  if (auto it = statuses.find(verb); it != statuses.end()) return happen(WorkerStatusChanged{id, it->second});
  if (verb == "added") return happen(ReplicasAdded{id, std::move(about)});
  if (verb == "refresh") return happen(WhoHasRequested{id, std::move(about)});
  if (verb == "retire") return happen(RetirementAdvanced{{id}});
  if (verb == "heartbeat") {
    WorkerHeartbeat e{id, {}, 0, {}};
    if (auto executing = attributes.get("executing"))
      for (const std::string& one : split(*executing, ',')) {
        const std::vector<std::string> parts = split(one, ':');
        if (parts.size() != 2) return wrong("executing is written KEY:SECONDS");
        DASK_TRY(Key key, parse_key(parts[0]));
        DASK_TRY(const double seconds, parse_number(parts[1]));
        e.executing.emplace_back(std::move(key), seconds);
      }
    return happen(std::move(e));
  }
  return wrong("no such event: " + verb);
}

}  // namespace dask::stories
