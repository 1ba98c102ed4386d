#include "worker/server/nanny.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "core/base/json.h"
#include "core/net/address.h"
#include "core/runtime/log.h"
#include "core/wire/message.h"

namespace dask::worker {
namespace {

constexpr auto kGoodbyeTime = std::chrono::milliseconds(50);  // the last answers leave
constexpr double kSameSignalSeconds = 0.3;                    // a terminal's Ctrl-C may come twice: to us, and through our parent
constexpr double kRestartTimeoutSeconds = 30;                 // Dask's default of `restart`

net::Loop::Duration seconds(double s) { return std::chrono::duration_cast<net::Loop::Duration>(std::chrono::duration<double>(s)); }

}  // namespace

Nanny::Nanny(net::Loop& loop, const Clock& clock, WorkerOptions options, std::function<void(int)> finished)
    : loop_(loop), clock_(clock), options_(std::move(options)), retry_(loop, options_.scheduler_address), finished_(std::move(finished)) {}

Nanny::~Nanny() {
  *alive_ = false;
  for (auto& [connection, kept] : std::exchange(connections_, {})) kept->close();
}

Result<void> Nanny::start() {
  if (options_.lifetime_seconds)
    lifetime_timer_ = loop_.after(seconds(*options_.lifetime_seconds), [this] {
      if (!worker_) return;
      if (!options_.nanny || !options_.lifetime_restart) closing_ = true;
      worker_->close_gracefully("worker-lifetime-reached", options_.lifetime_restart);
    });
  if (!options_.nanny) {
    start_worker();
    return {};
  }
  DASK_TRY_VOID(listen());
  log_line(LogLevel::kInfo, "distributed.nanny", fmt::format("        Start Nanny at: '{}'", address_));
  if (options_.death_timeout_seconds && *options_.death_timeout_seconds > 0)
    death_timer_ = loop_.after(seconds(*options_.death_timeout_seconds), [this] {
      if (worker_) return;  // it has its own
      log_error("Timed out: no scheduler answered at {} within {:g} s (--death-timeout)", options_.scheduler_address,
                *options_.death_timeout_seconds);
      finish(1);
    });
  register_nanny();
  return {};
}

Result<void> Nanny::listen() {
  DASK_TRY(Listening listening, listen_on_first_free(loop_, options_, options_.nanny_ports, "--nanny-port", [this](net::CommPtr comm) {
             auto connection = std::make_shared<net::Connection>(*this, std::move(comm));
             connections_.emplace(connection.get(), connection);
             connection->start();
           }));
  listener_ = std::move(listening.listener);
  address_ = std::move(listening.address);
  return {};
}

void Nanny::register_nanny() {
  auto address = net::parse_address(options_.scheduler_address);
  if (!address) return finish(1);  // checked by the command line
  net::connect(loop_, *address, [this, alive = alive_](Result<net::CommPtr> comm) {
    if (!*alive || closing_) return;
    if (!comm) return retry_.later(comm.error().message, [this] { register_nanny(); });
    registration_ = *std::move(comm);
    registration_->on_message([this, alive](const wire::Frames& frames) {
      if (!*alive) return;
      auto answer = wire::decode_message(frames);
      if (answer && answer->is_map()) return registered(*answer);
      log_error("The scheduler's answer to register_nanny cannot be read; is there a Dask scheduler at {}?", options_.scheduler_address);
      finish(1);
    });
    registration_->on_closed([this, alive](const Error& error) {
      if (!*alive) return;
      registration_ = nullptr;
      if (worker_ || closing_) return;
      retry_.later("the scheduler left while the nanny registered: " + error.message, [this] { register_nanny(); });
    });
    registration_->send(wire::encode_message(Value(Value::Map{{"op", "register_nanny"}, {"address", address_}})));
  });
}

void Nanny::registered(const Value& answer) {
  Value::Map plugins;
  if (const Value::Map* given = answer["nanny-plugins"].map_if()) plugins = *given;
  add_plugins(std::move(plugins), [this] {
    if (!worker_ && !closing_) start_worker();
  });
}

void Nanny::start_worker() {
  Worker::Handlers handlers;
  handlers.running = [this] { worker_running(); };
  handlers.ended = [this, alive = alive_](const WorkerEnd& end) {
    if (*alive) worker_ended(end);
  };
  worker_ = std::make_unique<Worker>(loop_, clock_, options_, address_, std::move(handlers));
  if (auto started = worker_->start(); !started) {
    log_error("The worker cannot start: {}", started.error().message);
    finish(1);
  }
}

// Written aside and renamed, so that nobody reads half a file.
void Nanny::write_worker_file() {
  const std::string aside = options_.worker_file + "." + std::to_string(getpid());
  std::ofstream file(aside);
  file << to_json(Value(Value::Map{{"type", "Worker"}, {"id", worker_->id()}, {"address", worker_->address()}, {"nanny", address_}}))
       << "\n";
  file.close();
  if (!file || std::rename(aside.c_str(), options_.worker_file.c_str()) != 0)
    log_error("Cannot write the worker file {}: check that its folder exists and is writable", options_.worker_file);
}

void Nanny::worker_running() {
  death_timer_.cancel();
  if (!options_.worker_file.empty()) write_worker_file();
  if (registration_) {
    registration_->send(wire::encode_message(Value(Value::Map{{"status", "ok"}})));
    registration_->close();
    registration_ = nullptr;
  }
  for (const auto& call : std::exchange(restart_waiters_, {}))
    if (*call) (*call)->reply("OK");
  restart_timers_.clear();
  for (const auto& waiter : std::exchange(running_waiters_, {})) waiter();
}

void Nanny::worker_ended(const WorkerEnd& end) {
  worker_ = nullptr;
  for (const net::RpcCallPtr& call : std::exchange(kill_waiters_, {})) call->reply(Value());
  for (const net::RpcCallPtr& call : std::exchange(terminate_waiters_, {})) call->reply("OK");
  if (options_.nanny && end.restart && !closing_) {
    log_line(LogLevel::kWarning, "distributed.nanny", "Restarting worker");
    return start_worker();
  }
  if (registration_) registration_->send(wire::encode_message(Value(Value::Map{{"status", "error"}})));
  finish(end.failed ? 1 : 0);
}

// ---- operations ----

void Nanny::serve(std::string_view op, net::RpcCallPtr call) {
  if (op == "kill") return kill(call, false);
  if (op == "restart") return kill(call, true);
  if (op == "terminate") return terminate(call, std::string(call->msg["reason"].as_string("nanny-close")));
  if (op == "instantiate") {
    if (!worker_) start_worker();
    return call->reply("running");
  }
  if (op == "close_gracefully") {
    log_line(
        LogLevel::kInfo, "distributed.nanny",
        fmt::format("Closing Nanny gracefully at '{}'. Reason: {}", address_, call->msg["reason"].as_string("nanny-close-gracefully")));
    closing_ = true;
    return call->reply(Value());
  }
  if (op == "plugin_add") {
    const Value plugin = call->msg["plugin"];
    return plugin_add(plugin, std::string(call->msg["name"].as_string()), [call](Value answer) { call->reply(std::move(answer)); });
  }
  if (op == "plugin_remove")
    return plugin_remove(std::string(call->msg["name"].as_string()), [call](Value answer) { call->reply(std::move(answer)); });
  if (op == "identity") return call->reply(Value(Value::Map{{"type", "Nanny"}, {"id", address_}}));
  if (op == "echo") return call->reply(call->msg["data"]);
  // What is left is about the one process that both are: get_logs, run, versions, dump_state.
  if (worker_ && (op == "run" || op == "get_logs" || op == "versions" || op == "dump_state")) return worker_->serve(op, std::move(call));
  ++counters_.unknown_operations;
  log_warning("Operation '{}' of {} is not supported by this nanny", op, call->comm->peer_address());
  call->raise("builtins.NotImplementedError",
              "dask-native's nanny does not support the operation '" + std::string(op) + "', or its worker is not up");
}

void Nanny::kill(const net::RpcCallPtr& call, bool wait_for_restart) {
  const std::string reason(call->msg["reason"].as_string(wait_for_restart ? "nanny-restart" : "nanny-kill"));
  if (!worker_) return call->reply(wait_for_restart ? Value("OK") : Value());
  if (wait_for_restart) {
    const auto waiting = std::make_shared<net::RpcCallPtr>(call);
    restart_waiters_.push_back(waiting);
    const double timeout = call->msg["timeout"].as_double(kRestartTimeoutSeconds);
    restart_timers_[next_restart_++] = loop_.after(seconds(timeout), [waiting, timeout] {
      log_error("Restart timed out after {:g}s; returning before finished", timeout);
      if (net::RpcCallPtr late = std::exchange(*waiting, nullptr)) late->reply("timed out");
    });
  } else {
    kill_waiters_.push_back(call);
  }
  worker_->close(reason, true);
}

void Nanny::terminate(const net::RpcCallPtr& call, const std::string& reason) {
  log_line(LogLevel::kInfo, "distributed.nanny", fmt::format("Closing Nanny at '{}'. Reason: {}", address_, reason));
  closing_ = true;
  if (!worker_) {
    call->reply("OK");
    return finish(0);
  }
  terminate_waiters_.push_back(call);
  worker_->close(reason);
}

void Nanny::drop(net::Connection& connection) {
  const auto it = connections_.find(&connection);
  if (it == connections_.end()) return;
  const auto keep_alive = std::move(it->second);
  connections_.erase(it);
  keep_alive->close();
}

void Nanny::signal(int number) {
  const double now = clock_.monotonic();
  if (first_signal_ >= 0 && now - first_signal_ < kSameSignalSeconds) return;
  const bool second = first_signal_ >= 0;
  if (!second) first_signal_ = now;
  closing_ = true;
  if (!worker_ || second) return finish(0);
  worker_->close_gracefully(fmt::format("signal-{}", number));
}

void Nanny::finish(int code) {
  if (std::exchange(finished_already_, true)) return;
  closing_ = true;
  retry_.cancel();
  death_timer_.cancel();
  if (registration_) registration_->close();
  goodbye_timer_ = loop_.after(kGoodbyeTime, [this, code] {
    worker_ = nullptr;
    if (listener_) listener_->close();
    log_info("End worker");
    finished_(code);
  });
}

}  // namespace dask::worker
