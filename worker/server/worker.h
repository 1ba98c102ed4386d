// Worker: one life of a worker, from listening to its last message. It owns the connections, the executor and the store, feeds the state
// machine with what happens, and carries its instructions out. A restart is a new Worker (nanny.h): new address, new id, nothing kept.
// Everything that decides is in worker/state; everything here moves bytes and time.
// Thread ownership: the loop's thread. Files on the store's threads, Python in the executor's process.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/net/connection.h"
#include "core/net/loop.h"
#include "core/net/rpc.h"
#include "core/runtime/clock.h"
#include "worker/execute/native_pool.h"
#include "worker/execute/python_executor.h"
#include "worker/server/digests.h"
#include "worker/server/options.h"
#include "worker/server/scheduler_link.h"
#include "worker/server/system_monitor.h"
#include "worker/state/machine.h"
#include "worker/store/store.h"
#include "worker/store/workspace.h"
#include "worker/transfer/incoming.h"
#include "worker/transfer/outgoing.h"

namespace dask::net {
class HttpServer;
}

namespace dask::worker {

class Worker;
using RpcHandler = std::function<void(Worker&, net::RpcCallPtr)>;
using RpcTable = std::map<std::string, RpcHandler, std::less<>>;

// Each group of operations adds itself to the table.
void add_data_operations(RpcTable& table);  // rpc_data.cc: get_data, gather, update_data, free_keys, keys
void add_info_operations(RpcTable& table);  // rpc_info.cc: identity, ping, get_story, get_monitor_info, get_logs, dump_state, …

// Why a worker's life ended.
struct WorkerEnd {
  std::string reason;
  bool failed = false;       // it could not start, or its executor died
  bool restart = false;      // somebody should start the next one: it was not meant to end
  std::string memory_event;  // not empty: it was ended because of its memory; repr of the event for the log
};

enum class Status : std::uint8_t { kInit, kRunning, kPaused, kClosingGracefully, kClosing, kClosed };
std::string_view name_of(Status status);

class Worker final : public net::ConnectionHost {
 public:
  struct Handlers {
    std::function<void()> running;         // registered; plugins are set up
    std::function<void(WorkerEnd)> ended;  // once; the Worker may be destroyed from a later turn of the loop on
  };
  // `nanny`: its address for the scheduler; empty: none.
  Worker(net::Loop& loop, const Clock& clock, const WorkerOptions& options, std::string nanny, Handlers handlers);
  ~Worker() override;

  // Listens and starts the executor. The error is for the user's eyes; running() or ended() follows otherwise.
  Result<void> start();
  // Ends in order: tells the scheduler, stops the executor. `restart`: the nanny shall start the next one.
  void close(const std::string& reason, bool restart = false);
  // Hands unique data over to other workers through the scheduler, then closes.
  void close_gracefully(const std::string& reason, bool restart = false);
  // Ends as a process ends that is killed: no goodbye, the executor is killed.
  void kill(const std::string& reason, bool restart);
  // Kills the executor because of its memory use; the life ends when it is gone.
  void terminate_for_memory(std::uint64_t bytes);

  // ---- for operations, routes and the nanny ----
  // Feeds one event to the machine and carries its instructions out; at once, or after the events that are being handled.
  void apply(Event event, std::string stimulus_id);
  std::string stimulus(std::string_view what) const;  // "what-<time>"
  double now() const { return clock_.wall(); }
  double monotonic() const { return clock_.monotonic(); }
  void set_status(Status status, const std::string& stimulus_id);
  Status status() const { return status_; }

  Machine& machine() { return machine_; }
  Store& store() { return *store_; }
  PythonExecutor& executor() { return *executor_; }
  Outgoing& outgoing() { return *outgoing_; }
  Incoming& incoming() { return incoming_; }
  // Stores what a peer has sent: here, or in the executor when it was received there.
  void store_received(const Key& key, OpaquePtr data, std::int64_t nbytes);
  net::RpcPool& rpc() { return rpc_; }
  SchedulerLink& link() { return *link_; }
  SystemMonitor& monitor() { return monitor_; }
  const WorkerOptions& options() const { return options_; }
  const Config& config() const { return options_.config; }
  const std::string& address() const { return address_; }
  const std::string& id() const { return id_; }
  const std::string& local_directory() const { return workspace_.path(); }
  const Value& versions() const { return versions_; }
  double scheduler_delay() const { return scheduler_delay_; }
  double latency() const { return latency_; }
  double bandwidth() const { return bandwidth_; }
  std::uint64_t memory_bytes() const;  // resident, ours and the executor's
  std::uint16_t dashboard_port() const;
  Value metrics();  // for the heartbeat; what was measured since the last one is taken out
  // Reasons by key of scattered data that the machine did not take; emptied by the caller.
  std::vector<std::pair<Key, std::string>>& refused_data() { return refused_data_; }
  void log_event(Value topic, Value message);

  // ---- ConnectionHost ----
  bool take_over(const std::shared_ptr<net::Connection>& connection, std::string_view op, Value& message) override;
  void serve(std::string_view op, net::RpcCallPtr call) override;
  void drop(net::Connection& connection) override;
  net::Loop& loop() override { return loop_; }
  net::ConnectionCounters& counters() override { return counters_; }

 private:
  // ---- life (worker.cc) ----
  Result<void> listen();
  Result<void> start_http();
  void start_executor();
  void executor_ready(PythonReady ready);
  void go_online();  // to the scheduler
  int pid() const;   // the executor's; ours while it sleeps
  void python_is_missing(const PythonExited& exited);
  void executor_exited(const PythonExited& exited);
  Value registration();
  void registered(const Value& answer);
  void add_plugins(Value::Map plugins, std::function<void()> done);
  void start_running();
  void heartbeat();
  void heartbeat_answered(const Result<Value>& answer, double start);
  void check_memory();
  void set_resources(const Value& totals);
  void finish(WorkerEnd end);

  // ---- the scheduler's stream (stream_operations.cc) ----
  void receive(std::vector<StreamMsg> batch);
  void stream_operation(const std::string& op, const Value& fields);

  // ---- native tasks (native_tasks.cc) ----
  Result<void> start_native();
  void compute_native(const Value& fields);
  void execute_native(const Task& ts, const NativeRunSpec& spec, std::int64_t run_id);
  void native_executed(std::vector<NativeExecuted> batch);

  // ---- the machine's instructions (instructions.cc) ----
  void carry_out(const Instructions& instructions);
  void instruct(const Execute& execute);
  void instruct(const GatherDep& gather);
  void execute_failed(const Key& key, std::int64_t run_id, const std::string& cls, const std::string& text);
  void executed(PythonExecuted done);
  void gathered(const std::string& peer, const std::vector<Key>& keys, double start, Gathered gathered);
  void send(const TaskFinishedMsg& msg);
  void send(const TaskErredMsg& msg);

  net::Loop& loop_;
  const Clock& clock_;
  const WorkerOptions& options_;
  std::string nanny_;
  Handlers handlers_;
  Machine machine_;
  net::RpcPool rpc_;
  Incoming incoming_;
  Workspace workspace_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Outgoing> outgoing_;
  std::unique_ptr<PythonExecutor> executor_;
  std::unique_ptr<NativePool> native_pool_;
  std::unique_ptr<SchedulerLink> link_;
  std::unique_ptr<net::Listener> listener_;
  std::unique_ptr<net::HttpServer> http_;
  SystemMonitor monitor_;
  Digests digests_;
  RpcTable operations_;
  net::ConnectionCounters counters_;
  std::map<net::Connection*, std::shared_ptr<net::Connection>> connections_;

  std::string address_;
  std::string id_;
  Status status_ = Status::kInit;
  bool paused_by_memory_ = false;
  Value versions_;
  double scheduler_delay_ = 0;
  double latency_ = 0.001;
  double bandwidth_ = 100e6;
  std::map<std::string, std::pair<double, std::int64_t>> bandwidth_workers_;
  double heartbeat_interval_ = 1;
  bool heartbeat_under_way_ = false;
  std::optional<WorkerEnd> end_;  // set once closing has begun
  bool ended_ = false;
  double last_unmanaged_warning_ = -1e9;

  std::deque<std::pair<Event, std::string>> events_;
  bool applying_ = false;
  // A task that was given to the executor.
  struct Running {
    double since = 0;
    std::string span_id;
    std::vector<StartStop> startstops;
  };
  std::unordered_map<Key, Running> running_;
  std::vector<std::pair<Key, std::string>> refused_data_;
  std::vector<net::Loop::Timer> timers_;
  net::Loop::Timer heartbeat_timer_, missing_timer_, memory_timer_, close_timer_, death_timer_;
  std::map<std::uint64_t, net::Loop::Timer> busy_timers_;
  std::uint64_t next_busy_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// A shared library among --preload: it registers native functions.
bool is_native_library(std::string_view preload);

// A failure of our own where Dask has an exception.
FailurePtr failure_with(std::string_view cls, const std::string& text);

}  // namespace dask::worker
