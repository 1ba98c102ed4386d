// A cluster in one thread, from a seed: the scheduler's machine, model workers, model clients, links with delays, and faults.
// After every event State::validate() must find nothing. When the faults stop, everything that is wanted must be settled
// as its clients were told, with the values that a sequential evaluation gives; when all is released, nothing may be left.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "scheduler/machine/machine.h"
#include "sim_worker.h"
#include "timeline.h"
#include "world.h"

namespace dask::sim {

struct Outcome {
  std::string failure;          // empty: all is well
  std::deque<std::string> log;  // the last lines
  std::uint64_t events = 0;
  std::uint64_t transitions = 0;
  std::string state_hash;  // equal for equal seeds
};

// What is inside the workers: the model of a stock worker, our worker's machine, or some of each.
enum class WorkerKind { kModel, kReal, kMixed };

class Simulation {
 public:
  // `log_lines`: how many of the last lines to keep; `print`: each line goes to stdout at once.
  Simulation(std::uint64_t seed, WorkerKind kind, std::size_t log_lines, bool print);
  Outcome run();

 private:
  struct WorkerProcess {
    Process process = 0;
    int index = 0;  // which of the world's workers
    std::string name;
    std::unique_ptr<SimWorker> model;
    bool alive = true;
    bool connected = false;
    bool paused = false;
    bool retiring = false;
    std::map<TaskIx, TaskId> native_tasks;  // sent to it as native: reported by their ids
    WorkerId id;
    Link to_scheduler;
    Link to_worker;
  };
  enum class Status { kPending, kFinished, kError, kCancelled, kRejected };
  struct ModelClient {
    std::string name;
    ClientId id;
    bool connected = false;
    bool leaving = false;
    std::map<TaskIx, Status> futures;
    std::set<TaskIx> scattering;  // on the way; their futures are neither released nor cancelled meanwhile
    Link to_scheduler;
    Link to_client;
  };

  // ---- scheduler (simulation.cc) ----
  void happen(scheduler::Event event, const char* what);
  void deliver(const scheduler::Actions& actions);
  void fail(std::string why);
  template <class... Args>
  void log(fmt::format_string<Args...> format, Args&&... args) {
    if (log_lines_ > 0 || print_) write(fmt::format(format, std::forward<Args>(args)...));
  }
  void write(std::string line);
  const std::string& name(TaskIx task) const { return world_.tasks[task].name; }
  scheduler::TaskState state_of(TaskIx task) const;

  // ---- workers (sim_workers.cc) ----
  void start_worker(int index);
  std::optional<TaskId> native_id(const WorkerProcess& w, TaskIx task, const std::optional<TaskId>& given) const;
  void from_worker(WorkerProcess& w, const FromWorker& message);
  void fetch(WorkerProcess& from, Process peer, std::vector<TaskIx> asked);
  void kill(WorkerProcess& w, bool expected);
  void pause(WorkerProcess& w);
  std::unique_ptr<SimWorker> make_worker(const WorkerProcess& w, SimWorker::Surroundings around);
  void retire(WorkerProcess& w);
  void advance_retirement(WorkerProcess& w, Time give_up);
  void heartbeat(WorkerProcess& w);
  bool only_copies(const WorkerProcess& w) const;
  WorkerProcess* some_worker(bool running);
  WorkerProcess* process_of(WorkerId id);

  // ---- clients (sim_clients.cc) ----
  void connect_client(int index);
  void client_acts(ModelClient& c);
  void submit(ModelClient& c);
  void release(ModelClient& c, const std::vector<TaskIx>& tasks);
  void scatter(ModelClient& c, TaskIx data);
  void gather(ModelClient& c, TaskIx task);
  void to_scheduler(ModelClient& c, std::function<void()> deliver);
  void told_erred(ModelClient& c, TaskIx task, const scheduler::Failure& failure);
  void specs_arrive(std::uint64_t graph, std::vector<TaskIx> tasks);
  std::vector<Key> keys(const std::vector<TaskIx>& tasks) const;
  std::vector<TaskIx> futures_in(const ModelClient& c, std::initializer_list<Status> statuses) const;
  bool explained(TaskIx task, const scheduler::Failure& failure) const;

  // ---- the course of a run (simulation.cc) ----
  void plan_faults();
  void settle();
  std::string unsettled() const;
  void check_results();
  void release_everything();
  void check_nothing_left();

  World world_;
  WorkerKind kind_;
  Timeline timeline_;
  scheduler::Machine machine_;
  std::size_t log_lines_;
  bool print_;
  Outcome outcome_;
  bool chaos_ = true;
  std::vector<std::unique_ptr<WorkerProcess>> processes_;  // by Process; dead ones stay
  std::map<int, Process> current_;                         // world's worker -> its newest process
  std::map<WorkerId, Process> by_id_;
  std::vector<std::unique_ptr<ModelClient>> clients_;
  std::map<ClientId, ModelClient*> clients_by_id_;
  std::vector<int> runs_;  // per task
  std::uint64_t graphs_ = 0;
  int specs_pending_ = 0;
  bool retired_safely_ = false;  // the event at hand removes a worker that had handed everything over
};

}  // namespace dask::sim
