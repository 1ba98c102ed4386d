// A worker of a simulation, whatever is inside: what it is told, what it tells, and what it needs of the world around it.
// ModelWorker is a stock worker made small; RealWorker is worker/state's machine.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/base/ids.h"
#include "world.h"

namespace dask::sim {

using Process = std::uint32_t;  // one life of a worker

// ---- worker -> scheduler ----
struct Finished {
  TaskIx task;
  std::int64_t run_id;
  std::optional<TaskId> native{};  // as it was sent; only real workers keep it
};
struct Erred {
  TaskIx task;
  std::int64_t run_id;
  std::string text;
  std::optional<TaskId> native{};
};
struct Released {
  TaskIx task;
};
struct Added {
  TaskIx task;
};
struct Seceded {
  TaskIx task;
  std::int64_t run_id;
};
struct GivenBack {
  TaskIx task;
};
struct WhereIs {
  std::vector<TaskIx> tasks;
};
struct Paused {
  bool paused;
};
struct StealAnswer {
  TaskIx task;
  std::string state;
  std::string stimulus_id;
};
using FromWorker = std::variant<Finished, Erred, Released, Added, Seceded, GivenBack, WhereIs, Paused, StealAnswer>;

// ---- scheduler -> worker ----
struct Location {
  TaskIx task;
  std::vector<Process> holders;
};
struct Compute {
  TaskIx task;
  std::int64_t run_id;
  scheduler::Priority priority;
  std::vector<Location> dependencies;
  std::optional<TaskId> native;
};
struct Free {
  TaskIx task;
};
struct RemoveReplica {
  TaskIx task;
};
struct Acquire {
  std::vector<Location> replicas;
};
struct WhoHas {
  std::vector<Location> replicas;
};
struct PeerGone {
  Process peer;
};
struct StealRequest {
  TaskIx task;
  std::string stimulus_id;
};
struct Update {  // scatter
  TaskIx task;
};
using ToWorker = std::variant<Compute, Free, RemoveReplica, Acquire, WhoHas, PeerGone, StealRequest, Update>;

class SimWorker {
 public:
  // What a worker needs of the world around it.
  struct Surroundings {
    std::function<void(FromWorker)> tell;
    // Asks a peer for data; the answer comes to fetched(), fetch_failed() or peer_busy().
    std::function<void(Process peer, std::vector<TaskIx>)> fetch;
    std::function<void(Time, std::function<void()>)> after;  // nothing happens any more once the worker is dead
    std::function<int(TaskIx)> count_run;                    // how manieth run of the task this is, from 0
    std::function<void(std::string)> complain;               // a rule of the protocol is broken
  };

  virtual ~SimWorker() = default;
  virtual void receive(const std::vector<ToWorker>& batch) = 0;
  virtual void fetched(Process peer, const std::vector<TaskIx>& asked, const std::map<TaskIx, std::uint64_t>& data) = 0;
  virtual void fetch_failed(Process peer, const std::vector<TaskIx>& asked) = 0;
  virtual void peer_busy(Process peer, const std::vector<TaskIx>& asked) = 0;
  virtual void pause(bool paused) = 0;
  // The process that holds results and runs tasks dies and is started anew. False when this kind of worker has none.
  virtual bool executor_dies() { return false; }

  // The values of those of these tasks that are in memory.
  virtual std::map<TaskIx, std::uint64_t> serve(const std::vector<TaskIx>& asked) const = 0;
  // "x memory, y flight": everything it knows.
  virtual std::string inventory() const = 0;
  virtual std::size_t known() const = 0;
  virtual std::vector<TaskIx> in_memory() const = 0;
  virtual bool busy_with(TaskIx task) const = 0;  // waiting, ready, executing, long-running, resumed
};

}  // namespace dask::sim
