// What happens to the scheduler, in the past tense. Every event carries all that the machine needs; the time comes beside it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/ids.h"
#include "core/base/messages.h"
#include "scheduler/state/task.h"
#include "scheduler/state/worker.h"

namespace dask::scheduler {

// A graph as columns. Tasks are 0..n-1; extern dependencies (keys that the graph itself does not define) are n..keys.size()-1.
struct GraphColumns {
  std::size_t n_tasks = 0;
  std::vector<Key> keys;
  std::vector<std::uint32_t> dep_begin;  // n_tasks + 1, into deps
  std::vector<std::uint32_t> deps;       // indices into keys
  std::vector<std::uint8_t> flags;       // per task, or empty
  std::vector<std::int32_t> annotation;  // per task a row of annotations, -1 for none; or empty
  std::vector<AnnotationsPtr> annotations;
  std::vector<std::pair<std::uint32_t, ShuffleSpecPtr>> shuffles;  // of the P2P barriers
  std::vector<double> order;                                       // per task: rank within the graph, lower first; or empty
  static constexpr std::uint8_t kDataProducer = 1;
  static constexpr std::uint8_t kP2PBarrier = 2;
};

struct ClientConnected {
  std::string name;
  Value versions;
};
struct ClientLeft {
  ClientId client;
};
// A graph was lowered. Its run specs follow as RunSpecsArrived, named by (graph, index); native graphs bring theirs along.
struct GraphSubmitted {
  ClientId client;
  std::uint64_t graph = 0;  // names it in RunSpecsArrived and GraphFailed
  GraphColumns columns;
  std::vector<Key> wanted;
  std::optional<Key> submitting_task;
  double fifo_timeout_s = 0;
  bool all_actors = false;
  std::vector<Key> actors;
  SpecKind spec = SpecKind::kPython;
  std::shared_ptr<const void> native_rows;  // kNative: what the tasks run, row by column index
  double received = 0;                      // seconds: decides the generation
};
struct RunSpecsArrived {
  std::uint64_t graph = 0;
  std::vector<std::pair<std::uint32_t, OpaquePtr>> specs;  // index into the graph's columns
};
// All run specs of the graph have arrived, or the rest never will (`failure`).
struct GraphCompleted {
  std::uint64_t graph = 0;
  FailurePtr failure;
};
// Lowering failed altogether: every wanted key errs.
struct GraphRejected {
  ClientId client;
  std::vector<Key> wanted;
  FailurePtr failure;
};
struct KeysDesired {
  ClientId client;
  std::vector<Key> keys;
};
struct KeysReleased {
  ClientId client;
  std::vector<Key> keys;
};
struct KeysCancelled {
  ClientId client;
  std::vector<Key> keys;
  bool force = false;
  std::string reason;
  std::string msg;
};
struct RetryRequested {
  std::vector<Key> keys;
};
struct KeyReportRequested {
  ClientId client;
  Key key;
};
// Data entered the cluster from outside (scatter).
struct DataUpdated {
  ClientId client;  // who wants it; invalid for nobody
  struct Item {
    Key key;
    std::vector<WorkerId> workers;
    std::int64_t nbytes = -1;
  };
  std::vector<Item> items;
};

struct WorkerConnected {
  Worker worker;
};
struct WorkerLeft {
  WorkerId worker;
  bool expected = false;  // retired or closed by us: its tasks are not suspicious
};
struct WorkerStatusChanged {
  WorkerId worker;
  WorkerStatus status = WorkerStatus::kInit;
};
struct WorkerHeartbeat {
  WorkerId worker;
  Value metrics;
  double worker_now = 0;
  std::vector<std::pair<Key, double>> executing;  // seconds so far
};
struct TaskFinished {
  WorkerId worker;
  TaskFinishedMsg msg;
};
struct TaskErred {
  WorkerId worker;
  TaskErredMsg msg;
};
// Native tasks are reported in batches, by the ids that they were sent with.
struct NativeTasksFinished {
  WorkerId worker;
  struct Row {
    TaskId task;
    std::int64_t run_id = 0;
    std::int64_t nbytes = 0;
    double start = 0;  // seconds of the scheduler's clock
    double stop = 0;
    std::uint32_t type = UINT32_MAX;  // into types; UINT32_MAX: not said
    Bytes value = {};                 // for clients that want the task; empty: it did not come along
  };
  std::vector<Row> rows;
  std::vector<std::string> types;
};
struct NativeTasksErred {
  WorkerId worker;
  struct Row {
    TaskId task;
    std::int64_t run_id = 0;
    double start = 0;
    double stop = 0;
    FailurePtr failure;
  };
  std::vector<Row> rows;
};
struct WorkerDataReleased {
  WorkerId worker;
  std::vector<Key> keys;
};
struct ReplicasAdded {
  WorkerId worker;
  std::vector<Key> keys;
};
struct TaskLongRunning {
  WorkerId worker;
  LongRunningMsg msg;
};
struct TaskRescheduled {
  WorkerId worker;
  Key key;
};
struct WhoHasRequested {
  WorkerId worker;
  std::vector<Key> keys;
};
// A worker that fetched for us could not get these replicas.
struct ReplicasMissing {
  std::vector<std::pair<Key, WorkerId>> replicas;
};
// Move the only copies away from workers that are about to leave: asks others to fetch them. Answered by AcquireReplicas.
struct RetirementAdvanced {
  std::vector<WorkerId> workers;
};
// It is time to look for tasks to move.
struct StealingDue {};
// A victim says in which state the task was when it was asked for it ("" when it did not have it).
struct StealAnswered {
  WorkerId worker;
  Key key;
  std::string state;
  std::string stimulus_id;
};
// The workers that these tasks may run on, from now on; none: any.
struct RestrictionsSet {
  std::vector<std::pair<Key, std::vector<std::string>>> workers;
};
// A shuffle's output task belongs to this worker, until the shuffle ends.
struct ShuffleOutputBound {
  Key key;
  std::string worker;
};
// The shuffle of this barrier is over or has failed: its outputs are not bound to workers any more.
struct ShuffleEnded {
  Key barrier;
};
// The shuffle of this barrier starts over: the barrier, its inputs and its outputs run again.
struct ShuffleRestarted {
  Key barrier;
};
// A worker has these quantities of these resources from now on; its others stay as they are.
struct ResourcesSet {
  WorkerId worker;
  std::map<std::string, double> resources;
};
// It is time to drop superfluous replicas. `measure`: which memory decides where, one of MemoryState's.
struct ReplicaReviewDue {
  std::string measure;
};
// Time passed: time-outs of tasks without workers.
struct TimePassed {};

using Event =
    std::variant<ClientConnected, ClientLeft, GraphSubmitted, RunSpecsArrived, GraphCompleted, GraphRejected, KeysDesired, KeysReleased,
                 KeysCancelled, RetryRequested, KeyReportRequested, DataUpdated, WorkerConnected, WorkerLeft, WorkerStatusChanged,
                 WorkerHeartbeat, TaskFinished, TaskErred, NativeTasksFinished, NativeTasksErred, WorkerDataReleased, ReplicasAdded,
                 TaskLongRunning, TaskRescheduled, WhoHasRequested, ReplicasMissing, RetirementAdvanced, StealingDue, StealAnswered,
                 RestrictionsSet, ShuffleOutputBound, ShuffleEnded, ShuffleRestarted, ResourcesSet, ReplicaReviewDue, TimePassed>;

}  // namespace dask::scheduler
