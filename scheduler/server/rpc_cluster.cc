// Operations on the cluster: identity, heartbeats, retirement, broadcast, restart, plugins. Source: distributed/scheduler.py.
#include <algorithm>

#include "core/net/connection.h"
#include "core/runtime/log.h"
#include "core/wire/pickle.h"
#include "scheduler/policy/closing.h"
#include "scheduler/server/broadcast.h"
#include "scheduler/server/server.h"
#include "scheduler/server/shuffle_manager.h"

namespace dask::scheduler {
namespace {

// How often it is looked whether a retiring worker's data has found another home.
constexpr auto kRetirePoll = std::chrono::milliseconds(100);

}  // namespace

std::vector<WorkerId> Server::workers_of(const Value& value) {
  std::vector<WorkerId> ids;
  if (value.is_nil()) {
    for (const auto& [address, id] : state().workers()) ids.push_back(id);
    return ids;
  }
  const auto add = [&](const Value& name) {
    const Worker* ws = state().find_worker_by_name(name);
    if (!ws && name.is_string()) ws = state().find_worker("tcp://" + *name.string());
    if (ws) ids.push_back(ws->id);
  };
  if (const Value::Array* items = value.array_if()) {
    for (const Value& item : *items) add(item);
  } else {
    add(value);
  }
  return ids;
}

Value Server::worker_identity(const Worker& ws, bool with_metrics) {
  Value resources = Value::map();
  for (const auto& [resource, quantity] : ws.resources) resources.set(resource, quantity);
  Value identity(Value::Map{{"type", "Worker"},
                            {"id", ws.name},
                            {"host", ws.host},
                            {"resources", std::move(resources)},
                            {"local_directory", ws.local_directory},
                            {"name", ws.name},
                            {"nthreads", ws.nthreads},
                            {"memory_limit", ws.memory_limit},
                            {"services", ws.services},
                            {"status", name_of(ws.status)},
                            {"nanny", ws.nanny}});
  if (with_metrics) {
    identity.set("last_seen", ws.last_seen);
    identity.set("metrics", ws.metrics);
  }
  if (const Value::Map* extra = ws.extra.map_if())
    for (const auto& [name, value] : *extra)
      if (const std::string* text = name.string()) identity.set(*text, value);
  return identity;
}

Value Server::identity(std::int64_t n_workers) {
  Value services = Value::map();
  if (http_) services.set("dashboard", dashboard_port());
  Value::Map workers;
  for (const auto& [address, id] : state().workers()) {
    if (n_workers >= 0 && static_cast<std::int64_t>(workers.size()) >= n_workers) break;
    workers.emplace_back(address, worker_identity(state().worker(id)));
  }
  return Value(Value::Map{{"type", "Scheduler"},
                          {"id", id_},
                          {"address", address_},
                          {"services", std::move(services)},
                          {"started", started_},
                          {"n_workers", state().workers().size()},
                          {"total_threads", state().total_nthreads()},
                          {"total_memory", state().total_memory()},
                          {"workers", Value(std::move(workers))}});
}

// ---- retirement ----

void Server::retire(std::vector<WorkerId> workers, bool close, bool remove, const std::string& stimulus_id,
                    std::function<void(std::vector<WorkerId>)> done) {
  if (workers.empty() || scheduling_stopped_) return done({});
  for (WorkerId id : workers) {
    apply(WorkerStatusChanged{id, WorkerStatus::kClosingGracefully}, stimulus_id);
    send(id, Value(Value::Map{{"op", "worker-status-change"}, {"status", "closing_gracefully"}, {"stimulus_id", stimulus_id}}));
  }
  retirements_.push_back(Retirement{std::move(workers), {}, close, remove, stimulus_id, std::move(done)});
  advance_retirements();
}

void Server::advance_retirements() {
  std::vector<Retirement> open = std::exchange(retirements_, {});
  for (Retirement& r : open) {
    std::vector<WorkerId> staying;
    apply(RetirementAdvanced{r.workers}, r.stimulus_id);
    for (WorkerId id : r.workers) {
      if (!stream(id)) {  // gone by itself
        r.gone.push_back(id);
        continue;
      }
      const Worker& ws = state().worker(id);
      const bool unique = std::any_of(ws.has_what.begin(), ws.has_what.end(), [&](std::uint32_t slot) {
        const Task& ts = state().task(slot);
        return std::none_of(ts.who_has.begin(), ts.who_has.end(),
                            [&](const Holder& h) { return state().worker(h.worker).status == WorkerStatus::kRunning; });
      });
      if (!unique) {
        log_info("Retired worker '{}' (stimulus_id='{}')", ws.address, r.stimulus_id);
        r.gone.push_back(id);
        if (r.remove)
          remove_worker(id, r.stimulus_id, true, r.close);
        else if (r.close)
          send(id, Value(Value::Map{{"op", "close"}, {"reason", "scheduler-close-worker"}}));
      } else if (state().running().empty()) {
        log_warning("Could not retire worker '{}': unique data could not be moved to any other worker (stimulus_id='{}')", ws.address,
                    r.stimulus_id);
        send(id, Value(Value::Map{{"op", "worker-status-change"}, {"status", "running"}, {"stimulus_id", r.stimulus_id}}));
      } else {
        staying.push_back(id);
      }
    }
    r.workers = std::move(staying);
    if (r.workers.empty()) {
      Value::Array retired;
      for (WorkerId id : r.gone) retired.emplace_back(state().worker(id).address);
      log_event({"all"},
                Value(Value::Map{{"action", "retire-workers"}, {"retired", Value(std::move(retired))}, {"stimulus_id", r.stimulus_id}}));
      r.done(r.gone);
    } else {
      retirements_.push_back(std::move(r));
    }
  }
  if (!retirements_.empty() && !closing_) retirement_timer_ = loop_.after(kRetirePoll, [this] { advance_retirements(); });
}

namespace {

ClosingRequest closing_request(Server& server, const Value& msg) {
  ClosingRequest request;
  request.kept = server.shuffles().shuffles().participating();
  if (msg["memory_ratio"].is_number()) request.memory_ratio = msg["memory_ratio"].as_double();
  if (!msg["n"].is_nil()) request.n = msg["n"].as_int();
  if (!msg["minimum"].is_nil()) request.minimum = msg["minimum"].as_int();
  if (!msg["target"].is_nil()) request.target = msg["target"].as_int();
  return request;
}

void retire_workers(Server& server, RpcCallPtr call) {
  const Value& msg = call->msg;
  if (!msg["names"].is_nil() && !msg["workers"].is_nil())
    return call->raise("builtins.TypeError", "names and workers are mutually exclusive");
  if (const Value::Map* arguments = msg.map_if())
    for (const auto& [name, value] : *arguments) {
      const std::string argument(name.as_string());
      const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
        return std::find(names.begin(), names.end(), argument) != names.end();
      };
      if (is_one_of({"op", "reply", "serializers", "workers", "names", "close_workers", "remove", "stimulus_id"})) continue;
      if (!is_one_of({"memory_ratio", "n", "key", "minimum", "target", "attribute"}))
        return call->raise("builtins.TypeError", "retire_workers() got an unexpected keyword argument '" + argument + "'");
      if (!msg["names"].is_nil() || !msg["workers"].is_nil())
        return call->raise("builtins.TypeError",
                           "Parameters for workers_to_close() are mutually exclusive with names and workers, but there is " + argument);
    }
  std::vector<WorkerId> ids;
  if (!msg["workers"].is_nil()) {
    ids = server.workers_of(msg["workers"]);
  } else if (!msg["names"].is_nil()) {
    std::vector<std::string> names;
    const auto text = [](const Value& v) { return v.is_string() ? std::string(v.as_string()) : v.repr(); };
    if (const Value::Array* items = msg["names"].array_if())
      for (const Value& item : *items) names.push_back(text(item));
    for (const auto& [address, id] : server.state().workers())
      if (std::find(names.begin(), names.end(), text(server.state().worker(id).name)) != names.end()) ids.push_back(id);
  } else {
    if (msg["key"].is_bytes())
      return call->raise("builtins.NotImplementedError",
                         "retire_workers(key=<function>) needs Python in the scheduler, which this scheduler does not have");
    ids = workers_to_close(server.state(), closing_request(server, msg));
  }
  const bool close = msg["close_workers"].as_bool(), remove = msg["remove"].is_nil() || msg["remove"].as_bool();
  std::string stimulus_id(msg["stimulus_id"].as_string());
  if (stimulus_id.empty()) stimulus_id = server.stimulus("retire-workers");
  std::map<std::uint32_t, Value> identities;
  for (WorkerId id : ids) identities[id.value] = server.worker_identity(server.state().worker(id));
  server.retire(std::move(ids), close, remove, stimulus_id, [&server, call, identities](std::vector<WorkerId> gone) {
    Value::Map answer;
    for (WorkerId id : gone) answer.emplace_back(server.state().worker(id).address, identities.at(id.value));
    call->reply(Value(std::move(answer)));
  });
}

// ---- broadcast ----

void broadcast(Server& server, RpcCallPtr call) {
  const Value& msg = call->msg;
  std::vector<WorkerId> ids;
  if (!msg["workers"].is_nil() || msg["hosts"].is_nil()) ids = server.workers_of(msg["workers"]);
  for (const std::string& host : strings_of(msg["hosts"]))
    if (auto it = server.state().hosts().find(host); it != server.state().hosts().end())
      ids.insert(ids.end(), it->second.begin(), it->second.end());
  std::vector<std::pair<std::string, std::string>> peers;
  for (WorkerId id : ids) {
    const Worker& ws = server.state().worker(id);
    if (!msg["nanny"].as_bool())
      peers.emplace_back(ws.address, ws.address);
    else if (ws.nanny.is_string())
      peers.emplace_back(ws.address, *ws.nanny.string());
  }
  if (!msg["msg"].is_map()) return call->raise("builtins.TypeError", "broadcast needs a dict with 'op' under 'msg'");
  Value message = msg["msg"];
  if (message["reply"].is_nil()) message.set("reply", true);
  if (!msg["serializers"].is_nil()) message.set("serializers", msg["serializers"]);
  const std::string on_error(msg["on_error"].as_string("raise"));
  broadcast_to(server, peers, message, [call, on_error](std::shared_ptr<Broadcast> all) {
    for (const auto& [name, error] : all->errors) {
      log_error("broadcast to {} failed: {}", name, error);
      if (on_error == "raise") return call->raise("builtins.OSError", "broadcast to " + name + " failed: " + error);
      if (on_error != "ignore") all->results.emplace_back(name, Value(Bytes::own(wire::pickle_exception("builtins", "OSError", error))));
    }
    // A worker's own error is the answer of the whole, as in stock, where send_recv raises.
    if (on_error == "raise")
      for (const auto& [name, answer] : all->results)
        if (answer["status"].as_string() == "uncaught-error") return call->reply(answer);
    call->reply(Value(std::move(all->results)));
  });
}

void proxy(Server& server, RpcCallPtr call) {
  const std::vector<WorkerId> ids = server.workers_of(call->msg["worker"]);
  if (ids.empty()) return call->raise("builtins.KeyError", "unknown worker " + call->msg["worker"].repr());
  if (!call->msg["msg"].is_map()) return call->raise("builtins.TypeError", "proxy needs a dict with 'op' under 'msg'");
  Value message = call->msg["msg"];
  if (message["reply"].is_nil()) message.set("reply", true);
  server.rpc().call(server.state().worker(ids.front()).address, std::move(message), [call](Result<Value> answer) {
    if (!answer) return call->raise("builtins.OSError", answer.error().message);
    call->reply(*std::move(answer));
  });
}

// ---- restart ----

// Ends the processes of workers through their nannies and waits until as many are back.
class Restart : public std::enable_shared_from_this<Restart> {
 public:
  Restart(Server& server, RpcCallPtr call, std::vector<WorkerId> workers)
      : server_(server), call_(std::move(call)), workers_(std::move(workers)) {}

  void start() {
    count_ = server_.state().workers().size();
    timeout_s_ = call_->msg["timeout"].as_double(30);
    std::string stimulus_id(call_->msg["stimulus_id"].as_string("restart"));
    log_info("Restarting {} workers (stimulus_id='{}')", workers_.size(), stimulus_id);
    auto self = shared_from_this();
    timer_ = server_.loop().after(std::chrono::duration_cast<net::Loop::Duration>(std::chrono::duration<double>(timeout_s_)),
                                  [self] { self->late(); });
    for (WorkerId id : workers_) {
      const Worker& ws = server_.state().worker(id);
      const std::string address = ws.address;
      if (!ws.nanny.is_string()) {
        log_warning("Worker {} does not use a nanny and will be terminated without restarting it", address);
        results_.emplace_back(address, "removed");
        ++without_nanny_;
        server_.remove_worker(id, stimulus_id, false, true);
        continue;
      }
      ++pending_;
      nannies_.push_back(*ws.nanny.string());
      server_.rpc().call(*ws.nanny.string(), Value(Value::Map{{"op", "kill"}, {"reason", stimulus_id}, {"reply", true}}),
                         [self, address](Result<Value> answer) {
                           self->results_.emplace_back(address, answer && answer->is_nil() ? "OK" : "timed out");
                           if (--self->pending_ == 0) self->wait();
                         });
    }
    if (pending_ == 0) wait();
  }

 private:
  void wait() {
    const Value& wants = call_->msg["wait_for_workers"];
    if (!wants.is_nil() && !wants.as_bool()) return finish();
    server_.watch_workers([self = shared_from_this()] {
      if (self->call_->answered()) return true;
      if (self->server_.state().workers().size() < self->count_ || !self->all_new()) return false;
      self->finish();
      return true;
    });
  }
  // The old workers' streams may end later than their nannies say so.
  bool all_new() const {
    return std::none_of(workers_.begin(), workers_.end(), [&](WorkerId id) { return server_.stream(id) != nullptr; });
  }
  void late() {
    if (call_->answered()) return;
    const std::size_t present = server_.state().workers().size();
    std::string text = fmt::format(
        "Waited for {} worker(s) to reconnect after restarting but, after {}s, {} have not returned. Consider a longer "
        "timeout, or `wait_for_workers=False`.",
        workers_.size(), timeout_s_, count_ > present ? count_ - present : 0);
    if (without_nanny_ > 0)
      text += fmt::format(
          " The {} worker(s) not using Nannies were just shut down instead of restarted: only a Nanny can restart a worker. Unless "
          "something else starts them again, they will not come back, and restarting will always time out.",
          without_nanny_);
    if (call_->msg["on_error"].as_string("raise") == "return") return call_->reply(Value(std::move(results_)));
    call_->raise("builtins.TimeoutError", text);
  }
  void finish() {
    if (call_->answered()) return;
    log_info("Workers restart finished");
    if (call_->msg["op"].as_string() == "restart")
      call_->reply(Value());
    else
      call_->reply(Value(std::move(results_)));
    server_.loop().post([self = shared_from_this()] { self->timer_.cancel(); });
  }

  Server& server_;
  RpcCallPtr call_;
  std::vector<WorkerId> workers_;
  std::vector<std::string> nannies_;
  std::size_t count_ = 0;  // workers before
  std::size_t without_nanny_ = 0;
  std::size_t pending_ = 0;
  double timeout_s_ = 0;
  Value::Map results_;
  net::Loop::Timer timer_;
};

void restart(Server& server, RpcCallPtr call) {
  std::vector<std::pair<ClientId, std::vector<Key>>> wishes;
  std::vector<ClientId> clients;
  for (const auto& [name, id] : server.state().clients()) {
    std::vector<Key> keys;
    for (std::uint32_t slot : server.state().client(id).wants_what) keys.push_back(server.state().task(slot).key);
    wishes.emplace_back(id, std::move(keys));
    clients.push_back(id);
  }
  for (auto& [id, keys] : wishes) server.apply(KeysReleased{id, std::move(keys)}, server.stimulus("restart"));
  server.shuffles().clear();
  for (ClientId id : clients) server.send(id, Value(Value::Map{{"op", "restart"}}));
  std::make_shared<Restart>(server, std::move(call), server.workers_of(Value()))->start();
}

// ---- heartbeats, nannies, plugins ----

void heartbeat_worker(Server& server, RpcCallPtr call) {
  const Worker* ws = server.state().find_worker(call->msg["address"].as_string());
  if (!ws) {
    log_warning("Received heartbeat from unregistered worker '{}'.", call->msg["address"].as_string());
    return call->reply(Value(Value::Map{{"status", "missing"}}));
  }
  WorkerHeartbeat heartbeat{ws->id, call->msg["metrics"], call->msg["now"].as_double(), {}};
  if (const Value::Map* executing = call->msg["executing"].map_if())
    for (const auto& [name, seconds] : *executing)
      if (auto key = Key::from_value(name)) heartbeat.executing.emplace_back(*std::move(key), seconds.as_double());
  if (const Value& shuffles = call->msg["extensions"]["shuffle"]; !shuffles.is_nil()) server.shuffles().heartbeat(ws->address, shuffles);
  server.apply(std::move(heartbeat), "heartbeat");
  call->reply(Value(Value::Map{{"status", "OK"}, {"time", server.now()}, {"heartbeat-interval", server.heartbeat_interval()}}));
}

void register_nanny(Server& server, RpcCallPtr call) {
  Value plugins = Value::map();
  for (const auto& [name, plugin] : server.nanny_plugins()) plugins.set(name, plugin);
  call->reply(Value(Value::Map{{"status", "OK"}, {"nanny-plugins", std::move(plugins)}}));
}

// A nanny says that its worker's process has ended.
void unregister(Server& server, RpcCallPtr call) {
  const Worker* ws = server.state().find_worker(call->msg["address"].as_string());
  std::string stimulus_id(call->msg["stimulus_id"].as_string("unregister"));
  if (ws)
    server.remove_worker(ws->id, stimulus_id, call->msg["expected"].as_bool(), call->msg["close"].is_nil() || call->msg["close"].as_bool());
  call->reply(Value(ws ? "OK" : "already-removed"));
}

void plugin(Server& server, RpcCallPtr call, bool nanny, bool add) {
  const std::string name(call->msg["name"].as_string());
  auto& plugins = nanny ? server.nanny_plugins() : server.worker_plugins();
  if (add && plugins.contains(name) && call->msg["idempotent"].as_bool()) return call->reply(Value::map());
  if (!add && !plugins.contains(name)) return call->raise("builtins.ValueError", "The plugin " + name + " does not exist");
  Value message;
  if (add) {
    plugins[name] = call->msg["plugin"];
    message =
        Value(Value::Map{{"op", nanny ? "plugin_add" : "plugin-add"}, {"plugin", call->msg["plugin"]}, {"name", name}, {"reply", true}});
  } else {
    plugins.erase(name);
    message = Value(Value::Map{{"op", nanny ? "plugin_remove" : "plugin-remove"}, {"name", name}, {"reply", true}});
  }
  std::vector<std::pair<std::string, std::string>> peers;
  for (const auto& [address, id] : server.state().workers()) {
    const Worker& ws = server.state().worker(id);
    if (!nanny)
      peers.emplace_back(address, address);
    else if (ws.nanny.is_string())
      peers.emplace_back(address, *ws.nanny.string());
  }
  broadcast_to(server, peers, message, [call](std::shared_ptr<Broadcast> all) {
    for (const auto& [peer, error] : all->errors) log_warning("Plugin was not handed to {}: {}", peer, error);
    call->reply(Value(std::move(all->results)));
  });
}

// Of scheduler plugins only the one of Client.upload_file: the file goes where graphs are unpickled.
void register_scheduler_plugin(Server& server, RpcCallPtr call) {
  const Bytes* plugin = call->msg["plugin"].bytes();
  if (!plugin || plugin->view().find("SchedulerUploadFile") == std::string_view::npos)
    return call->raise(
        "builtins.NotImplementedError",
        "dask-native's scheduler does not do 'register_scheduler_plugin' yet: scheduler plugins are Python code, and it runs none");
  server.graphs().upload(*plugin, [call](FailurePtr failure) {
    if (!failure) return call->reply(Value());
    call->reply(Value(Value::Map{{"status", "uncaught-error"},
                                 {"exception", exception_of(*failure)},
                                 {"traceback", failure->traceback},
                                 {"exception_text", failure->exception_text},
                                 {"traceback_text", failure->traceback_text}}));
  });
}

// This connection becomes a one-way stream of ["add", {...}] and ["remove", address].
void subscribe_worker_status(Server& server, RpcCallPtr call) {
  net::CommPtr comm = call->comm;
  Value identity = server.identity(-1);
  auto known = std::make_shared<std::vector<std::string>>();
  for (const auto& [address, id] : server.state().workers()) known->push_back(address);
  call->reply(std::move(identity));
  server.watch_workers([&server, comm, known] {
    if (comm->closed()) return true;
    std::vector<std::string> now;
    for (const auto& [address, id] : server.state().workers()) {
      now.push_back(address);
      if (std::find(known->begin(), known->end(), address) != known->end()) continue;
      Value ident = server.worker_identity(server.state().worker(id), false);
      comm->send(wire::encode_message(
          Value(Value::Array{Value(Value::Array{"add", Value(Value::Map{{"workers", Value(Value::Map{{address, std::move(ident)}})}})})})));
    }
    for (const std::string& address : *known)
      if (!server.state().find_worker(address))
        comm->send(wire::encode_message(Value(Value::Array{Value(Value::Array{"remove", address})})));
    *known = std::move(now);
    return false;
  });
}

void refuse(RpcTable& table, const char* op, const char* why) {
  table[op] = [op, why](Server&, RpcCallPtr call) {
    call->raise("builtins.NotImplementedError", fmt::format("dask-native's scheduler does not do '{}' yet: {}", op, why));
  };
}

}  // namespace

void add_cluster_operations(RpcTable& table) {
  table["identity"] = [](Server& s, RpcCallPtr call) { call->reply(s.identity(call->msg["n_workers"].as_int(-1))); };
  table["echo"] = [](Server&, RpcCallPtr call) { call->reply(call->msg["data"]); };
  table["heartbeat_worker"] = heartbeat_worker;
  table["register_nanny"] = register_nanny;
  table["unregister"] = unregister;
  table["retire_workers"] = retire_workers;
  table["workers_to_close"] = [](Server& s, RpcCallPtr call) {
    Value::Array addresses;
    const bool names = call->msg["attribute"].as_string() == "name";
    for (WorkerId id : workers_to_close(s.state(), closing_request(s, call->msg)))
      addresses.push_back(names ? s.state().worker(id).name : Value(s.state().worker(id).address));
    call->reply(Value(std::move(addresses)));
  };
  table["adaptive_target"] = [](Server& s, RpcCallPtr call) {
    double target_duration = 5;
    const Value& given = call->msg["target_duration"];
    if (given.is_number()) target_duration = given.as_double();
    if (const std::string* text = given.string())
      if (auto seconds = parse_timedelta(*text)) target_duration = *seconds;
    call->reply(Value(s.machine().adaptive_target(std::max(target_duration, 1e-3))));
  };
  table["check_idle"] = [](Server& s, RpcCallPtr call) {
    const double since = s.graphs_in_progress() > 0 ? -1 : s.machine().idle_since(s.now());
    call->reply(since < 0 ? Value() : Value(since));
  };
  table["terminate"] = [](Server& s, RpcCallPtr call) {
    call->reply(Value("OK"));
    s.terminate("scheduler-terminate");
  };
  table["stop_scheduling"] = [](Server& s, RpcCallPtr call) {  // ours, not Dask's: dask_native.LocalCluster says that it is closing
    s.stop_scheduling();
    call->reply(Value("OK"));
  };
  table["broadcast"] = broadcast;
  table["proxy"] = proxy;
  table["restart"] = restart;
  table["restart_workers"] = [](Server& s, RpcCallPtr call) {
    std::vector<WorkerId> workers = s.workers_of(call->msg["workers"]);
    std::make_shared<Restart>(s, std::move(call), std::move(workers))->start();
  };
  table["register_worker_plugin"] = [](Server& s, RpcCallPtr call) { plugin(s, std::move(call), false, true); };
  table["unregister_worker_plugin"] = [](Server& s, RpcCallPtr call) { plugin(s, std::move(call), false, false); };
  table["register_nanny_plugin"] = [](Server& s, RpcCallPtr call) { plugin(s, std::move(call), true, true); };
  table["unregister_nanny_plugin"] = [](Server& s, RpcCallPtr call) { plugin(s, std::move(call), true, false); };
  table["subscribe_worker_status"] = subscribe_worker_status;
  refuse(table, "run_function", "it would run Python in the scheduler, and this one has none; use Client.run to run on workers");
  table["register_scheduler_plugin"] = register_scheduler_plugin;
  refuse(table, "unregister_scheduler_plugin", "scheduler plugins are Python code");
  refuse(table, "feed", "it would run Python in the scheduler");
}

}  // namespace dask::scheduler
