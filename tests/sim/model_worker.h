// A worker as small as it can be and still have a stock worker's races: it fetches dependencies from its peers, computes,
// keeps results, cancels what it cannot stop, resumes what was cancelled. States and messages follow
// distributed/worker_state_machine.py; it checks what that asserts.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim_worker.h"

namespace dask::sim {

class ModelWorker final : public SimWorker {
 public:
  ModelWorker(World& world, Process self, std::int64_t nthreads, Surroundings surroundings);

  void receive(const std::vector<ToWorker>& batch) override;
  void fetched(Process peer, const std::vector<TaskIx>& asked, const std::map<TaskIx, std::uint64_t>& data) override;
  void fetch_failed(Process peer, const std::vector<TaskIx>& asked) override;
  void peer_busy(Process peer, const std::vector<TaskIx>& asked) override;
  void pause(bool paused) override;

  std::map<TaskIx, std::uint64_t> serve(const std::vector<TaskIx>& asked) const override;
  bool has(TaskIx task) const;
  std::string inventory() const override;
  std::size_t known() const override { return tasks_.size(); }
  std::vector<TaskIx> in_memory() const override;
  bool busy_with(TaskIx task) const override;

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
