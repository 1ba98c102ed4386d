// Machine: (state, event, time) -> actions. The heart of the scheduler, and pure: no socket, clock, file, thread or random
// source. Transitions, their order and the messages they cause follow Dask's SchedulerState (distributed/scheduler.py);
// docs/compatibility.md lists where it knowingly differs.
//
// Invariants: after handle() returns, no recommendation is left and State::validate() finds nothing.
// Thread ownership: the loop's thread.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "scheduler/machine/actions.h"
#include "scheduler/machine/events.h"
#include "scheduler/state/state.h"

namespace dask::scheduler {

class Machine {
 public:
  explicit Machine(Settings settings);

  // Applies one event that happened at `now` (seconds) for the named reason. The actions stay valid until the next call.
  const Actions& handle(Event event, double now, const std::string& stimulus_id);

  State& state() { return state_; }
  const State& state() const { return state_; }
  // The ids that ClientConnected and WorkerConnected gave last.
  ClientId last_client() const { return last_client_; }
  WorkerId last_worker() const { return last_worker_; }
  // The client with this name; a pseudo client (fire-and-forget, published-…) is made when it is not there.
  ClientId client_named(const std::string& name);

  // Desired number of workers for the work that waits and runs (Dask's adaptive_target).
  std::int64_t adaptive_target(double target_duration_s) const;
  // Seconds since when nothing has been going on; negative while something is.
  double idle_since(double now);
  // Why a task in state erred failed; never null.
  FailurePtr failure_of(const Task& ts) const;
  // Transitions of these keys or stimuli, oldest first.
  std::vector<TransitionRecord> story(const std::vector<std::string>& keys_or_stimuli) const;
  // The transition table as Dask writes it, for the documentation: pairs of state names.
  static std::vector<std::pair<TaskState, TaskState>> transition_table();

 private:
  // What a direct transition brings along; recommendations bring nothing.
  struct Cause {
    WorkerId worker;
    TaskFinishedMsg* finished = nullptr;
    Bytes result;  // itself, when it came along
    FailurePtr failure;
    TaskId blame;          // the task that caused it
    std::string erred_on;  // worker address
  };
  using TransitionFn = void (Machine::*)(Task&, Cause&);
  static const std::array<std::array<TransitionFn, kTaskStates>, kTaskStates>& table();

  void on(ClientConnected& e);
  void on(ClientLeft& e);
  void on(GraphSubmitted& e);
  void on(RunSpecsArrived& e);
  void on(GraphCompleted& e);
  void on(GraphRejected& e);
  void on(KeysDesired& e);
  void on(KeysReleased& e);
  void on(KeysCancelled& e);
  void on(RetryRequested& e);
  void on(KeyReportRequested& e);
  void on(DataUpdated& e);
  void on(WorkerConnected& e);
  void on(WorkerLeft& e);
  void on(WorkerStatusChanged& e);
  void on(WorkerHeartbeat& e);
  void on(TaskFinished& e);
  void on(TaskErred& e);
  void on(NativeTasksFinished& e);
  void on(NativeTasksErred& e);
  void on(WorkerDataReleased& e);
  void on(ReplicasAdded& e);
  void on(TaskLongRunning& e);
  void on(TaskRescheduled& e);
  void on(WhoHasRequested& e);
  void on(ReplicasMissing& e);
  void on(RetirementAdvanced& e);
  void on(StealingDue& e);
  void on(StealAnswered& e);
  void on(RestrictionsSet& e);
  void on(ShuffleOutputBound& e);
  void on(ShuffleEnded& e);
  void on(ShuffleRestarted& e);
  void on(ResourcesSet& e);
  void on(ReplicaReviewDue& e);
  void on(TimePassed& e);

  // ---- the transitions (transitions.cc) ----
  void released_waiting(Task& ts, Cause& cause);
  void released_erred(Task& ts, Cause& cause);
  void released_forgotten(Task& ts, Cause& cause);
  void waiting_released(Task& ts, Cause& cause);
  void waiting_processing(Task& ts, Cause& cause);
  void waiting_no_worker(Task& ts, Cause& cause);
  void waiting_queued(Task& ts, Cause& cause);
  void waiting_memory(Task& ts, Cause& cause);
  void queued_released(Task& ts, Cause& cause);
  void queued_processing(Task& ts, Cause& cause);
  void queued_erred(Task& ts, Cause& cause);
  void processing_released(Task& ts, Cause& cause);
  void processing_memory(Task& ts, Cause& cause);
  void processing_erred(Task& ts, Cause& cause);
  void no_worker_released(Task& ts, Cause& cause);
  void no_worker_processing(Task& ts, Cause& cause);
  void no_worker_erred(Task& ts, Cause& cause);
  void memory_released(Task& ts, Cause& cause);
  void memory_erred(Task& ts, Cause& cause);
  void memory_forgotten(Task& ts, Cause& cause);
  void erred_released(Task& ts, Cause& cause);

  void recommend(Task& ts, TaskState finish);
  // Recommends the same for many tasks, so that the one with the highest priority has its turn first. Sorts `slots`.
  void recommend_by_priority(SmallVector<std::uint32_t, 8>& slots, TaskState finish);
  // Takes back what was recommended for ts; `otherwise` when nothing was.
  TaskState take_recommendation(Task& ts, TaskState otherwise);
  void transition(Task& ts, TaskState finish, Cause& cause);
  void transition(Task& ts, TaskState finish);
  void run_recommendations();
  void queue_slots_maybe_opened();

  void add_to_processing(Task& ts, Worker& ws);
  // Gives the worker, or null when it is gone.
  Worker* exit_processing(Task& ts);
  void propagate_released(Task& ts);
  void propagate_erred(Task& ts, Cause& cause);
  void propagate_forgotten(Task& ts);
  void remove_key(Task& ts);
  void release_dependency_if_unneeded(Task& dependency);
  // ts does not wait for its dependencies any more, nor for its turn with them.
  void let_go_of_dependencies(Task& ts);
  void release_wants(ClientId client, const std::vector<std::uint32_t>& slots);
  void schedule_unrunnable_on(const Worker& ws);
  void retry(std::vector<Task*> erred);
  void fail(Task& ts, FailurePtr failure, std::string erred_on = {});
  void refresh_no_workers_since();
  // The task runs on these workers only, from now on; none: on any.
  void restrict_to(Task& ts, std::vector<std::string> workers);
  // Tells of a barrier that has just become unusable, and of failures around barriers (shuffle_events.cc).
  void note_shuffle(const Task& ts);
  void note_shuffle_failure(const Task& ts);
  Task* fused_transfer(const Task& alias);

  // ---- actions ----
  template <class A>
  void act(A action) {
    actions_.list.emplace_back(std::move(action));
  }
  void say(Severity severity, std::string text) { act(Say{severity, std::move(text)}); }
  void send_compute(Task& ts, WorkerId worker);
  void free_on_holders(const Task& ts);
  // Appends where ts is to the dependency list.
  void locate(const Task& ts);
  void report_to_wanters(const Task& ts);
  void report_on(const Task& ts, ClientId client);
  // A failure of the scheduler's own; without arguments, `text` is the only one.
  static FailurePtr make_failure(std::string error_class, const std::string& text, Value::Array arguments = {});

  bool is_wanted(const Task& ts) const { return !ts.who_wants.empty() || ts.waiters > 0; }
  Task* find(const Key& key) { return state_.find(key.msgpack()); }
  void free_unknown(WorkerId worker, Key key) { act(SendFreeKey{worker, TaskId{}, std::move(key)}); }
  bool present(WorkerId worker) const { return worker.valid() && state_.worker(worker).present; }

  // ---- what workers say about one task (task_events.cc) ----
  // A task that is processing there needs ts.
  bool is_input_on(const Task& ts, WorkerId worker) const;
  void finished(Task& ts, WorkerId worker, TaskFinishedMsg& msg, Bytes result = {});
  void erred(Task& ts, WorkerId worker, std::int64_t run_id, FailurePtr failure, Value thread, std::vector<StartStop> startstops);

  // ---- stealing (steal_events.cc) ----
  struct StealInFlight {
    WorkerId victim;
    WorkerId thief;
    double victim_duration_s = 0;
    double thief_duration_s = 0;
    std::int64_t run_id = 0;
    std::string stimulus_id;
  };
  void forget_steals_of(WorkerId worker);

  // ---- graphs (graphs.cc) ----
  struct PendingGraph {
    std::vector<TaskId> tasks;  // by column index; invalid where the graph's task was not taken
    std::size_t missing = 0;    // run specs that have not arrived
  };

  State state_;
  Actions actions_;
  struct Recommendation {
    std::uint32_t slot;  // UINT32_MAX: taken back
    TaskState finish;
  };
  std::vector<Recommendation> recommendations_;  // a stack: last in, first out, as Dask's dict.popitem()
  double now_ = 0;
  const std::string* stimulus_id_ = nullptr;
  std::int64_t next_run_id_ = 0;
  double generation_ = 0;
  double last_graph_time_ = 0;
  double no_workers_since_ = -1;
  std::uint64_t idle_transition_counter_ = 0;
  double idle_since_ = -1;
  std::unordered_map<std::uint64_t, PendingGraph> pending_graphs_;
  std::map<TaskId, StealInFlight> steals_;
  std::uint64_t steal_counter_ = 0;
  std::uint64_t steals_done_ = 0;
  ClientId last_client_;
  WorkerId last_worker_;
  ClientId fire_and_forget_;
};

}  // namespace dask::scheduler
