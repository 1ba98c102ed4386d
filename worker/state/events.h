// What happens to a worker: Dask's StateMachineEvent classes without the suffix Event, same fields. Time and stimulus id come beside them.
// Sources: the scheduler's stream (marked S, with the operation's name), our own shell when an instruction has been carried out (I), or the
// shell by itself (-). The machine holds no data: where an event says that a value has come into being, the shell has already stored it
// under the key, and DropData says when to drop it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/key.h"
#include "core/base/messages.h"
#include "core/base/value.h"
#include "worker/state/task.h"

namespace dask::worker {

// A value that the shell has stored: all that the machine knows of it.
struct StoredValue {
  Key key;
  std::int64_t nbytes = -1;  // -1: unknown; for a fetched one, what the scheduler said before stays
  Value type;                // pickle of the type (bytes), for task-finished
  std::string typename_;
};

// A dependency and who holds it.
struct Dependency {
  Key key;
  std::int64_t nbytes = -1;
  std::vector<std::string> who_has;  // addresses; our own is ignored
};
struct WhoHas {
  Key key;
  std::vector<std::string> workers;
};

// - The worker stops starting tasks and transfers (memory, or the scheduler's worker-status-change); what runs goes on.
struct Pause {};
// - It goes on.
struct Unpause {};
// I RetryBusyWorkerLater: the time is over.
struct RetryBusyWorker {
  std::string worker;
};

// I GatherDep ended well. `data` may have fewer keys than were asked for: the peer does not have the others.
// A value that could not be unpacked or stored is in `failed` instead.
struct GatherDepSuccess {
  std::string worker;
  std::vector<StoredValue> data;
  std::vector<std::pair<Key, FailurePtr>> failed;
  double start = 0;  // seconds of the scheduler's clock; stop 0: not measured
  double stop = 0;
};
// I GatherDep: the peer has too many transfers already (its answer's status is "busy").
struct GatherDepBusy {
  std::string worker;
};
// I GatherDep: the connection failed. The peer is taken for dead: everything that we believe to be there is looked for elsewhere.
struct GatherDepNetworkFailure {
  std::string worker;
};
// I GatherDep failed for another reason: all its keys err.
struct GatherDepFailure {
  std::string worker;
  FailurePtr failure;
};

// S remove-worker: a peer has left.
struct RemoveWorker {
  std::string worker;
};

// S compute-task. Native tasks arrive in batches (compute-tasks-native): one event each, or ComputeTasks for all at once.
struct ComputeTask {
  Key key;
  std::int64_t run_id = 0;
  std::vector<Dependency> dependencies;  // who_has and nbytes of the message
  Priority priority;
  RunSpec run_spec;
  std::vector<std::pair<std::string, double>> resource_restrictions;
  bool actor = false;
  Value annotations;    // map or nil
  std::string span_id;  // empty: none
};
// Several at once: the same as one after the other, but transfers are chosen once, at the end, over all of them.
struct ComputeTasks {
  std::vector<ComputeTask> tasks;
};

// I Execute: the function returned and its result is stored (an actor: kept) under the key.
struct ExecuteSuccess {
  Key key;
  std::int64_t run_id = 0;  // as in Execute
  double start = 0;         // of the user's function alone, in seconds of the scheduler's clock (ours plus scheduler_delay)
  double stop = 0;
  std::int64_t nbytes = 0;
  Value type;
  std::string typename_;
  Value thread;                       // nil: not said
  Value metadata;                     // map; nil: none
  std::vector<StartStop> startstops;  // others than compute: disk-read, deserialize, disk-write
};
// Several at once: the same as one after the other.
struct ExecuteSuccesses {
  std::vector<ExecuteSuccess> executed;
};
// I Execute: the function raised, could not be unpacked, or an input was not in the store. Nothing is stored.
struct ExecuteFailure {
  Key key;
  std::int64_t run_id = 0;
  double start = 0;
  double stop = 0;  // both 0: it did not run
  FailurePtr failure;
  Value thread;
  std::vector<StartStop> startstops;
};
// I Execute: the function raised distributed.Reschedule, or its executor died and the scheduler shall decide anew.
struct Reschedule {
  Key key;
};

// S cancel-compute: best effort, only when it has not started.
struct CancelCompute {
  Key key;
};
// - Time to ask for data that nobody is known to hold (once a second, as Dask's find-missing periodic callback).
struct FindMissing {};
// S refresh-who-has: the answer to RequestRefreshWhoHasMsg.
struct RefreshWhoHas {
  std::vector<WhoHas> who_has;
};
// S acquire-replicas: fetch these, though no task here needs them.
struct AcquireReplicas {
  std::vector<Dependency> replicas;
};
// S remove-replicas: drop these when they are in memory.
struct RemoveReplicas {
  std::vector<Key> keys;
};
// S free-keys: nobody needs these any more, whatever state they are in.
struct FreeKeys {
  std::vector<Key> keys;
};
// S steal-request: give the task up unless it has started; StealResponseMsg says in which state it was.
struct StealRequest {
  Key key;
};
// RPC update_data (scatter), and data that a task stored by itself: the shell has stored these. Refused ones come back as RefuseData.
struct UpdateData {
  std::vector<StoredValue> data;
};
// - The task left the thread pool (distributed.secede, worker_client): its slot is free.
struct Secede {
  Key key;
  double compute_duration = 0;
};

// ---- Ours, without a model in Dask ----

// - The values under these keys are gone from the store (the executor that held them died). No DropData follows. Tasks that wait for them
// look for other holders; the scheduler is told (release-worker-data) and computes what nobody holds.
struct DataLost {
  std::vector<Key> keys;
};
// - The store found another size (a value was unpacked, grew or was replaced).
struct DataResized {
  Key key;
  std::int64_t nbytes = 0;
};
// RPC set_resources: totals from now on.
struct SetResources {
  std::vector<std::pair<std::string, double>> resources;
};
// - The number of threads changes.
struct SetNthreads {
  std::uint32_t nthreads = 1;
};

using Event = std::variant<Pause, Unpause, RetryBusyWorker, GatherDepSuccess, GatherDepBusy, GatherDepNetworkFailure, GatherDepFailure,
                           RemoveWorker, ComputeTask, ComputeTasks, ExecuteSuccess, ExecuteSuccesses, ExecuteFailure, Reschedule,
                           CancelCompute, FindMissing, RefreshWhoHas, AcquireReplicas, RemoveReplicas, FreeKeys, StealRequest, UpdateData,
                           Secede, DataLost, DataResized, SetResources, SetNthreads>;

}  // namespace dask::worker
