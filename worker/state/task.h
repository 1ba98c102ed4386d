// A task as the worker knows it, and the peers that hold data for it. Dask's TaskState (distributed/worker_state_machine.py) with the
// same names and meanings. Plain data: only Machine changes it, everybody else reads it between two calls of Machine::handle.
// Sets are ordered by age (`seq`), so that nothing depends on hash or address order.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/containers.h"
#include "core/base/key.h"
#include "core/base/messages.h"
#include "core/base/value.h"
#include "worker/state/age_set.h"
#include "worker/state/heap_set.h"

namespace dask::worker {

enum class TaskState : std::uint8_t {
  kReleased,
  kWaiting,
  kFetch,
  kFlight,
  kMissing,
  kReady,
  kConstrained,
  kExecuting,
  kLongRunning,
  kMemory,
  kError,
  kRescheduled,  // only ever recommended, never a task's state
  kCancelled,
  kResumed,
  kForgotten,
};
inline constexpr std::size_t kTaskStates = 15;
// Dask's names: released, waiting, fetch, flight, missing, ready, constrained, executing, long-running, memory, error, rescheduled,
// cancelled, resumed, forgotten.
std::string_view name_of(TaskState state);

// Dask's RUN_ID_SENTINEL: the task was never asked to be computed here.
inline constexpr std::int64_t kNoRunId = -1;

// A tuple of numbers, compared as Python compares tuples; lower runs first. From the scheduler (-user priority, generation, order within
// the graph); the machine appends its own generation, which falls with every compute-task: the last to come is the first among equals.
class Priority {
 public:
  Priority() = default;
  Priority(std::initializer_list<double> numbers) {
    for (double number : numbers) append(number);
  }
  // Not-a-number, which has no order, counts as 0.
  void append(double number) { numbers_.push_back(number == number ? number : 0); }
  bool empty() const { return numbers_.empty(); }
  const SmallVector<double, 4>& numbers() const { return numbers_; }
  friend bool operator==(const Priority& a, const Priority& b) { return a.numbers_ == b.numbers_; }
  friend bool operator<(const Priority& a, const Priority& b) { return a.numbers_ < b.numbers_; }

 private:
  SmallVector<double, 4> numbers_;
};

// What to run: nothing (a key that is only fetched), a Python task, or a native function.
struct PythonRunSpec {
  Value run_spec;  // opaque; only the executor opens it
};
struct NativeRunSpec {
  std::string function;                // registered name
  Bytes args;                          // opaque to all but the function's library
  std::uint64_t handle = 0;            // the scheduler's name for the task; goes back in NativeTaskFinishedMsg and NativeTaskErredMsg
  std::vector<Key> inputs;             // its dependencies in the graph's order: arguments name them by number
  std::uint32_t inline_bytes_max = 0;  // a result of up to so many bytes goes along with NativeTaskFinishedMsg
};
using RunSpec = std::variant<std::monostate, PythonRunSpec, NativeRunSpec>;

// Why a task or a transfer failed, as Dask's error_message gives it. Native failures have only texts.
struct Failure {
  Value exception;  // opaque, or bytes of a pickle
  Value traceback;
  std::string exception_text;
  std::string traceback_text;
};
using FailurePtr = std::shared_ptr<const Failure>;

struct Task;
struct Peer;
struct StoredValue;

struct ByAge {
  template <class T>
  bool operator()(const T* a, const T* b) const {
    return a->seq < b->seq;
  }
};
using TaskSet = AgeSet<Task>;
using PeerSet = AgeSet<Peer>;

// Another worker that holds, or held, something we need.
struct Peer {
  std::uint64_t seq = 0;
  std::string address;
  bool same_host = false;
  TaskSet has_what;                     // what we believe it holds
  HeapSet<Task, Priority> data_needed;  // those of has_what in state fetch
  bool in_flight = false;               // a GatherDep is under way: no other until it returns
  std::vector<Key> in_flight_keys;      // what that one asked for
  std::int64_t in_flight_nbytes = 0;
  bool busy = false;  // said so; left alone until RetryBusyWorker
};

struct Task {
  std::uint64_t seq = 0;
  Key key;
  TaskState state = TaskState::kReleased;
  TaskState previous = TaskState::kReleased;  // executing, long-running or flight in states cancelled and resumed; else released
  TaskState next = TaskState::kReleased;      // fetch or waiting in state resumed; else released
  std::int64_t run_id = kNoRunId;
  RunSpec run_spec;
  Priority priority;
  Value annotations;    // map or nil
  std::string span_id;  // empty: none
  std::vector<std::pair<std::string, double>> resource_restrictions;

  TaskSet dependencies;
  TaskSet dependents;
  TaskSet waiting_for_data;  // dependencies that are not in memory
  TaskSet waiters;           // dependents that are not in memory

  PeerSet who_has;
  Peer* coming_from = nullptr;  // the peer that a transfer under way gets it from

  bool native_counted = false;  // among the native tasks that are executing ...
  double native_expected = 0;   // ... with so many seconds
  bool actor = false;           // its result is an actor
  bool done = false;            // the execution or transfer that serves it has just ended
  bool holds_data = false;      // the shell's store (or executor) has a value under this key: DropData comes before it is forgotten
  std::int64_t nbytes = -1;     // -1: unknown
  Value type;                   // pickle of the type, as task-finished sends it
  std::string typename_;
  Value metadata;
  Value thread;
  std::vector<StartStop> startstops;
  FailurePtr failure;

  // Machine's own, within one event: the value that a transfer has brought, and where it stands in the stack of recommendations.
  const StoredValue* arrived = nullptr;
  std::uint32_t recommendation = std::numeric_limits<std::uint32_t>::max();

  std::int64_t get_nbytes(std::int64_t default_data_size) const { return nbytes >= 0 ? nbytes : default_data_size; }
  bool is_native() const { return std::holds_alternative<NativeRunSpec>(run_spec); }
  // executing, long-running, or cancelled or resumed from one of these: a thread works on it.
  bool is_running() const {
    const TaskState s = previous == TaskState::kReleased ? state : previous;
    return s == TaskState::kExecuting || s == TaskState::kLongRunning;
  }
};

// The state as Dask shows it: flight, cancelled(executing), resumed(flight->waiting).
std::string state_text(const Task& ts);

}  // namespace dask::worker
