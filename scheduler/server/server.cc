#include "scheduler/server/server.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <random>

#include "core/net/connection.h"
#include "core/net/http.h"
#include "core/runtime/log.h"
#include "scheduler/server/extensions.h"
#include "scheduler/server/memory_manager.h"
#include "scheduler/server/routes.h"
#include "scheduler/server/sessions.h"
#include "scheduler/server/shuffle_manager.h"

namespace dask::scheduler {
namespace {

constexpr std::size_t kLogLength = 1000;                        // of the transition log and of each topic
constexpr auto kGoodbyeTime = std::chrono::milliseconds(1000);  // how long clients that reconnect are told why
constexpr auto kIdlePoll = std::chrono::milliseconds(250);
constexpr auto kHousekeeping = std::chrono::seconds(1);

// How much of its history the scheduler keeps; None: all of it.
std::size_t log_length(const Config& config) {
  constexpr std::string_view kName = "distributed.admin.low-level-log-length";
  if (const Value* value = config.find(kName); value && value->is_nil()) return SIZE_MAX;
  return static_cast<std::size_t>(std::max<std::int64_t>(config.get_int(kName).value_or(kLogLength), 0));
}

std::string random_id(std::string_view prefix) {
  std::random_device random;
  return fmt::format("{}-{:08x}-{:04x}-{:04x}-{:04x}-{:08x}{:04x}", prefix, random(), random() & 0xffff, random() & 0xffff,
                     random() & 0xffff, random(), random() & 0xffff);
}

}  // namespace

Settings Server::settings_from(const Config& config) {
  Settings settings;
  const auto number = [&](std::string_view key, auto otherwise) {
    auto value = config.get_double(key);
    return value ? static_cast<decltype(otherwise)>(*value) : otherwise;
  };
  settings.allowed_failures = number("distributed.scheduler.allowed-failures", settings.allowed_failures);
  settings.bandwidth = number("distributed.scheduler.bandwidth", settings.bandwidth);
  if (auto bandwidth = config.get_bytes("distributed.scheduler.bandwidth"); bandwidth && *bandwidth)
    settings.bandwidth = static_cast<double>(**bandwidth);
  settings.worker_saturation = number("distributed.scheduler.worker-saturation", settings.worker_saturation);
  if (auto text = config.get_string("distributed.scheduler.worker-saturation"); text && (*text == "inf" || *text == ".inf"))
    settings.worker_saturation = std::numeric_limits<double>::infinity();
  if (auto seconds = config.get_seconds("distributed.scheduler.unknown-task-duration"); seconds && *seconds)
    settings.unknown_task_duration_s = **seconds;
  if (auto bytes = config.get_bytes("distributed.scheduler.default-data-size"); bytes && *bytes)
    settings.default_data_size = static_cast<std::int64_t>(**bytes);
  settings.transition_log_length = log_length(config);
  if (auto seconds = config.get_seconds("distributed.scheduler.no-workers-timeout"); seconds) settings.no_workers_timeout_s = *seconds;
  if (const Value* terminate = config.find("distributed.worker.memory.terminate")) settings.memory_terminate = terminate->as_bool();
  if (const Value* durations = config.find("distributed.scheduler.default-task-durations"); durations && durations->map_if())
    for (const auto& [prefix, duration] : *durations->map_if()) {
      if (const std::string* text = duration.string()) {
        if (auto seconds = parse_timedelta(*text)) settings.default_task_durations_s[std::string(prefix.as_string())] = *seconds;
      } else {
        settings.default_task_durations_s[std::string(prefix.as_string())] = duration.as_double();
      }
    }
  return settings;
}

Server::Server(net::Loop& loop, const Clock& clock, ServerOptions options)
    : loop_(loop),
      clock_(clock),
      options_(std::move(options)),
      machine_(settings_from(options_.config)),
      rpc_(loop),
      events_(log_length(options_.config), [this](const std::string& client, const std::string& topic, const Events::Entry& entry) {
        const Client* cs = state().find_client(client);
        if (cs) send(cs->id, Value(Value::Map{{"op", "event"}, {"topic", topic}, {"event", Value(Value::Array{entry.time, entry.msg})}}));
      }) {
  id_ = random_id("Scheduler");
  add_data_operations(operations_);
  add_cluster_operations(operations_);
  add_info_operations(operations_);
  add_extension_operations(operations_);
  add_dump_operations(operations_);
  add_replica_operations(operations_);
  add_profile_operations(operations_);
  add_adjust_operations(operations_);
  add_measure_operations(operations_);
  add_memory_manager_operations(operations_);
  add_shuffle_operations(operations_);
  extensions_ = std::make_unique<Extensions>(*this);
  memory_manager_ = std::make_unique<MemoryManager>(*this);
  shuffles_ = std::make_unique<ShuffleManager>(*this);
  // The plugin that every stock worker must have (distributed.shuffle._worker_plugin.ShuffleWorkerPlugin()).
  worker_plugins_["shuffle"] =
      Value(Bytes::literal(std::string_view("\x80\x05\x95\x41\0\0\0\0\0\0\0\x8c\x22"
                                            "distributed.shuffle._worker_plugin\x94\x8c\x13ShuffleWorkerPlugin\x94\x93\x94)\x81\x94.",
                                            76)));
}

Server::~Server() = default;

Result<void> Server::start() {
  started_ = now();
  DASK_TRY(net::Address address,
           net::parse_address(
               options_.protocol + "://" +
               (options_.host.find(':') != std::string::npos && options_.host.front() != '[' ? "[" + options_.host + "]" : options_.host) +
               ":" + std::to_string(options_.port)));
  auto listener = net::listen(loop_, address, [this](net::CommPtr comm) { accept(std::move(comm)); });
  if (!listener) return fail(listener.error());
  listener_ = *std::move(listener);
  address_ = listener_->address();

  GraphService::Options graphs;
  graphs.python = options_.python;
  graphs.helpers = options_.helpers;
  graphs.lazy = options_.lazy_helpers;
  versions_known_ = options_.lazy_helpers;  // nobody waits for helpers that start when they are needed
  graphs_ = std::make_unique<GraphService>(loop_, std::move(graphs));
  graphs_->start([this](Result<Value> versions) {
    if (!versions) log_error("{}", versions.error().message);
    for (const RpcCallPtr& call : std::exchange(version_calls_, {})) call->reply(graphs_->versions());
    versions_known_ = true;
  });

  DASK_TRY_VOID(start_http());
  DASK_TRY_VOID(write_scheduler_file());
  log_info("-----------------------------------------------");
  log_info("  Scheduler at: {:>25}", address_);
  if (http_)
    log_info("  dashboard at:  {}",
             fmt::format("http://{}:{}/status", options_.dashboard_host.empty() ? "127.0.0.1" : options_.dashboard_host, http_->port()));
  log_info("-----------------------------------------------");

  timers_.push_back(loop_.every(kHousekeeping, [this] {
    apply(TimePassed{}, stimulus("check-no-workers-timeout"));
    check_worker_ttl();
  }));
  auto stealing = config().get_bool("distributed.scheduler.work-stealing");
  if (!stealing || *stealing) {
    auto interval = config().get_seconds("distributed.scheduler.work-stealing-interval");
    const double seconds = interval && *interval ? std::max(**interval, 0.01) : 1.0;
    timers_.push_back(loop_.every(std::chrono::duration_cast<net::Loop::Duration>(std::chrono::duration<double>(seconds)),
                                  [this] { apply(StealingDue{}, "steal"); }));
  }
  memory_manager_->start_as_configured();
  if (options_.idle_timeout_s) timers_.push_back(loop_.every(kIdlePoll, [this] { check_idle(); }));
  return {};
}

std::uint16_t Server::dashboard_port() const { return http_ ? http_->port() : 0; }

std::string Server::stimulus(std::string_view what) const { return fmt::format("{}-{:.6f}", what, now()); }

double Server::heartbeat_interval() const {
  const auto n = static_cast<double>(machine_.state().workers().size());
  return n <= 10 ? 0.5 : n < 50 ? 1 : n < 200 ? 2 : n / 200 + 1;
}

void Server::accept(net::CommPtr comm) {
  auto connection = std::make_shared<Connection>(*this, std::move(comm));
  connections_.emplace(connection.get(), connection);
  connection->start();
}

bool Server::take_over(const std::shared_ptr<Connection>& connection, std::string_view op, Value& message) {
  if (op == "register-client")
    register_client(connection, std::move(message));
  else if (op == "register-worker")
    register_worker(connection, std::move(message));
  else
    return false;
  return true;
}

void Server::serve(std::string_view op, RpcCallPtr call) {
  if (auto it = operations_.find(op); it != operations_.end()) return it->second(*this, std::move(call));
  ++counters_.unknown_operations;
  log_warning("Operation '{}' of {} is not supported by this scheduler", op, call->comm->peer_address());
  call->raise("builtins.NotImplementedError", fmt::format("dask-native's scheduler does not support the operation '{}' yet; "
                                                          "docs/compatibility.md lists what it supports",
                                                          op));
}

void Server::drop(Connection& connection) {
  auto it = connections_.find(&connection);
  if (it == connections_.end()) return;
  auto keep_alive = std::move(it->second);
  connections_.erase(it);
  keep_alive->close();
}

Stream* Server::stream(WorkerId worker) {
  return worker.value < worker_sessions_.size() && worker_sessions_[worker.value] ? &worker_sessions_[worker.value]->stream : nullptr;
}

Stream* Server::stream(ClientId client) {
  return client.value < client_sessions_.size() && client_sessions_[client.value] ? &client_sessions_[client.value]->stream : nullptr;
}

bool Server::takes_values(ClientId client) const {
  return client.value < client_sessions_.size() && client_sessions_[client.value] && client_sessions_[client.value]->takes_values();
}

void Server::send(WorkerId worker, const Value& message) {
  if (Stream* out = stream(worker)) {
    out->message(message);
    wrote_to(*out);
  }
}

void Server::send(ClientId client, const Value& message) {
  if (Stream* out = stream(client)) {
    out->message(message);
    wrote_to(*out);
  }
}

void Server::reply_versions(RpcCallPtr call) {
  if (versions_known_ || version_calls_.size() >= kVersionCallsMax) return call->reply(graphs_->versions());
  version_calls_.push_back(std::move(call));
}

void Server::log_event(const std::vector<std::string>& topics, const Value& msg) { events_.log(topics, now(), msg); }

// ---- workers ----

void Server::register_worker(const std::shared_ptr<Connection>& connection, Value message) {
  const auto refuse = [&](const std::string& why) {
    log_warning("Worker at {} was refused: {}", connection->comm().peer_address(), why);
    connection->comm().send(wire::encode_message(Value(Value::Map{{"status", "error"}, {"message", why}, {"time", now()}})));
    drop(*connection);
  };
  if (closing_) return refuse("scheduler is closing: " + closing_reason_);
  const std::string address(message["address"].as_string());
  auto parsed = net::parse_address(address);
  if (!parsed) return refuse("the worker's address '" + address + "' is no address: " + parsed.error().message);
  if (state().find_worker(address)) return refuse("address taken, " + address);
  if (!message["name"].is_nil() && state().find_worker_by_name(message["name"]))
    return refuse("name taken, " + (message["name"].is_string() ? std::string(message["name"].as_string()) : message["name"].repr()));

  Worker ws;
  ws.address = address;
  ws.host = parsed->host;
  ws.name = message["name"].is_nil() ? Value(address) : message["name"];
  ws.server_id = message["server_id"].as_string();
  ws.local_directory = message["local_directory"].as_string();
  ws.nthreads = message["nthreads"].as_int(1);
  ws.memory_limit = message["memory_limit"].as_int(0);
  ws.pid = message["pid"].as_int(0);
  ws.services = message["services"];
  ws.nanny = message["nanny"];
  ws.versions = message["versions"];
  package_versions_.add_worker(ws.versions);
  const std::string warning = package_versions_.compare(graphs_->versions(), ws.versions, ws.server_id);
  ws.extra = message["extra"];
  ws.native = ws.extra["dask-native"].is_map();
  ws.status = worker_status(message["status"].as_string());
  if (const Value::Map* resources = message["resources"].map_if())
    for (const auto& [resource, quantity] : *resources) ws.resources[std::string(resource.as_string())] = quantity.as_double();
  const std::string stimulus_id(message["stimulus_id"].as_string("register-worker"));

  connection->comm().send(wire::encode_message(Value(Value::Map{{"status", "OK"},
                                                                {"time", now()},
                                                                {"heartbeat-interval", heartbeat_interval()},
                                                                {"worker-plugins",
                                                                 [&] {
                                                                   Value plugins = Value::map();
                                                                   for (const auto& [name, plugin] : worker_plugins_)
                                                                     plugins.set(name, plugin);
                                                                   return plugins;
                                                                 }()},
                                                                {"dask-native", Value(Value::Map{{"version", 1}})},
                                                                {"warning", warning},
                                                                {"error", ""}})));

  // The session must be there before the machine may send it tasks: its id is the next one.
  const WorkerId id{static_cast<std::uint32_t>(worker_sessions_.size())};
  worker_sessions_.push_back(std::make_unique<WorkerSession>(*this, id, connection));
  apply(WorkerConnected{std::move(ws)}, stimulus_id);
  DASK_CHECK_EQ(machine_.last_worker().value, id.value);
  apply(WorkerHeartbeat{id, message["metrics"], message["now"].as_double(), {}}, stimulus_id);
  log_info("Starting worker compute stream, {}", address);
  connection->become_stream(
      [this, id](std::vector<StreamMsg> batch) {
        if (stream(id)) worker_sessions_[id.value]->receive(std::move(batch));
      },
      [this, id] { worker_stream_ended(id); });
  workers_changed();
}

void Server::worker_stream_ended(WorkerId worker) { remove_worker(worker, stimulus("handle-worker-cleanup"), false, false); }

void Server::remove_worker(WorkerId worker, const std::string& stimulus_id, bool expected, bool close) {
  if (!stream(worker)) return;
  const std::string address = state().worker(worker).address;
  if (close) send(worker, Value(Value::Map{{"op", "close"}, {"reason", "scheduler-remove-worker"}}));
  package_versions_.remove_worker(state().worker(worker).versions);
  std::unique_ptr<WorkerSession> session = std::move(worker_sessions_[worker.value]);
  forget_stream(session->stream);
  apply(WorkerLeft{worker, expected}, stimulus_id);
  shuffles_->worker_left(address, stimulus_id);
  rpc_.forget(address);
  const Value gone(Value::Map{{"op", "remove-worker"}, {"worker", address}, {"stimulus_id", stimulus_id}});
  for (const auto& [other, id] : state().workers()) send(id, gone);
  // A worker that somebody else will close keeps its connection until then: losing it, the worker would tell its nanny to end while that
  // somebody already does so, and the two would wait for each other.
  if (close || !expected) drop(session->connection());
  // A message of this worker may be on the stack.
  loop_.post([session = std::shared_ptr<WorkerSession>(std::move(session))] {});
  workers_changed();
}

void Server::workers_changed() {
  std::vector<std::function<bool()>> watchers = std::exchange(worker_watchers_, {});
  for (auto& done : watchers)
    if (!done()) worker_watchers_.push_back(std::move(done));
}

void Server::check_worker_ttl() {
  auto ttl = config().get_seconds("distributed.scheduler.worker-ttl");
  if (!ttl || !*ttl) return;
  const double limit = std::max(**ttl, 10 * heartbeat_interval());
  std::vector<WorkerId> late;
  for (const auto& [address, id] : state().workers())
    if (now() - state().worker(id).last_seen > limit) late.push_back(id);
  for (WorkerId id : late) {
    log_warning("Worker failed to heartbeat for {:.0f}s; removing it: {} (distributed.scheduler.worker-ttl)", limit,
                state().worker(id).address);
    remove_worker(id, stimulus("check-worker-ttl"), false, true);
  }
}

// ---- clients ----

void Server::register_client(const std::shared_ptr<Connection>& connection, Value message) {
  const std::string name(message["client"].as_string());
  const auto start = [&](const std::string& error, const std::string& warning = "") {
    wire::BatchWriter batch;
    batch.message(Value(Value::Map{{"op", "stream-start"}, {"warning", warning}, {"error", error}}));
    connection->comm().send(batch.take());
  };
  if (closing_ || name.empty()) {
    start(closing_ ? "The scheduler is shut down: " + closing_reason_ : "register-client needs the client's id under 'client'");
    return drop(*connection);
  }
  if (const Client* known = state().find_client(name); known && known->connected) client_stream_ended(known->id);
  apply(ClientConnected{name, message["versions"]}, stimulus("add-client"));
  const ClientId id = machine_.last_client();
  if (client_sessions_.size() <= id.value) client_sessions_.resize(id.value + 1);
  start("", package_versions_.compare(graphs_->versions(), state().client(id).versions, "Client"));
  client_sessions_[id.value] = std::make_shared<ClientSession>(*this, id, name, connection);
  connection->become_stream(
      [this, id](std::vector<StreamMsg> batch) {
        if (stream(id)) client_sessions_[id.value]->receive(std::move(batch));
      },
      [this, id] { client_stream_ended(id); });
}

void Server::client_stream_ended(ClientId client) {
  if (!stream(client)) return;
  std::shared_ptr<ClientSession> session = std::move(client_sessions_[client.value]);
  session->end();
  events_.forget_client(session->name());
  session->stream.message(Value(Value::Map{{"op", "stream-closed"}}));
  forget_stream(session->stream);
  apply(ClientLeft{client}, stimulus("remove-client"));
  extensions_->client_left(session->name());
  drop(session->connection());
  log_info("Close client connection: {}", session->name());
  loop_.post([session] {});
}

// ---- the end ----

void Server::check_idle() {
  const double since = graphs_in_progress_ > 0 ? -1 : machine_.idle_since(now());
  if (closing_ || since < 0 || now() - since <= *options_.idle_timeout_s) return;
  log_info("Scheduler closing after being idle for {:.2f} s", *options_.idle_timeout_s);
  terminate("idle-timeout-exceeded");
}

void Server::terminate(const std::string& reason) {
  if (closing_) {
    if (finished_) finished_();
    return;
  }
  close(reason, [this] {
    if (finished_) finished_();
  });
}

void Server::close(const std::string& reason, std::function<void()> done) {
  if (std::exchange(closing_, true)) return;
  stop_scheduling();
  closing_reason_ = reason;
  log_info("Scheduler closing due to {}...", reason);
  timers_.clear();
  memory_manager_->stop();
  graphs_->stop();
  if (http_) http_->close();  // the next scheduler on this machine finds the dashboard's port free
  for (const auto& [address, id] : state().workers()) {
    send(id, Value(Value::Map{{"op", "close"}, {"reason", reason}}));
    send(id, Value(Value::Map{{"op", "close-stream"}}));
  }
  // Clients leave silently when all their keys are cancelled before the connection ends; those that come back within the
  // goodbye time are told why there is nothing left.
  for (const auto& session : client_sessions_) {
    if (!session) continue;
    const Client* cs = state().find_client(session->name());
    Value::Array keys;
    if (cs)
      for (std::uint32_t slot : cs->wants_what) keys.push_back(state().task(slot).key.value());
    if (!keys.empty())
      session->stream.message(Value(Value::Map{{"op", "cancelled-keys"},
                                               {"keys", Value(std::move(keys))},
                                               {"reason", "scheduler-close"},
                                               {"msg", "The scheduler is shut down: " + reason}}));
    session->end();
    session->stream.flush();
    session->connection().close();
  }
  flush();
  if (!options_.scheduler_file.empty()) std::remove(options_.scheduler_file.c_str());
  timers_.push_back(loop_.after(kGoodbyeTime, [this, done = std::move(done)] {
    if (listener_) listener_->close();
    for (auto& [connection, kept] : std::exchange(connections_, {})) kept->close();
    rpc_.close();
    log_info("End scheduler");
    done();
  }));
}

Result<void> Server::write_scheduler_file() {
  if (options_.scheduler_file.empty()) return {};
  // Written aside and renamed, so that nobody reads half a file.
  const std::string aside = options_.scheduler_file + "." + std::to_string(getpid());
  std::ofstream file(aside);
  std::string services = http_ ? fmt::format("\"dashboard\": {}", http_->port()) : "";
  file << fmt::format(
      "{{\n  \"type\": \"Scheduler\",\n  \"id\": \"{}\",\n  \"address\": \"{}\",\n  \"services\": {{{}}},\n  \"started\": {:.6f},\n  "
      "\"workers\": {{}}\n}}\n",
      id_, address_, services, started_);
  file.close();
  if (!file || std::rename(aside.c_str(), options_.scheduler_file.c_str()) != 0)
    return fail(ErrorCode::kInvalidArgument,
                "cannot write the scheduler file " + options_.scheduler_file + ": check that its folder exists and is writable");
  return {};
}

Result<void> Server::start_http() {
  net::HttpServer::Limits limits;
  auto http = net::serve_http(loop_, options_.dashboard_host, options_.dashboard_port, true, limits);
  if (!http) return fail(http.error());
  http_ = *std::move(http);
  add_routes(*this, *http_);
  return {};
}

bool Server::client_message(ClientSession& session, const std::string& op, const Value& fields) {
  return extensions_->client_message(session.name(), op, fields);
}

}  // namespace dask::scheduler
