// What the scheduler does about an event, in the imperative. Tasks are named by id; ids stay readable until the next event.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/ids.h"
#include "core/base/key.h"
#include "core/base/messages.h"
#include "core/base/value.h"
#include "scheduler/state/task.h"

namespace dask::scheduler {

// Where a dependency is, at the moment of the decision: holders are holders[begin, end) of Actions.
struct DependencyLocation {
  TaskId task;
  std::int64_t nbytes = -1;
  std::uint32_t holders_begin = 0;
  std::uint32_t holders_end = 0;
};

// ---- to workers ----
struct SendComputeTask {
  WorkerId worker;
  TaskId task;
  std::int64_t run_id = 0;
  std::uint32_t dependencies_begin = 0;  // into Actions::dependencies
  std::uint32_t dependencies_end = 0;
};
struct SendFreeKey {
  WorkerId worker;
  TaskId task;  // or, for a key that is no task:
  Key key;
};
struct SendRemoveReplica {
  WorkerId worker;
  Key key;
};
struct SendAcquireReplicas {
  WorkerId worker;
  std::uint32_t dependencies_begin = 0;
  std::uint32_t dependencies_end = 0;
};
struct SendRefreshWhoHas {
  WorkerId worker;
  std::uint32_t dependencies_begin = 0;
  std::uint32_t dependencies_end = 0;
};
struct SendStealRequest {
  WorkerId worker;
  TaskId task;
  std::string stimulus_id;
};
struct CloseWorker {
  WorkerId worker;
  std::string reason;
};

// ---- to clients ----
struct ReportKeyInMemory {
  ClientId client;
  TaskId task;
  Value type;                     // nil: not said
  std::vector<WorkerId> workers;  // after scatter
  Bytes value = {};               // of a native task whose small result came along; empty: the client fetches it
};
struct ReportLostData {
  ClientId client;
  TaskId task;
};
struct ReportTaskErred {
  ClientId client;
  TaskId task;  // or, for a key that is no task:
  Key key;
  FailurePtr failure;
};
struct ReportTaskRetried {
  ClientId client;
  TaskId task;
};
struct ReportCancelledKeys {
  ClientId client;  // invalid: to all clients
  std::vector<Key> keys;
  std::string reason;
  std::string msg;
};

// ---- to whom it may concern ----
// An entry of Dask's events: topic(s) and a message.
struct LogEvent {
  std::vector<std::string> topics;
  Value msg;
};
enum class Severity : std::uint8_t { kDebug, kInfo, kWarning, kError };
struct Say {
  Severity severity = Severity::kInfo;
  std::string text;
};
// A P2P barrier is not what its shuffle needs any more: released, erred or forgotten.
struct BarrierStopped {
  TaskId barrier;
  TaskState state = TaskState::kReleased;
};
// A barrier, or a task next to it, failed by itself.
struct ShuffleTaskErred {
  TaskId barrier;
};
// A task ended on a worker: what the task stream shows.
struct RecordTaskStream {
  WorkerId worker;
  TaskId task;
  bool erred = false;
  std::int64_t nbytes = -1;
  Value thread;
  std::vector<StartStop> startstops;
};

using Action = std::variant<SendComputeTask, SendFreeKey, SendRemoveReplica, SendAcquireReplicas, SendRefreshWhoHas, SendStealRequest,
                            CloseWorker, ReportKeyInMemory, ReportLostData, ReportTaskErred, ReportTaskRetried, ReportCancelledKeys,
                            LogEvent, Say, BarrierStopped, ShuffleTaskErred, RecordTaskStream>;

struct Actions {
  std::vector<Action> list;
  std::vector<DependencyLocation> dependencies;
  std::vector<WorkerId> holders;

  void clear() {
    list.clear();
    dependencies.clear();
    holders.clear();
  }
};

}  // namespace dask::scheduler
