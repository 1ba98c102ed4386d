// What the worker's shell has to do after an event: Dask's Instruction classes, same names. They are carried out in the order they come.
// Messages to the scheduler are the structs of core/base/messages.h, and the two below that only workers send.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/base/key.h"
#include "core/base/messages.h"
#include "core/base/value.h"
#include "worker/state/task.h"

namespace dask::worker {

// ---- to do; each is answered by one event ----

// Fetch these keys from a peer (get_data). Answer, whatever has become of the keys meanwhile, by exactly one of GatherDepSuccess,
// GatherDepBusy, GatherDepNetworkFailure, GatherDepFailure with this worker. At most one per worker is under way.
struct GatherDep {
  std::string worker;
  std::vector<Key> to_gather;
  std::int64_t total_nbytes = 0;  // what the scheduler believes they measure
  std::string stimulus_id;
};
// Run this task. Machine::find(key) has its run_spec, dependencies, annotations, actor and span_id, until the next event; all
// dependencies are in the store. Answer by exactly one of ExecuteSuccess, ExecuteFailure, Reschedule with this key and run_id, also
// when the task has been cancelled meanwhile: the machine waits for it. Until then no second Execute of the key comes.
struct Execute {
  Key key;
  std::int64_t run_id = 0;
  std::string stimulus_id;
};
// Leave this peer alone for a while (Dask: 0.15 s), then say RetryBusyWorker.
struct RetryBusyWorkerLater {
  std::string worker;
};

// ---- to do at once, without an answer ----

// Nobody needs the value under this key any more: drop it from the store, memory or disk. Inputs of a task that has been started with
// it stay alive through that task's own reference. When nothing is there, nothing is to be done.
struct DropData {
  Key key;
  bool actor = false;
};
// A scattered value was not taken (the key is being computed here): answer the RPC with an error that says `reason`.
// DropData, if the value is to go, comes besides.
struct RefuseData {
  Key key;
  std::string reason;
};
// Where Dask's worker would fail hard, ours leaves in order: log `reason`, tell the scheduler (log-event, topic
// "invalid-worker-transition" or so), close. The state stays sound; `story` are the transitions of the key concerned.
struct CloseWorker {
  std::string reason;
  std::string story;
};
// A peer or the shell said something that makes no sense; it was ignored. For the log, as a warning.
struct Warn {
  std::string text;
};
// For WorkerPlugin.transition; only after Machine::set_report_transitions(true).
struct NotifyTransition {
  Key key;
  TaskState start = TaskState::kReleased;
  TaskState finish = TaskState::kReleased;  // as recommended
};

// ---- to the scheduler ----

struct RequestRefreshWhoHasMsg {  // request-refresh-who-has
  std::vector<Key> keys;
  std::string stimulus_id;
};
struct StealResponseMsg {  // steal-response
  Key key;
  std::string state;  // empty: None, the task is not here
  std::string stimulus_id;
};
// A native task is in memory: a row of a FinishedBatch instead of task-finished. All rows of one turn of the loop go in one batch, before
// later messages of the same turn (add-keys of what it used came earlier).
struct NativeTaskFinishedMsg {
  std::uint64_t handle = 0;
  Key key;
  std::int64_t run_id = 0;
  std::int64_t nbytes = 0;
  double start = 0;
  double stop = 0;
  std::string typename_;
  std::uint32_t inline_bytes_max = 0;  // the value goes along when it has no more bytes
};
struct NativeTaskErredMsg {
  std::uint64_t handle = 0;
  Key key;
  std::int64_t run_id = 0;
  double start = 0;
  double stop = 0;
  FailurePtr failure;
};

using Instruction = std::variant<GatherDep, Execute, RetryBusyWorkerLater, DropData, RefuseData, CloseWorker, Warn, NotifyTransition,
                                 TaskFinishedMsg, TaskErredMsg, ReleaseWorkerDataMsg, AddKeysMsg, LongRunningMsg, RescheduleMsg,
                                 RequestRefreshWhoHasMsg, StealResponseMsg, NativeTaskFinishedMsg, NativeTaskErredMsg>;
using Instructions = std::vector<Instruction>;

}  // namespace dask::worker
