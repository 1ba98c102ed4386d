// Machine: (state, event, time) -> instructions. The heart of the worker, and pure: no socket, clock, file, thread or random source.
// Transitions, their order and the messages they cause follow Dask's WorkerState (distributed/worker_state_machine.py);
// docs/compatibility.md lists where it knowingly differs.
//
// Invariants: after handle() returns, no recommendation is left and validate() finds nothing, whatever the peers said.
// Thread ownership: the loop's thread.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/state/events.h"
#include "worker/state/instructions.h"
#include "worker/state/state.h"

namespace dask::worker {

class Machine : public State {
 public:
  explicit Machine(Settings settings) : State(std::move(settings)), random_(settings_.seed) {}

  // Applies one event that happened at `now` (seconds since 1970) for the named reason. The instructions, and the tasks that find() gives,
  // stay valid until the next call. Must not be called from within the carrying out of instructions: queue the event.
  const Instructions& handle(Event event, double now, const std::string& stimulus_id);

  // Whether NotifyTransition is given: true while a plugin wants it.
  void set_report_transitions(bool report) { report_transitions_ = report; }

  // The transition table as Dask writes it, for the documentation and its comparison with Dask's: pairs of states.
  static std::vector<std::pair<TaskState, TaskState>> transition_table();

 private:
  // What a recommendation brings along.
  struct Cause {
    std::int64_t run_id = kNoRunId;
    double compute_duration = -1;
    Peer* worker = nullptr;
    const StoredValue* value = nullptr;  // of the event
    FailurePtr failure;
  };
  struct Recommendation {
    Task* task = nullptr;  // null: taken back
    TaskState finish = TaskState::kReleased;
    Cause cause;
  };
  using TransitionFn = void (Machine::*)(Task&, const Cause&);
  static const std::array<std::array<TransitionFn, kTaskStates>, kTaskStates>& table();

  // ---- events (events_*.cc) ----
  void on(Pause& e);
  void on(Unpause& e);
  void on(RetryBusyWorker& e);
  void on(GatherDepSuccess& e);
  void on(GatherDepBusy& e);
  void on(GatherDepNetworkFailure& e);
  void on(GatherDepFailure& e);
  void on(RemoveWorker& e);
  void on(ComputeTask& e);
  void on(ComputeTasks& e);
  void on(ExecuteSuccess& e);
  void on(ExecuteSuccesses& e);
  void on(ExecuteFailure& e);
  void on(Reschedule& e);
  void on(CancelCompute& e);
  void on(FindMissing& e);
  void on(RefreshWhoHas& e);
  void on(AcquireReplicas& e);
  void on(RemoveReplicas& e);
  void on(FreeKeys& e);
  void on(StealRequest& e);
  void on(UpdateData& e);
  void on(Secede& e);
  void on(DataLost& e);
  void on(DataResized& e);
  void on(SetResources& e);
  void on(SetNthreads& e);

  // ---- transitions (transitions.cc) ----
  void generic_fetch(Task& ts, const Cause& cause);
  void generic_missing(Task& ts, const Cause& cause);
  void generic_released(Task& ts, const Cause& cause);
  void generic_error(Task& ts, const Cause& cause);
  void missing_fetch(Task& ts, const Cause& cause);
  void missing_waiting(Task& ts, const Cause& cause);
  void released_waiting(Task& ts, const Cause& cause);
  void released_memory(Task& ts, const Cause& cause);
  void released_forgotten(Task& ts, const Cause& cause);
  void fetch_flight(Task& ts, const Cause& cause);
  void fetch_missing(Task& ts, const Cause& cause);
  void fetch_released(Task& ts, const Cause& cause);
  void flight_fetch(Task& ts, const Cause& cause);
  void flight_memory(Task& ts, const Cause& cause);
  void flight_released(Task& ts, const Cause& cause);
  void memory_released(Task& ts, const Cause& cause);
  void waiting_constrained(Task& ts, const Cause& cause);
  void waiting_ready(Task& ts, const Cause& cause);
  void start_executing(Task& ts, const Cause& cause);
  void executing_rescheduled(Task& ts, const Cause& cause);
  void executing_released(Task& ts, const Cause& cause);
  void executing_long_running(Task& ts, const Cause& cause);
  void executing_memory(Task& ts, const Cause& cause);
  void cancelled_fetch(Task& ts, const Cause& cause);
  void cancelled_waiting(Task& ts, const Cause& cause);
  void cancelled_released(Task& ts, const Cause& cause);
  void cancelled_or_resumed_long_running(Task& ts, const Cause& cause);
  void resumed_error(Task& ts, const Cause& cause);
  void resumed_fetch(Task& ts, const Cause& cause);
  void resumed_memory(Task& ts, const Cause& cause);
  void resumed_released(Task& ts, const Cause& cause);

  // ---- running them (machine.cc) ----
  void recommend(Task& ts, TaskState finish) { recommend(ts, finish, Cause()); }
  void recommend(Task& ts, TaskState finish, Cause cause);
  void run_recommendations();
  void transition(Task& ts, TaskState finish, const Cause& cause);
  void invalid_transition(Task& ts, TaskState start, TaskState finish);
  static bool is_recommended(const Task& ts) { return ts.recommendation != std::numeric_limits<std::uint32_t>::max(); }
  bool is_recommended(const Task& ts, TaskState finish) const;
  // The event itself says what becomes of the task (it has come to its end, is to be computed, ...); what others need of it does not
  // change that.
  bool is_decided(const Task& ts) const {
    return is_recommended(ts) && (ts.done || is_recommended(ts, TaskState::kMemory) || is_recommended(ts, TaskState::kWaiting));
  }
  void take_back(Task& ts);
  enum class Announce { kNothing, kAddKeys, kTaskFinished };
  void to_memory(Task& ts, Announce announce, const Cause& cause);
  void purge(Task& ts);
  // The task is not in memory any more: those here that counted on it wait for it again.
  void ask_for_again(Task& ts);
  void send_finished(Task& ts, std::int64_t run_id);
  void ensure_computing();
  Task* next_ready_task();

  // ---- transfers (transfers.cc) ----
  void ensure_communicating();
  bool should_throttle_incoming_transfers() const;
  // Which to ask first among peers that could be asked.
  struct Candidate;
  std::int64_t select_keys_for_gather(Peer& peer, std::vector<Task*>& to_gather);
  bool exceeds_transfer_limits(const Task& ts, std::int64_t message_nbytes) const;
  // Ends the transfer from this peer and gives the tasks that it was for; null (and a Warn) when there is none.
  Peer* gather_dep_done(const std::string& worker, std::vector<Task*>& tasks);
  void lose_peer(Peer& peer);
  void update_who_has(const Key& key, const std::vector<std::string>& workers);
  void update_who_has(Task& ts, const std::vector<std::string>& workers);
  // The shell has stored a value under a key that has no use for it.
  void drop_stray(const Key& key);

  // ---- shared by events ----
  Task& ensure_task_exists(const Key& key, const Priority& priority);
  // The task whose execution has ended; null (and a Warn) when none is under way under this key.
  Task* execute_done(const Key& key, const char* event);
  void compute(ComputeTask& e);

  template <class I>
  void instruct(I instruction) {
    instructions_.emplace_back(std::move(instruction));
  }
  void warn(std::string text) { instruct(Warn{std::move(text)}); }
  void note(const Task& ts, const char* what) { log_.note(ts.key, what, *stimulus_id_, now_); }

  Instructions instructions_;
  std::vector<Recommendation> recommendations_;  // a stack: last in, first out, as Dask's dict.popitem()
  double now_ = 0;
  std::uint64_t transitions_left_ = 0;  // of this event
  const std::string* stimulus_id_ = nullptr;
  bool report_transitions_ = false;
  std::uint64_t random_ = 0;  // state of a SplitMix64 sequence
};

}  // namespace dask::worker
