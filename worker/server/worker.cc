// The life of a worker: listening, the executor's start, registration, heartbeats, memory, and the several ways to end.
#include "worker/server/worker.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "core/net/address.h"
#include "core/net/http.h"
#include "core/runtime/log.h"
#include "core/wire/pickle.h"
#include "worker/execute/courier.h"
#include "worker/execute/memory_of_process.h"
#include "worker/memory/limits.h"
#include "worker/server/http_routes.h"
#include "worker/server/network.h"

namespace dask::worker {
namespace {

constexpr double kExecutorStopSeconds = 5;  // plugins' teardown; then it is killed
constexpr auto kKeepAlive = std::chrono::seconds(60);
constexpr auto kMonitorInterval = std::chrono::milliseconds(500);
constexpr auto kMissingInterval = std::chrono::seconds(1);
constexpr double kUnmanagedWarningSeconds = 300;

net::Loop::Duration seconds(double s) { return std::chrono::duration_cast<net::Loop::Duration>(std::chrono::duration<double>(s)); }

std::string random_id(std::string_view prefix) {
  std::random_device random;
  return fmt::format("{}-{:08x}-{:04x}-{:04x}-{:04x}-{:08x}{:04x}", prefix, random(), random() & 0xffff, random() & 0xffff,
                     random() & 0xffff, random(), random() & 0xffff);
}

std::optional<std::uint64_t> count_limit(const Config& config, std::string_view key) {
  const Value* value = config.find(key);
  if (!value || value->is_nil() || (value->is_bool() && !value->as_bool())) return std::nullopt;
  auto limit = config.get_int(key);
  return limit && *limit >= 0 ? std::optional<std::uint64_t>(static_cast<std::uint64_t>(*limit)) : std::nullopt;
}

Settings settings_from(const WorkerOptions& options) {
  const Config& config = options.config;
  Settings settings;
  settings.nthreads = static_cast<std::uint32_t>(options.nthreads);
  settings.resources = options.resources;
  settings.transfer_incoming_count_limit =
      static_cast<std::int64_t>(count_limit(config, "distributed.worker.connections.outgoing").value_or(INT64_MAX));
  if (auto bytes = config.get_bytes("distributed.worker.transfer.message-bytes-limit"); bytes)
    settings.transfer_message_bytes_limit = *bytes ? static_cast<std::int64_t>(**bytes) : -1;
  const Value* transfer = config.find("distributed.worker.memory.transfer");
  if (options.memory_limit_bytes && transfer && transfer->is_number())
    settings.transfer_incoming_bytes_limit =
        static_cast<std::int64_t>(transfer->as_double() * static_cast<double>(*options.memory_limit_bytes));
  if (auto bytes = config.get_bytes("distributed.scheduler.default-data-size"); bytes && *bytes)
    settings.default_data_size = static_cast<std::int64_t>(**bytes);
  if (auto length = config.get_int("distributed.admin.low-level-log-length"); length && *length >= 0)
    settings.story_length_max = static_cast<std::size_t>(*length);
  settings.seed = std::random_device()();
  return settings;
}

}  // namespace

std::string_view name_of(Status status) {
  static constexpr std::string_view kNames[] = {"init", "running", "paused", "closing_gracefully", "closing", "closed"};
  return kNames[static_cast<std::size_t>(status)];
}

Worker::Worker(net::Loop& loop, const Clock& clock, const WorkerOptions& options, std::string nanny, Handlers handlers)
    : loop_(loop),
      clock_(clock),
      options_(options),
      nanny_(std::move(nanny)),
      handlers_(std::move(handlers)),
      machine_(settings_from(options)),
      rpc_(loop),
      incoming_(loop, rpc_) {
  id_ = random_id("Worker");
  add_data_operations(operations_);
  add_info_operations(operations_);
  if (auto bytes = options.config.get_bytes("distributed.scheduler.bandwidth"); bytes && *bytes) bandwidth_ = static_cast<double>(**bytes);
}

Worker::~Worker() {
  *alive_ = false;
  for (auto& [connection, kept] : std::exchange(connections_, {})) kept->close();
}

Result<void> Worker::start() {
  DASK_TRY(workspace_, Workspace::create(options_.local_directory));
  DASK_TRY_VOID(listen());

  StoreOptions store;
  store.folder = workspace_.path() + "/storage";
  if (auto bytes = config().get_bytes("distributed.worker.memory.max-spill"); bytes && *bytes) store.spill_bytes_max = **bytes;
  if (options_.memory_limit_bytes) store.cache_bytes_max = std::min(store.cache_bytes_max, *options_.memory_limit_bytes / 20);
  LiveValues live;
  live.serialise = [this](std::vector<Key> keys, std::vector<std::string> serializers, bool lend, PythonExecutor::SerialiseDone done) {
    executor_->serialise(std::move(keys), std::move(done), std::move(serializers), lend);
  };
  live.drop = [this](const std::vector<Key>& keys) {
    if (executor_) executor_->drop(keys);
  };
  store_ = std::make_unique<Store>(loop_, clock_, std::move(store), std::move(live));
  outgoing_ = std::make_unique<Outgoing>(*store_, clock_, count_limit(config(), "distributed.worker.connections.incoming"));
  outgoing_->set_host(host_of(address_));
  incoming_.set_who(address_);
  rpc_.take_frames_with(
      [this, alive = alive_](int socket, std::string_view received, std::uint64_t size, std::function<void(Result<Bytes>)> done) {
        return *alive && executor_ && executor_->receive_frame(socket, received, size, std::move(done));
      });
  machine_.set_address(address_);
  DASK_TRY_VOID(start_native());
  DASK_TRY_VOID(start_http());

  SchedulerLink::Handlers link;
  link.registration = [this] { return registration(); };
  link.registered = [this](const Value& answer) { registered(answer); };
  link.refused = [this](const std::string& words) {
    log_error("Unable to connect to scheduler: {}", words);
    end_ = WorkerEnd{"the scheduler refused this worker: " + words, true, false, ""};
    executor_->stop(kExecutorStopSeconds);
  };
  link.batch = [this](std::vector<StreamMsg> batch) { receive(std::move(batch)); };
  link.ended = [this](const std::string& why) {
    log_debug("The connection to the scheduler ended: {}", why);
    close("worker-handle-scheduler-connection-broken");
  };
  link_ = std::make_unique<SchedulerLink>(loop_, options_.scheduler_address, std::move(link));
  start_executor();
  if (options_.death_timeout_seconds && *options_.death_timeout_seconds > 0)
    death_timer_ = loop_.after(seconds(*options_.death_timeout_seconds), [this] {
      log_error("Timed out: this worker could not register with the scheduler at {} within {:g} s (--death-timeout)",
                options_.scheduler_address, *options_.death_timeout_seconds);
      end_ = WorkerEnd{"death-timeout", true, false, ""};
      if (executor_->state() == PythonExecutor::State::kDown) return finish(*end_);
      executor_->kill("the worker found no scheduler");
    });

  log_info("      Start worker at: {:>26}", address_);
  if (!options_.name.is_nil())
    log_info("          Worker name: {:>26}", options_.name.is_string() ? *options_.name.string() : options_.name.repr());
  if (http_) log_info("         dashboard at: {:>26}", fmt::format("{}:{}", host_of(address_), http_->port()));
  log_info("Waiting to connect to: {:>26}", options_.scheduler_address);
  log_info("-------------------------------------------------");
  log_info("              Threads: {:>26}", options_.nthreads);
  if (options_.memory_limit_bytes)
    log_info("               Memory: {:>26}", format_bytes(static_cast<double>(*options_.memory_limit_bytes)));
  log_info("      Local Directory: {:>26}", workspace_.path());
  log_info("-------------------------------------------------");
  return {};
}

Result<void> Worker::listen() {
  DASK_TRY(Listening listening, listen_on_first_free(loop_, options_, options_.worker_ports, "--worker-port", [this](net::CommPtr comm) {
             auto connection = std::make_shared<net::Connection>(*this, std::move(comm));
             connections_.emplace(connection.get(), connection);
             connection->start();
           }));
  listener_ = std::move(listening.listener);
  address_ = std::move(listening.address);
  if (!options_.contact_address.empty()) {
    DASK_TRY(net::Address contact, net::parse_address(options_.contact_address));
    if (contact.port == 0) contact.port = listener_->port();
    address_ = contact.str();
  }
  return {};
}

Result<void> Worker::start_http() {
  net::HttpServer::Limits limits;
  auto http = net::serve_http(loop_, options_.dashboard_host, options_.dashboard_port, true, limits);
  if (!http) return fail(http.error());
  http_ = *std::move(http);
  add_routes(*this, *http_);
  return {};
}

void Worker::start_executor() {
  PythonExecutorOptions options;
  options.python = options_.python;
  options.python_path = options_.python_path;
  options.courier_library = default_courier_library();
  options.lazy = options_.lazy_python;
  options.nthreads = options_.nthreads;
  options.environment = options_.environment;
  for (const std::string& preload : options_.preload)
    if (!is_native_library(preload)) options.preload.push_back(preload);
  options.name_value = options_.name.is_nil() ? Value(address_) : options_.name;
  options.name = options_.name.is_nil() ? address_ : options_.name.is_string() ? *options_.name.string() : options_.name.repr();
  options.address = address_;
  options.nanny = nanny_;
  options.scheduler_address = options_.scheduler_address;
  options.local_directory = workspace_.path();
  options.memory_limit_bytes = options_.memory_limit_bytes;
  Value resources = Value::map();
  for (const auto& [name, quantity] : options_.resources) resources.set(name, quantity);
  options.resources = std::move(resources);

  PythonExecutorHandlers handlers;
  handlers.ready = [this](PythonReady ready) { executor_ready(std::move(ready)); };
  handlers.executed = [this](PythonExecuted done) { executed(std::move(done)); };
  handlers.seceded = [this](PythonSeceded seceded) { apply(Secede{std::move(seceded.key), seceded.compute_duration}, stimulus("secede")); };
  handlers.log_event = [this](Value topic, Value message) { log_event(std::move(topic), std::move(message)); };
  handlers.stored = [this](std::vector<PythonData> data) {
    UpdateData update;
    for (PythonData& one : data) {
      store_->add_live(one.key, one.nbytes, false);
      update.data.push_back({std::move(one.key), one.nbytes, Value(std::move(one.type)), std::move(one.typename_)});
    }
    apply(std::move(update), stimulus("update-data"));
  };
  handlers.send_to_scheduler = [this](const Value& message) {
    if (message["op"].as_string() == "set-resources-native") return set_resources(message["resources"]);
    link_->message(message);
  };
  handlers.operations_changed = [this](const std::vector<std::string>&, const std::vector<std::string>&) {
    machine_.set_report_transitions(executor_->wants_transitions());
  };
  handlers.close_requested = [this](const std::string& reason) { close(reason); };
  handlers.digest = [this](Value name, double value) { digests_.add(std::move(name), value); };
  handlers.exited = [this](const PythonExited& exited) { executor_exited(exited); };
  executor_ = std::make_unique<PythonExecutor>(loop_, std::move(options), std::move(handlers));
  executor_->start();
  if (options_.lazy_python) go_online();
}

void Worker::executor_ready(PythonReady ready) {
  if (end_) return;
  versions_ = std::move(ready.versions);
  if (!options_.lazy_python) go_online();
}

void Worker::go_online() {
  monitor_.sample(now(), monotonic(), pid(), memory_bytes());
  timers_.push_back(loop_.every(kMonitorInterval, [this] { monitor_.sample(now(), monotonic(), pid(), memory_bytes()); }));
  link_->start();
}

int Worker::pid() const {
  const int python = executor_->pid();
  return python > 0 ? python : getpid();
}

void Worker::executor_exited(const PythonExited& exited) {
  if (end_) return finish(*end_);
  if (!exited.was_ready && options_.lazy_python) return python_is_missing(exited);
  if (!exited.was_ready) {
    log_error(
        "The Python executor ({}) {}. It must be a Python that has the clients' dask, distributed and packages; name it with --python",
        options_.python, exited.cause);
    return finish({"the Python executor cannot start", true, false, ""});
  }
  log_error("The Python executor of worker {} {}", address_, exited.cause);
  for (const auto& [key, run_id] : exited.lost_tasks) log_error("Task {} was running in it", key.repr());
  if (!exited.failed_task.empty()) log_error("Task {} ended it", exited.failed_task);
  // As when a worker's process dies: the scheduler takes back what ran here and what was only here, and counts it against those tasks.
  link_->abort();
  finish({"the Python executor " + exited.cause, true, true, ""});
}

// Native tasks go on; those that need Python err, and each new one tries again.
void Worker::python_is_missing(const PythonExited& exited) {
  const std::string text = fmt::format(
      "this worker cannot run Python code: its interpreter ({}) {}. It must be a Python that has the clients' dask, distributed and "
      "packages, and dask_native: name it with DASK_NATIVE_PYTHON",
      options_.python, exited.cause);
  executor_->start();
  for (const auto& [key, run_id] : exited.lost_tasks) execute_failed(key, run_id, "builtins.RuntimeError", text);
}

// ---- registration ----

Value Worker::registration() {
  Value resources = Value::map();
  for (const auto& [name, quantity] : machine_.total_resources()) resources.set(name, quantity);
  Value services = Value::map();
  if (http_) services.set("dashboard", http_->port());
  latency_ = now();  // until the answer comes: when we asked
  return Value(Value::Map{{"op", "register-worker"},
                          {"reply", false},
                          {"address", address_},
                          {"status", name_of(status_)},
                          {"nthreads", options_.nthreads},
                          {"name", options_.name.is_nil() ? Value(address_) : options_.name},
                          {"now", now()},
                          {"resources", std::move(resources)},
                          {"memory_limit", options_.memory_limit_bytes ? Value(*options_.memory_limit_bytes) : Value()},
                          {"local_directory", workspace_.path()},
                          {"services", std::move(services)},
                          {"nanny", nanny_.empty() ? Value() : Value(nanny_)},
                          {"pid", pid()},
                          {"versions", versions_},
                          {"metrics", metrics()},
                          {"extra", native_registration()},
                          {"stimulus_id", stimulus("worker-connect")},
                          {"server_id", id_}});
}

void Worker::registered(const Value& answer) {
  const double start = latency_, end = now();
  latency_ = 0.001 * 0.95 + (end - start) * 0.05;
  scheduler_delay_ = answer["time"].as_double(end) - (start + end) / 2;
  if (answer["warning"].is_string() && !answer["warning"].as_string().empty()) log_warning("{}", answer["warning"].as_string());
  if (answer["heartbeat-interval"].is_number()) heartbeat_interval_ = std::max(answer["heartbeat-interval"].as_double(), 0.01);
  death_timer_.cancel();
  set_status(Status::kRunning, stimulus("worker-status-change"));
  Value::Map plugins;
  if (const Value::Map* given = answer["worker-plugins"].map_if()) plugins = *given;
  add_plugins(std::move(plugins), [this] { start_running(); });
}

// Tasks wait until every plugin is set up, as in Dask, where the stream is read after that. One that fails does not stop the worker.
void Worker::add_plugins(Value::Map plugins, std::function<void()> done) {
  if (executor_->state() == PythonExecutor::State::kDormant) {
    for (auto& [name, plugin] : plugins)
      executor_->call_at_start(Value(Value::Map{{"op", "plugin-add"}, {"plugin", std::move(plugin)}, {"name", name}}));
    return done();
  }
  if (plugins.empty()) return done();
  const auto open = std::make_shared<std::size_t>(plugins.size());
  for (auto& [name, plugin] : plugins) {
    Value message(Value::Map{{"op", "plugin-add"}, {"plugin", std::move(plugin)}, {"name", name}});
    executor_->call(std::move(message), [this, open, done, name = name.repr()](Result<Value> answer) {
      if (answer && (*answer)["status"].as_string() != "OK")
        log_error("Worker plugin {} failed to setup: {}", name, (*answer)["exception_text"].as_string());
      else if (!answer && !end_)
        log_error("Worker plugin {} was not set up: {}", name, answer.error().message);
      if (--*open == 0 && !end_) done();
    });
  }
}

void Worker::start_running() {
  log_info("        Registered to: {:>26}", options_.scheduler_address);
  log_info("-------------------------------------------------");
  timers_.push_back(loop_.every(kKeepAlive, [this] { link_->message(Value(Value::Map{{"op", "keep-alive"}})); }));
  heartbeat_timer_ = loop_.after(seconds(heartbeat_interval_), [this] { heartbeat(); });
  missing_timer_ = loop_.every(kMissingInterval, [this] {
    if (machine_.missing_dep_flight().empty()) return;
    apply(FindMissing{}, stimulus("find-missing"));
  });
  const auto interval = config().get_seconds("distributed.worker.memory.monitor-interval");
  if (options_.memory_limit_bytes && interval && *interval && **interval > 0)
    memory_timer_ = loop_.every(seconds(**interval), [this] { check_memory(); });
  link_->resume();
  if (handlers_.running) handlers_.running();
}

// ---- heartbeats ----

void Worker::heartbeat() {
  heartbeat_timer_ = loop_.after(seconds(heartbeat_interval_), [this] { heartbeat(); });
  if (heartbeat_under_way_ || end_) return;
  heartbeat_under_way_ = true;
  const double start = now();
  Value::Map executing;
  for (const auto& [key, running] : running_) executing.emplace_back(key.value(), start - running.since);
  auto [digests, spans] = digests_.take();
  Value measured = metrics();
  measured.set("digests_total_since_heartbeat", std::move(digests));
  Value message(Value::Map{{"op", "heartbeat_worker"},
                           {"address", address_},
                           {"now", start},
                           {"metrics", std::move(measured)},
                           {"executing", Value(std::move(executing))},
                           {"extensions", Value(Value::Map{{"spans", std::move(spans)}})}});
  rpc_.call(options_.scheduler_address, std::move(message), [this, alive = alive_, start](const Result<Value>& answer) {
    if (*alive) heartbeat_answered(answer, start);
  });
}

void Worker::heartbeat_answered(const Result<Value>& answer, double start) {
  heartbeat_under_way_ = false;
  if (end_) return;
  if (!answer) return log_warning("Failed to communicate with scheduler during heartbeat: {}", answer.error().message);
  if ((*answer)["status"].as_string() == "missing") {
    log_warning("Scheduler was unaware of this worker; shutting down.");
    return close("worker-heartbeat-missing");
  }
  const double end = now();
  latency_ = latency_ * 0.95 + (end - start) * 0.05;
  if ((*answer)["time"].is_number()) scheduler_delay_ = (*answer)["time"].as_double() - (start + end) / 2;
  if ((*answer)["heartbeat-interval"].is_number()) heartbeat_interval_ = std::max((*answer)["heartbeat-interval"].as_double(), 0.01);
  bandwidth_workers_.clear();
}

// ---- memory ----

std::uint64_t Worker::memory_bytes() const { return resident_bytes(getpid()) + (executor_ ? executor_->memory_bytes() : 0); }

void Worker::check_memory() {
  if (end_) return;
  const std::uint64_t memory = memory_bytes(), limit = *options_.memory_limit_bytes;
  const MemoryVerdict verdict = judge_memory(options_.memory_fractions, limit, memory, store_->managed_in_memory());
  const auto percent = static_cast<int>(100.0 * static_cast<double>(memory) / static_cast<double>(limit));
  const auto sizes = [&] {
    return fmt::format("Process memory: {} -- Worker memory limit: {}", format_bytes(static_cast<double>(memory)),
                       format_bytes(static_cast<double>(limit)));
  };
  if (verdict.terminate && options_.nanny) return terminate_for_memory(memory);
  if (options_.memory_fractions.pause) {
    if (verdict.pause && status_ == Status::kRunning) {
      log_line(LogLevel::kWarning, "distributed.worker.memory",
               fmt::format("Worker is at {}% memory usage. Pausing worker.  {}", percent, sizes()));
      set_status(Status::kPaused, stimulus("worker-status-change"));
    } else if (!verdict.pause && status_ == Status::kPaused) {
      log_line(LogLevel::kWarning, "distributed.worker.memory",
               fmt::format("Worker is at {}% memory usage. Resuming worker. {}", percent, sizes()));
      set_status(Status::kRunning, stimulus("worker-status-change"));
    }
  }
  if (verdict.spill_bytes == 0) return;
  if (!store_->can_spill() && memory > *options_.memory_limit_bytes * options_.memory_fractions.spill.value_or(1.0) &&
      monotonic() - last_unmanaged_warning_ > kUnmanagedWarningSeconds) {
    last_unmanaged_warning_ = monotonic();
    log_line(LogLevel::kWarning, "distributed.worker.memory",
             fmt::format("Unmanaged memory use is high. This may indicate a memory leak or the memory may not be released to the OS; see "
                         "https://distributed.dask.org/en/latest/worker-memory.html#memory-not-released-back-to-the-os for more "
                         "information. -- Unmanaged memory: {} -- Worker memory limit: {}",
                         format_bytes(static_cast<double>(memory)), format_bytes(static_cast<double>(limit))));
  }
  store_->spill(verdict.spill_bytes);
}

void Worker::terminate_for_memory(std::uint64_t bytes) {
  if (end_) return;
  const int pid = this->pid();
  log_line(LogLevel::kWarning, "distributed.nanny.memory",
           fmt::format("Worker {} (pid={}) exceeded {:.0f}% memory budget. Restarting...", address_, pid,
                       options_.memory_fractions.terminate.value_or(0.95) * 100));
  memory_timer_.cancel();
  log_event("worker-restart-memory", Value(Value::Map{{"worker", address_}, {"pid", pid}, {"rss", bytes}}));
  // After the event has left.
  close_timer_ = loop_.after(std::chrono::milliseconds(10), [this, bytes] {
    executor_->kill(fmt::format("was ended: {} of its {} memory limit were in use", format_bytes(static_cast<double>(bytes)),
                                format_bytes(static_cast<double>(*options_.memory_limit_bytes))));
  });
}

// ---- status and end ----

// Code in the executor has called worker.set_resources(), which has told the scheduler by itself.
void Worker::set_resources(const Value& totals) {
  SetResources set;
  if (const Value::Map* map = totals.map_if())
    for (const auto& [name, quantity] : *map) set.resources.emplace_back(std::string(name.as_string()), quantity.as_double());
  apply(std::move(set), stimulus("set-resources"));
}

std::string Worker::stimulus(std::string_view what) const { return fmt::format("{}-{:.6f}", what, now()); }

std::uint16_t Worker::dashboard_port() const { return http_ ? http_->port() : 0; }

void Worker::log_event(Value topic, Value message) {
  link_->message(Value(Value::Map{{"op", "log-event"}, {"topic", std::move(topic)}, {"msg", std::move(message)}}));
}

void Worker::set_status(Status status, const std::string& stimulus_id) {
  const Status before = std::exchange(status_, status);
  link_->message(Value(Value::Map{{"op", "worker-status-change"}, {"status", name_of(status)}, {"stimulus_id", stimulus_id}}));
  if (executor_) executor_->update(Value(Value::Map{{"status", name_of(status)}}));
  outgoing_->set_paused(status == Status::kPaused);
  if (before == Status::kRunning && status != Status::kRunning)
    apply(Pause{}, stimulus_id);
  else if (status == Status::kRunning && (before == Status::kPaused || before == Status::kClosingGracefully))
    apply(Unpause{}, stimulus_id);
}

void Worker::close_gracefully(const std::string& reason, bool restart) {
  if (end_) return;
  if (!link_ || !link_->connected()) return close(reason, restart);
  log_info("Closing worker gracefully: {}. Reason: {}", address_, reason);
  Value message(Value::Map{{"op", "retire_workers"},
                           {"workers", Value(Value::Array{address_})},
                           {"close_workers", false},
                           {"remove", true},
                           {"stimulus_id", stimulus("worker-close-gracefully")}});
  rpc_.call(options_.scheduler_address, std::move(message), [this, alive = alive_, reason, restart](const Result<Value>& answer) {
    if (!*alive) return;
    if (!answer) log_warning("The scheduler could not be asked to take this worker's data: {}", answer.error().message);
    close(reason, restart);
  });
}

void Worker::close(const std::string& reason, bool restart) {
  if (end_) return;
  log_info("Stopping worker at {}. Reason: {}", address_, reason);
  log_event(address_, Value(Value::Map{{"action", "closing-worker"}, {"reason", reason}}));
  set_status(Status::kClosing, stimulus("worker-close"));
  end_ = WorkerEnd{reason, false, restart, ""};
  timers_.clear();
  memory_timer_.cancel();
  heartbeat_timer_.cancel();
  missing_timer_.cancel();
  if (executor_->state() == PythonExecutor::State::kDown) return finish(*end_);
  executor_->stop(kExecutorStopSeconds);
}

void Worker::kill(const std::string& reason, bool restart) {
  if (ended_) return;
  end_ = WorkerEnd{reason, false, restart, ""};
  link_->abort();
  if (executor_->state() == PythonExecutor::State::kDown) return finish(*end_);
  executor_->kill(reason);
}

void Worker::finish(WorkerEnd end) {
  if (std::exchange(ended_, true)) return;
  end_ = end;
  status_ = Status::kClosed;
  timers_.clear();
  for (net::Loop::Timer* timer : {&heartbeat_timer_, &missing_timer_, &memory_timer_, &close_timer_, &death_timer_}) timer->cancel();
  busy_timers_.clear();
  if (listener_) listener_->close();
  if (http_) http_->close();
  if (const std::size_t running = native_pool_ ? native_pool_->stop() : 0; running > 0)
    log_warning("{} native functions still run; nobody can interrupt them, and what they return is dropped", running);
  link_->close();
  rpc_.close();
  for (auto& [connection, kept] : std::exchange(connections_, {})) kept->close();
  loop_.post([ended = handlers_.ended, end = std::move(end)] { ended(end); });
}

}  // namespace dask::worker
