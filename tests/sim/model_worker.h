// A worker as small as it can be and still have a stock worker's races: it fetches dependencies from its peers, computes,
// keeps results, cancels what it cannot stop, resumes what was cancelled. States and messages follow
// distributed/worker_state_machine.py; it checks what that asserts.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "world.h"

namespace dask::sim {

using Process = std::uint32_t;  // one life of a worker

// ---- worker -> scheduler ----
struct Finished {
  TaskIx task;
  std::int64_t run_id;
};
struct Erred {
  TaskIx task;
  std::int64_t run_id;
  std::string text;
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

class ModelWorker {
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

  ModelWorker(World& world, Process self, std::int64_t nthreads, Surroundings surroundings);

  void receive(const std::vector<ToWorker>& batch);
  void fetched(Process peer, const std::vector<TaskIx>& asked, const std::map<TaskIx, std::uint64_t>& data);
  void fetch_failed(Process peer, const std::vector<TaskIx>& asked);
  void peer_busy(Process peer, const std::vector<TaskIx>& asked);
  void pause(bool paused);

  // The values of those of these tasks that are in memory.
  std::map<TaskIx, std::uint64_t> serve(const std::vector<TaskIx>& asked) const;
  bool has(TaskIx task) const;
  // "x memory, y flight": everything it knows.
  std::string inventory() const;
  std::size_t known() const { return tasks_.size(); }
  std::vector<TaskIx> in_memory() const;
  bool busy_with(TaskIx task) const;  // waiting, ready, executing, long-running, resumed

 private:
  enum class State {
    kReleased,
    kWaiting,
    kReady,
    kExecuting,
    kLongRunning,
    kFetch,
    kFlight,
    kMissing,
    kMemory,
    kError,
    kCancelled,
    kResumed
  };
  static const char* name_of(State state);

  struct Item {
    State state = State::kReleased;
    State previous = State::kReleased;  // of kCancelled and kResumed: kExecuting, kLongRunning or kFlight
    std::int64_t run_id = -1;
    scheduler::Priority priority;
    std::uint64_t value = 0;
    std::set<TaskIx> dependencies, dependents, waiting_for, waiters;
    std::set<Process> who_has;
    bool seceding = false;
  };

  void on(const Compute& m);
  void on(const Free& m) { release(m.task); }
  void on(const RemoveReplica& m);
  void on(const Acquire& m);
  void on(const WhoHas& m);
  void on(const PeerGone& m);
  void on(const StealRequest& m);
  void on(const Update& m);

  void update_who_has(const std::vector<Location>& locations);
  void wait(TaskIx task);  // released -> waiting or ready
  void need(TaskIx task);  // -> fetch, as far as its state allows
  void fetch_or_miss(TaskIx task);
  void release(TaskIx task);
  void purge(TaskIx task);
  void forget_if_unneeded(TaskIx task);
  void into_memory(TaskIx task, std::uint64_t value);
  void ensure_computing();
  void ensure_communicating();
  void run(TaskIx task);
  void secede(TaskIx task);
  void done(TaskIx task, std::int64_t run_id, int attempt, const std::uint64_t* value);
  void arrived(TaskIx task, const std::uint64_t* value, Process peer);
  void look_for_missing();

  World& world_;
  Process self_;
  std::int64_t nthreads_;
  Surroundings out_;
  bool paused_ = false;
  std::map<TaskIx, Item> tasks_;
  std::set<std::pair<scheduler::Priority, TaskIx>> ready_;
  std::set<TaskIx> executing_;  // holding a thread
  std::map<Process, std::vector<TaskIx>> in_flight_;
  std::set<Process> busy_;
  bool looking_ = false;
};

}  // namespace dask::sim
