// Nanny: keeps one worker alive. It owns the worker's lives one after the other, restarts what dies, and serves the operations of Dask's
// nanny (kill, restart, terminate, run, get_logs, plugins) at an address of its own. Without --nanny it only owns the one life.
// One process is both: a worker's C++ side is killed by nothing that its Python does, so a second process has nothing to watch.
// Source: distributed/nanny.py. Thread ownership: the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/net/child.h"
#include "core/net/connection.h"
#include "core/net/loop.h"
#include "core/runtime/clock.h"
#include "worker/server/network.h"
#include "worker/server/options.h"
#include "worker/server/worker.h"

namespace dask::worker {

class Nanny final : public net::ConnectionHost {
 public:
  // `finished` gets the program's exit code, once.
  Nanny(net::Loop& loop, const Clock& clock, WorkerOptions options, std::function<void(int)> finished);
  ~Nanny() override;

  // Listens, registers and starts the worker. The error is for the user's eyes.
  Result<void> start();
  // SIGINT, SIGTERM: hands unique data over, then ends; the second time at once.
  void signal(int number);

  // ---- ConnectionHost ----
  bool take_over(const std::shared_ptr<net::Connection>&, std::string_view, Value&) override { return false; }
  void serve(std::string_view op, net::RpcCallPtr call) override;
  void drop(net::Connection& connection) override;
  net::Loop& loop() override { return loop_; }
  net::ConnectionCounters& counters() override { return counters_; }

 private:
  Result<void> listen();
  void register_nanny();
  void registered(const Value& answer);
  void add_plugins(Value::Map plugins, std::function<void()> done);
  void plugin_add(const Value& plugin, const std::string& name, std::function<void(Value)> done);
  void plugin_remove(const std::string& name, std::function<void(Value)> done);
  struct PluginStep;
  void run_plugin(const std::string& step, const std::string& name, const Bytes& plugin, std::function<void(Value)> done);
  void start_worker();
  void worker_running();
  void write_worker_file();
  void worker_ended(const WorkerEnd& end);
  void kill(const net::RpcCallPtr& call, bool wait_for_restart);
  void terminate(const net::RpcCallPtr& call, const std::string& reason);
  void finish(int code);

  net::Loop& loop_;
  const Clock& clock_;
  WorkerOptions options_;
  ConnectRetry retry_;
  std::function<void(int)> finished_;
  std::unique_ptr<net::Listener> listener_;
  std::string address_;
  std::map<net::Connection*, std::shared_ptr<net::Connection>> connections_;
  net::ConnectionCounters counters_;
  net::CommPtr registration_;  // held until the worker runs, as Dask's nanny does
  std::unique_ptr<Worker> worker_;
  bool closing_ = false;
  bool finished_already_ = false;
  double first_signal_ = -1;
  std::vector<net::RpcCallPtr> kill_waiters_, terminate_waiters_;
  std::vector<std::shared_ptr<net::RpcCallPtr>> restart_waiters_;
  std::map<std::string, Bytes> plugins_;
  std::map<std::uint64_t, std::shared_ptr<PluginStep>> plugin_steps_;
  std::uint64_t next_plugin_step_ = 0;
  std::vector<std::function<void()>> running_waiters_;
  net::Loop::Timer goodbye_timer_, lifetime_timer_, death_timer_;
  std::map<std::uint64_t, net::Loop::Timer> restart_timers_;
  std::uint64_t next_restart_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace dask::worker
