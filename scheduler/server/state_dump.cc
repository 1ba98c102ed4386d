#include "scheduler/server/state_dump.h"

#include <cmath>

#include "scheduler/policy/memory.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

// Python's str() of a name that may be an int.
std::string str_of(const Value& name) { return name.is_string() ? std::string(name.as_string()) : name.repr(); }

Value number(double v) { return std::nearbyint(v) == v && std::abs(v) < 1e15 ? Value(static_cast<std::int64_t>(v)) : Value(v); }

class Dump {
 public:
  Dump(Server& server, const std::set<std::string, std::less<>>& exclude) : server_(server), state_(server.state()), exclude_(exclude) {
    for (const auto& [name, id] : state_.groups()) {
      const TaskGroup& group = state_.group(id);
      std::array<std::int64_t, kTaskStates>& sums = prefix_states_[group.prefix.value];
      for (std::size_t i = 0; i < kTaskStates; ++i) sums[i] += group.states[i];
    }
  }

  Value all() {
    Value info = server_.identity(0);
    Value top = Value::map();
    for (const char* name : {"type", "id", "address", "services", "started", "n_workers", "total_threads", "total_memory"})
      add(top, name, [&] { return info[name]; });
    add(top, "status", [&] { return Value(server_.closing() ? "closing" : "running"); });
    add(top, "transition_counter", [&] { return Value(state_.transition_counter); });
    add(top, "transition_log", [&] { return transition_log(); });
    add(top, "tasks", [&] {
      Value::Map tasks;
      state_.for_each_task([&](const Task& ts) { tasks.emplace_back(name_in_map(ts.key), task(ts)); });
      return Value(std::move(tasks));
    });
    add(top, "task_groups", [&] {
      Value::Map groups;
      for (const auto& [name, id] : state_.groups()) groups.emplace_back(state_.group(id).name, group(state_.group(id)));
      return Value(std::move(groups));
    });
    add(top, "workers", [&] {
      Value::Map workers;
      for (const auto& [address, id] : state_.workers()) workers.emplace_back(address, worker(state_.worker(id)));
      return Value(std::move(workers));
    });
    add(top, "clients", [&] {
      Value::Map clients;
      for (const auto& [name, id] : state_.clients()) {
        const Client& client = state_.client(id);
        Value entry = Value::map();
        add(entry, "client_key", [&] { return Value(client.name); });
        add(entry, "last_seen", [&] { return Value(client.last_seen); });
        add(entry, "wants_what", [&] { return tasks_of(client.wants_what); });
        clients.emplace_back(name, std::move(entry));
      }
      return Value(std::move(clients));
    });
    add(top, "memory", [&] {
      MemoryState sum;
      for (const auto& [address, id] : state_.workers()) sum += memory_of(state_.worker(id));
      return memory(sum);
    });
    add(top, "events", [&] {
      Value::Map topics;
      for (const auto& [topic, entries] : server_.events().topics())
        topics.emplace_back(topic, "<Topic of " + std::to_string(entries.size()) + " events>");
      return Value(std::move(topics));
    });
    // Dask describes its own extensions' objects here; ours are not objects of Python.
    add(top, "extensions", [&] { return Value::map(); });
    return top;
  }

 private:
  template <class F>
  void add(Value& to, std::string_view name, F&& make) {
    if (!exclude_.contains(name)) std::get<Value::Map>(to.variant()).emplace_back(name, make());
  }

  // ---- an object inside another one ----
  std::string text(const Task& ts) const { return "<TaskState " + ts.key.repr() + " " + std::string(name_of(ts.state)) + ">"; }
  std::string text(const Worker& ws) const {
    const std::string name = ws.name.is_string() && ws.name.as_string() == ws.address ? "" : ", name: " + str_of(ws.name);
    return "<WorkerState '" + ws.address + "'" + name + ", status: " + std::string(name_of(ws.status)) +
           ", memory: " + std::to_string(ws.has_what.size()) + ", processing: " + std::to_string(ws.processing.size()) + ">";
  }
  std::string text(const Client& client) const { return "<Client " + Value(client.name).repr() + ">"; }
  static std::string text(const std::string& name, const std::array<std::int64_t, kTaskStates>& states) {
    std::map<std::string_view, std::int64_t> sorted;
    for (std::size_t i = 0; i < kTaskStates; ++i)
      if (states[i] > 0) sorted[name_of(static_cast<TaskState>(i))] = states[i];
    std::string counts;
    for (const auto& [state, n] : sorted) counts += (counts.empty() ? "" : ", ") + std::string(state) + ": " + std::to_string(n);
    return "<" + name + ": " + counts + ">";
  }
  std::string text(const TaskGroup& group) const { return text(group.name.empty() ? "no-group" : group.name, group.states); }
  std::string text(PrefixId id) { return text(state_.prefix(id).name, prefix_states_[id.value]); }

  // A dump turns tuples into lists, and lists cannot be names in a dict: Python's str() of them is.
  static Value name_in_map(const Key& key) {
    Value name = key.value();
    return name.is_array() ? Value(list_repr(name)) : name;
  }
  // The same for a dict of a peer's, such as the metrics of a heartbeat.
  static Value plain(const Value& value) {
    const Value::Map* map = value.map_if();
    if (!map) return value;
    Value::Map entries;
    for (const auto& [name, item] : *map) entries.emplace_back(name.is_array() ? Value(list_repr(name)) : name, plain(item));
    return Value(std::move(entries));
  }
  static std::string list_repr(const Value& value) {
    const Value::Array* items = value.array_if();
    if (!items) return value.repr();
    std::string text;
    for (const Value& item : *items) text += (text.empty() ? "" : ", ") + list_repr(item);
    return "[" + text + "]";
  }

  Value tasks_of(const std::vector<std::uint32_t>& slots) const {
    Value::Array list;
    for (std::uint32_t slot : slots) list.emplace_back(text(state_.task(slot)));
    return Value(std::move(list));
  }
  Value edges(const SmallVector<Edge, 1>& edges, bool flagged_only) const {
    Value::Array list;
    for (const Edge& edge : edges)
      if (!flagged_only || edge.flag) list.emplace_back(text(state_.task(edge.task)));
    return Value(std::move(list));
  }
  static Value or_none(Value list) { return list.size() == 0 ? Value() : std::move(list); }

  // ---- the objects themselves ----
  Value task(const Task& ts) {
    Value t = Value::map();
    const Annotations* annotations = ts.annotations.get();
    add(t, "key", [&] { return ts.key.value(); });
    add(t, "state", [&] { return Value(name_of(ts.state)); });
    add(t, "priority", [&] {
      if (!ts.has_priority) return Value();
      return Value(Value::Array{number(ts.priority.user), number(ts.priority.generation), number(ts.priority.order)});
    });
    add(t, "dependencies", [&] { return edges(ts.dependencies, false); });
    add(t, "dependents", [&] { return edges(ts.dependents, false); });
    add(t, "waiting_on", [&] { return edges(ts.dependencies, true); });
    add(t, "waiters", [&] { return edges(ts.dependents, true); });
    add(t, "who_wants", [&] {
      Value::Array list;
      for (const Want& want : ts.who_wants) list.emplace_back(text(state_.client(want.client)));
      return or_none(Value(std::move(list)));
    });
    add(t, "who_has", [&] {
      Value::Array list;
      for (const Holder& holder : ts.who_has) list.emplace_back(text(state_.worker(holder.worker)));
      return or_none(Value(std::move(list)));
    });
    add(t, "processing_on", [&] { return ts.processing_on.valid() ? Value(text(state_.worker(ts.processing_on))) : Value(); });
    add(t, "prefix", [&] { return Value(text(ts.prefix)); });
    add(t, "group", [&] { return Value(text(state_.group(ts.group))); });
    add(t, "group_key", [&] { return Value(state_.group(ts.group).name); });
    add(t, "nbytes", [&] { return Value(ts.nbytes); });
    add(t, "type", [&] { return ts.typename_id == UINT32_MAX ? Value() : Value(state_.typename_of(ts)); });
    add(t, "run_id", [&] { return ts.run_id < 0 ? Value() : Value(ts.run_id); });
    add(t, "retries", [&] { return Value(ts.retries); });
    add(t, "suspicious", [&] { return Value(unsigned{ts.suspicious}); });
    add(t, "actor", [&] { return Value(ts.actor); });
    add(t, "has_lost_dependencies", [&] { return Value(ts.has_lost_dependencies); });
    add(t, "annotations", [&] { return annotations && annotations->wire.is_map() ? plain(annotations->wire) : Value::map(); });
    add_restrictions(t, annotations);
    add_failure(t, ts);
    add(t, "metadata", [&] { return ts.extra ? plain(ts.extra->metadata) : Value(); });
    return t;
  }

  void add_restrictions(Value& t, const Annotations* annotations) {
    Value::Array hosts, workers;
    if (annotations)
      for (const std::string& name : annotations->workers) {
        const Worker* ws = state_.find_worker_by_name(Value(name));
        if (!ws) ws = state_.find_worker("tcp://" + name);
        if (ws)
          workers.emplace_back(ws->address);
        else if (name.find("://") != std::string::npos)
          workers.emplace_back(name);
        else
          hosts.emplace_back(name);
      }
    add(t, "worker_restrictions", [&] { return or_none(Value(std::move(workers))); });
    add(t, "host_restrictions", [&] { return or_none(Value(std::move(hosts))); });
    add(t, "loose_restrictions", [&] { return Value(annotations && annotations->allow_other_workers); });
    add(t, "resource_restrictions", [&] {
      if (!annotations || annotations->resources.empty()) return Value();
      Value resources = Value::map();
      for (const auto& [resource, quantity] : annotations->resources) resources.set(resource, number(quantity));
      return resources;
    });
  }

  void add_failure(Value& t, const Task& ts) {
    const TaskExtra* extra = ts.extra.get();
    const Failure* failure = extra && ts.state == TaskState::kErred ? extra->failure.get() : nullptr;
    const Task* blame = extra ? state_.get(extra->exception_blame) : nullptr;
    add(t, "exception", [&] { return failure ? Value("<pickled exception>") : Value(); });
    add(t, "exception_text", [&] { return failure ? Value(failure->exception_text) : Value(); });
    add(t, "traceback", [&] { return failure && !failure->traceback.is_nil() ? Value("<pickled traceback>") : Value(); });
    add(t, "traceback_text", [&] { return failure ? Value(failure->traceback_text) : Value(); });
    add(t, "exception_blame", [&] { return blame ? Value(text(*blame)) : Value(); });
    add(t, "erred_on", [&] {
      Value::Array list;
      if (extra)
        for (const std::string& address : extra->erred_on) list.emplace_back(address);
      return or_none(Value(std::move(list)));
    });
  }

  Value group(const TaskGroup& group) {
    Value g = Value::map();
    bool done = true;
    Value states = Value::map();
    for (std::size_t i = 0; i < kTaskStates; ++i) {
      const auto state = static_cast<TaskState>(i);
      const bool ended =
          state == TaskState::kMemory || state == TaskState::kErred || state == TaskState::kReleased || state == TaskState::kForgotten;
      done = done && (group.states[i] == 0 || ended);
      states.set(name_of(state), group.states[i]);
    }
    add(g, "name", [&] { return Value(group.name); });
    add(g, "prefix", [&] { return Value(text(group.prefix)); });
    add(g, "states", [&] { return std::move(states); });
    add(g, "done", [&] { return Value(done); });
    add(g, "dependencies", [&] {
      Value::Array list;
      for (GroupId id : group.dependencies) list.emplace_back(text(state_.group(id)));
      return Value(std::move(list));
    });
    add(g, "nbytes_total", [&] { return Value(group.nbytes_total); });
    add(g, "duration", [&] { return Value(static_cast<double>(group.duration_us) / 1e6); });
    add(g, "all_durations", [&] {
      Value durations = Value::map();
      for (const auto& [action, us] : group.all_durations_us) durations.set(action, static_cast<double>(us) / 1e6);
      return durations;
    });
    add(g, "types", [&] {
      Value::Array types;
      for (const auto& [id, n] : group.types) types.emplace_back(state_.typename_at(id));
      return Value(std::move(types));
    });
    add(g, "start", [&] { return Value(group.start); });
    add(g, "stop", [&] { return Value(group.stop); });
    add(g, "last_worker", [&] { return group.last_worker.valid() ? Value(text(state_.worker(group.last_worker))) : Value(); });
    add(g, "last_worker_tasks_left", [&] { return Value(group.last_worker_tasks_left); });
    return g;
  }

  Value worker(const Worker& ws) {
    Value w = Value::map();
    add(w, "address", [&] { return Value(ws.address); });
    add(w, "host", [&] { return Value(ws.host); });
    add(w, "name", [&] { return ws.name; });
    add(w, "status", [&] { return Value("<Status." + std::string(name_of(ws.status)) + ": '" + std::string(name_of(ws.status)) + "'>"); });
    add(w, "nthreads", [&] { return Value(ws.nthreads); });
    add(w, "memory_limit", [&] { return Value(ws.memory_limit); });
    add(w, "memory", [&] { return memory(memory_of(ws)); });
    add(w, "nbytes", [&] { return Value(ws.nbytes); });
    add(w, "occupancy", [&] { return Value(state_.occupancy(ws)); });
    add(w, "bandwidth", [&] { return Value(state_.bandwidth()); });
    add(w, "has_what", [&] { return tasks_of(ws.has_what); });
    add(w, "processing", [&] { return tasks_of(ws.processing); });
    add(w, "long_running", [&] {
      Value::Array list;
      for (std::uint32_t slot : ws.processing)
        if (state_.task(slot).long_running) list.emplace_back(text(state_.task(slot)));
      return Value(std::move(list));
    });
    add(w, "actors", [&] { return tasks_of({ws.actors.begin(), ws.actors.end()}); });
    add(w, "executing", [&] {
      Value executing = Value::map();
      for (const auto& [id, seconds] : ws.executing)
        if (const Task* ts = state_.get(id)) executing.set(text(*ts), seconds);
      return executing;
    });
    add(w, "needs_what", [&] {
      Value::Map needs;
      for (const auto& [id, needed] : ws.needs_what)
        if (const Task* ts = state_.get(id)) needs.emplace_back(text(*ts), needed.tasks);
      return Value(std::move(needs));
    });
    add(w, "task_prefix_count", [&] {
      Value counts = Value::map();
      for (const auto& [prefix, n] : ws.task_prefix_count) counts.set(state_.prefix(prefix).name, n);
      return counts;
    });
    const auto quantities = [](const std::map<std::string, double>& of) {
      Value resources = Value::map();
      for (const auto& [resource, quantity] : of) resources.set(resource, number(quantity));
      return resources;
    };
    add(w, "resources", [&] { return quantities(ws.resources); });
    add(w, "used_resources", [&] { return quantities(ws.used_resources); });
    add(w, "metrics", [&] { return plain(ws.metrics); });
    add(w, "last_seen", [&] { return Value(ws.last_seen); });
    add(w, "time_delay", [&] { return Value(ws.time_delay); });
    add(w, "services", [&] { return ws.services; });
    add(w, "nanny", [&] { return ws.nanny; });
    add(w, "local_directory", [&] { return Value(ws.local_directory); });
    add(w, "server_id", [&] { return Value(ws.server_id); });
    add(w, "pid", [&] { return Value(ws.pid); });
    add(w, "extra", [&] { return plain(ws.extra); });
    add(w, "versions", [&] { return ws.versions; });
    return w;
  }

  static Value memory(const MemoryState& memory) {
    Value m = Value::map();
    for (const char* name :
         {"process", "managed", "managed_total", "unmanaged", "unmanaged_old", "unmanaged_recent", "spilled", "optimistic"})
      m.set(name, *memory.measure(name));
    return m;
  }

  Value transition_log() const {
    Value::Array log;
    for (const TransitionRecord* record : state_.transition_log()) {
      auto key = Key::from_msgpack(record->key);
      log.push_back(Value(Value::Array{key ? key->value() : Value(), name_of(record->start), name_of(record->finish), Value::map(),
                                       record->stimulus_id, record->time}));
    }
    return Value(std::move(log));
  }

  Server& server_;
  State& state_;
  const std::set<std::string, std::less<>>& exclude_;
  std::map<std::uint32_t, std::array<std::int64_t, kTaskStates>> prefix_states_;  // sums over the living groups
};

}  // namespace

Value dump_state(Server& server, const std::set<std::string, std::less<>>& exclude) { return Dump(server, exclude).all(); }

}  // namespace dask::scheduler
