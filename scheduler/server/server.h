// Server: the scheduler's shell. It owns the connections, feeds the machine with what happens, and carries its actions out.
// Everything that decides is in scheduler/machine; everything here moves bytes and time.
// Thread ownership: the loop's thread. Graph lowering runs in helper processes, ordering on a thread of GraphService.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/net/comm.h"
#include "core/net/connection.h"
#include "core/net/loop.h"
#include "core/net/rpc.h"
#include "core/runtime/clock.h"
#include "core/runtime/config.h"
#include "scheduler/extensions/metadata.h"
#include "scheduler/extensions/package_versions.h"
#include "scheduler/extensions/task_metadata.h"
#include "scheduler/graph/graph_service.h"
#include "scheduler/machine/machine.h"
#include "scheduler/server/events.h"
#include "scheduler/server/rpc_call.h"
#include "scheduler/server/stream.h"
#include "scheduler/server/task_stream.h"

namespace dask::net {
class HttpServer;
}

namespace dask::scheduler {

struct ServerOptions {
  std::string protocol = "tcp";
  std::string host;  // empty: all interfaces
  std::uint16_t port = 8786;
  std::string dashboard_host;
  std::uint16_t dashboard_port = 8787;  // 0: any
  bool dashboard = true;                // false: no live page; /health, /metrics, /json and /api/v1 stay
  std::string dashboard_prefix;
  std::string scheduler_file;  // written when the scheduler listens
  std::string python;          // runs the graph helper: the clients' Python and packages; empty: GraphService's default
  bool lazy_helpers = false;   // start graph helpers with the first Python graph
  int helpers = 1;
  std::optional<double> idle_timeout_s;
  Config config;
};

using net::Connection;
using ServerCounters = net::ConnectionCounters;

class WorkerSession;
class ClientSession;
class Extensions;
class MemoryManager;
class ShuffleManager;

class Server final : public net::ConnectionHost {
 public:
  Server(net::Loop& loop, const Clock& clock, ServerOptions options);
  ~Server() override;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Listens and starts the helpers. The error is for the user's eyes.
  Result<void> start();
  // Says goodbye to clients and workers (DESIGN: leaves politely), then calls `done`.
  void close(const std::string& reason, std::function<void()> done);
  // Closes, then calls what on_finished() was given. A second call ends at once.
  void terminate(const std::string& reason);
  // From now on no task is given to anybody: a cluster manager is about to close the workers one by one, and the work of those that
  // leave first must not move to those that leave last.
  void stop_scheduling() { scheduling_stopped_ = true; }
  void on_finished(std::function<void()> finished) { finished_ = std::move(finished); }

  // ---- for sessions, operations and routes ----
  // Feeds one event to the machine and carries its actions out. An empty stimulus gets a name from the event's `what`.
  void apply(Event event, const std::string& stimulus_id);
  std::string stimulus(std::string_view what) const;  // "what-<time>"
  double now() const { return clock_.wall(); }
  double monotonic() const { return clock_.monotonic(); }

  Machine& machine() { return machine_; }
  State& state() { return machine_.state(); }
  net::Loop& loop() override { return loop_; }
  net::RpcPool& rpc() { return rpc_; }
  Events& events() { return events_; }
  TaskStream& task_stream() { return task_stream_; }
  GraphService& graphs() { return *graphs_; }
  std::uint64_t next_graph() { return next_graph_++; }
  const ServerOptions& options() const { return options_; }
  const Config& config() const { return options_.config; }
  ServerCounters& counters() override { return counters_; }
  Extensions& extensions() { return *extensions_; }
  TaskMetadata& task_metadata() { return task_metadata_; }
  MemoryManager& memory_manager() { return *memory_manager_; }
  ShuffleManager& shuffles() { return *shuffles_; }
  Metadata& metadata() { return metadata_; }
  // The packages of the graph helper's Python, as soon as it has started (nil when it cannot).
  void reply_versions(RpcCallPtr call);
  std::map<std::string, Value>& worker_plugins() { return worker_plugins_; }
  std::map<std::string, Value>& nanny_plugins() { return nanny_plugins_; }

  const std::string& address() const { return address_; }
  const std::string& id() const { return id_; }
  double started() const { return started_; }
  std::uint16_t dashboard_port() const;
  bool closing() const { return closing_; }
  std::int64_t& graphs_in_progress() { return graphs_in_progress_; }
  double heartbeat_interval() const;

  // The streams to a worker or client; null when it has none (any more).
  Stream* stream(WorkerId worker);
  Stream* stream(ClientId client);
  bool takes_values(ClientId client) const;  // small results in key-in-memory
  void send(WorkerId worker, const Value& message);
  void send(ClientId client, const Value& message);
  // Has the stream flushed at the end of this turn; a patient one with the next one that is not, or after kPatience.
  void wrote_to(Stream& stream);
  void wrote_to(WorkerId worker) {
    if (Stream* s = stream(worker)) wrote_to(*s);
  }

  // A worker ends: by its stream's end, by time-out, retired, or told to.
  void remove_worker(WorkerId worker, const std::string& stimulus_id, bool expected, bool close);
  // Calls `done` at once and after every change of the set of workers until it returns true.
  void watch_workers(std::function<bool()> done) { worker_watchers_.push_back(std::move(done)); }
  void log_event(const std::vector<std::string>& topics, const Value& msg);

  // Dask's names for a worker: address, name, or a list of those; all when nil.
  std::vector<WorkerId> workers_of(const Value& value);
  Value worker_identity(const Worker& ws, bool with_metrics = true);
  Value identity(std::int64_t n_workers);

  // Retires workers: hands what only they hold to others, then removes them. `done` gets those that are gone.
  void retire(std::vector<WorkerId> workers, bool close, bool remove, const std::string& stimulus_id,
              std::function<void(std::vector<WorkerId>)> done);

  const RpcTable& operations() const { return operations_; }
  // A stream message of a client that an extension understands (publish, queues, variables); false: nobody does.
  bool client_message(ClientSession& session, const std::string& op, const Value& fields);
  // For Connection.
  bool take_over(const std::shared_ptr<Connection>& connection, std::string_view op, Value& message) override;
  void serve(std::string_view op, RpcCallPtr call) override;
  // A fresh connection becomes a stream.
  void register_worker(const std::shared_ptr<Connection>& connection, Value message);
  void register_client(const std::shared_ptr<Connection>& connection, Value message);
  void drop(Connection& connection) override;
  void worker_stream_ended(WorkerId worker);
  void client_stream_ended(ClientId client);

 private:
  void accept(net::CommPtr comm);
  void dispatch(const Actions& actions, const std::string& stimulus_id);
  void send_compute(const Actions& actions, const SendComputeTask& action, Stream& stream);
  void flush();
  void flush_urgent();
  void forget_stream(Stream& stream);  // before it goes: sends what it holds
  void check_worker_ttl();
  void check_idle();
  void advance_retirements();
  void workers_changed();
  Result<void> write_scheduler_file();
  Result<void> start_http();
  Settings static settings_from(const Config& config);

  net::Loop& loop_;
  const Clock& clock_;
  ServerOptions options_;
  Machine machine_;
  net::RpcPool rpc_;
  Events events_;
  TaskStream task_stream_;
  ServerCounters counters_;
  RpcTable operations_;
  std::unique_ptr<Extensions> extensions_;
  TaskMetadata task_metadata_;
  std::unique_ptr<MemoryManager> memory_manager_;
  std::unique_ptr<ShuffleManager> shuffles_;
  std::unique_ptr<GraphService> graphs_;
  std::unique_ptr<net::Listener> listener_;
  std::unique_ptr<net::HttpServer> http_;
  std::vector<net::Loop::Timer> timers_;
  std::string address_;
  std::string id_;
  double started_ = 0;
  bool closing_ = false;
  bool scheduling_stopped_ = false;
  std::string closing_reason_;
  std::function<void()> finished_;

  std::map<Connection*, std::shared_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<WorkerSession>> worker_sessions_;  // by WorkerId; null when there is none
  std::vector<std::shared_ptr<ClientSession>> client_sessions_;  // by ClientId
  std::vector<Stream*> dirty_;
  bool flush_planned_ = false;
  net::Loop::Timer patience_timer_;
  bool patience_armed_ = false;
  std::uint64_t next_graph_ = 1;
  std::int64_t graphs_in_progress_ = 0;

  struct Retirement {
    std::vector<WorkerId> workers;
    std::vector<WorkerId> gone;
    bool close = true;
    bool remove = true;
    std::string stimulus_id;
    std::function<void(std::vector<WorkerId>)> done;
  };
  std::vector<Retirement> retirements_;
  net::Loop::Timer retirement_timer_;
  std::vector<std::function<bool()>> worker_watchers_;

  Metadata metadata_;
  PackageVersions package_versions_;
  // Those who ask for the packages before the first graph helper has told them, up to a named limit.
  static constexpr std::size_t kVersionCallsMax = 1000;
  std::vector<RpcCallPtr> version_calls_;
  bool versions_known_ = false;
  std::map<std::string, Value> worker_plugins_;
  std::map<std::string, Value> nanny_plugins_;
};

// A failure of the scheduler's own as Dask's pickled exception; payloads of user code as they came.
Value exception_of(const Failure& failure);

}  // namespace dask::scheduler
