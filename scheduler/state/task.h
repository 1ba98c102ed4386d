// A task as the scheduler knows it, with the prefix and group it counts in. Dask's TaskState, TaskPrefix and TaskGroup
// (distributed/scheduler.py) with the same names and meanings; sets that are subsets of the edges are flags on the edges.
// Plain data: only State (state.h) changes it, so that the counts stay true.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/containers.h"
#include "core/base/ids.h"
#include "core/base/key.h"
#include "core/base/value.h"

namespace dask::scheduler {

enum class TaskState : std::uint8_t { kReleased, kWaiting, kNoWorker, kQueued, kProcessing, kMemory, kErred, kForgotten };
inline constexpr std::size_t kTaskStates = 8;
// Dask's names: released, waiting, no-worker, queued, processing, memory, erred, forgotten.
std::string_view name_of(TaskState state);

// Lower runs first: (-user priority, generation, order within the graph).
struct Priority {
  double user = 0;
  double generation = 0;
  double order = 0;
  friend auto operator<=>(const Priority&, const Priority&) = default;
};

// One end of a dependency. `mate` is the index of the other end in the other task's list, so that both are found in O(1).
// `flag`: on a dependency "this task waits for it" (waiting_on), on a dependent "it waits to run, too" (waiters).
struct Edge {
  std::uint32_t task = 0;
  std::uint32_t mate : 31 = 0;
  std::uint32_t flag : 1 = 0;
};

// A place in a worker's or client's list of tasks, and where this task stands in that list.
struct Holder {
  WorkerId worker;
  std::uint32_t position = 0;
};
struct Want {
  ClientId client;
  std::uint32_t position = 0;
};

// What went wrong, shared by all tasks that it fails. A failure of user code brings `exception` and `traceback` as payloads
// (opaque, or a pickle's bytes); one of the scheduler's own names `error_class` ("builtins.MemoryError") and its arguments,
// and the shell pickles it.
struct Failure {
  Value exception;
  Value traceback;
  std::string error_class;
  Value::Array error_arguments;
  std::string exception_text;
  std::string traceback_text;
};
using FailurePtr = std::shared_ptr<const Failure>;

// Annotations of one or many tasks: the dict as it travels, and the fields that scheduling reads.
struct Annotations {
  Value wire;  // map
  double user_priority = 0;
  int retries = 0;
  std::vector<std::string> workers;  // addresses, names or host names, as the user gave them
  bool allow_other_workers = false;
  std::vector<std::pair<std::string, double>> resources;
  bool restricts() const { return !workers.empty() || !resources.empty(); }
};
using AnnotationsPtr = std::shared_ptr<const Annotations>;

// A P2P shuffle as its barrier task describes it (Dask's ShuffleSpec). What needs Python in it stays pickled, for the workers.
struct ShuffleSpec {
  std::string id;
  Bytes pickle;
  std::int64_t n = 0;                               // output partitions of the whole shuffle
  std::vector<std::int64_t> partitions;             // of a dataframe: those that are wanted
  std::optional<std::vector<std::int64_t>> chunks;  // of an array: how many per dimension; all are wanted
  std::string unsupported;                          // not empty: why its kind cannot be served
};
using ShuffleSpecPtr = std::shared_ptr<const ShuffleSpec>;

// What a worker runs. Data that came from outside has none and cannot be computed again.
enum class SpecKind : std::uint8_t { kNone, kPython, kNative };

// What few tasks have.
struct TaskExtra {
  FailurePtr failure;                                   // of a task that erred itself
  FailurePtr spec_failure;                              // why its run spec will never come
  TaskId exception_blame;                               // the task whose failure this is
  std::vector<std::string> erred_on;                    // worker addresses
  Value metadata;                                       // map
  ShuffleSpecPtr shuffle;                               // of a P2P barrier
  std::optional<std::vector<std::string>> own_workers;  // restrictions before a shuffle bound the task to a worker
  std::uint64_t no_worker_ticket = 0;
};

struct Task {
  Key key;
  Priority priority;
  SmallVector<Edge, 1> dependencies;
  SmallVector<Edge, 1> dependents;
  SmallVector<Want, 1> who_wants;
  SmallVector<Holder, 1> who_has;
  std::shared_ptr<const void> run_spec;  // kPython: the pickled task, an Opaque, null until the graph helper delivered it;
                                         // kNative: the rows of its graph, which only scheduler/graph can read
  AnnotationsPtr annotations;
  std::unique_ptr<TaskExtra> extra;
  std::int64_t nbytes = -1;  // negative: unknown
  std::int64_t run_id = -1;
  std::uint32_t slot = 0;                     // where it lies in State
  std::uint32_t generation = 0;               // of the slot
  std::uint32_t waiting_on = 0;               // dependency edges with flag
  std::uint32_t waiters = 0;                  // dependent edges with flag
  std::uint32_t recommendation = UINT32_MAX;  // position on the machine's stack
  std::uint32_t processing_position = 0;
  std::uint32_t queue_ticket = 0;          // makes stale entries of the queue recognisable
  std::uint32_t native_row = 0;            // kNative: its row in run_spec
  std::uint32_t typename_id = UINT32_MAX;  // into State::typenames
  WorkerId processing_on;
  GroupId group;
  PrefixId prefix;
  std::int32_t retries = 0;
  std::uint16_t suspicious = 0;
  TaskState state = TaskState::kReleased;
  SpecKind spec = SpecKind::kNone;
  bool has_priority = false;
  bool has_lost_dependencies = false;
  bool actor = false;
  bool data_producer = false;
  bool long_running = false;
  bool p2p_barrier = false;
  bool queueable = true;         // false: outputs of a shuffle, which move to their worker after a first short run
  bool compute_pending = false;  // placed on a worker, but the run spec has not arrived
  bool alive = false;            // the slot is in use

  // kPython, delivered: the pickled task.
  OpaquePtr python_spec() const { return std::static_pointer_cast<const Opaque>(run_spec); }
};

// What tasks of a prefix or group have in common.
struct TaskCollection {
  std::string name;
  std::array<std::int64_t, kTaskStates> states{};
  std::int64_t size = 0;
  std::int64_t nbytes_total = 0;
  std::int64_t duration_us = 0;
  std::map<std::string, std::int64_t> all_durations_us;  // by action
  std::map<std::uint32_t, std::int64_t> types;           // typename id -> count
};

struct TaskPrefix : TaskCollection {
  double duration_average = -1;  // seconds; negative: unknown
  double max_exec_time = -1;     // seconds
  std::int64_t suspicious = 0;
  std::array<std::int64_t, kTaskStates> state_counts{};  // how often a task entered the state
};

struct TaskGroup : TaskCollection {
  std::string key;  // what key_split_group says: the name as text
  PrefixId prefix;
  std::set<GroupId> dependencies;
  double start = 0;
  double stop = 0;
  WorkerId last_worker;
  std::int64_t last_worker_tasks_left = 0;
  std::int64_t references = 0;  // from tasks and from groups that depend on it; the slot is freed at zero
  bool indexed = true;          // false once all its tasks are forgotten
};

}  // namespace dask::scheduler
