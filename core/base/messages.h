// The hot operations of Dask's protocol as structs: what passes per task between scheduler, workers and clients.
// Everything that passes less often stays a Value map. Field names are the wire's own. Source: distributed/scheduler.py,
// distributed/worker_state_machine.py.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/key.h"
#include "core/base/value.h"

namespace dask {

// One activity of a task on a worker, in seconds of the scheduler's clock.
struct StartStop {
  std::string action;  // compute, transfer, disk-read, disk-write, deserialize
  double start = 0;
  double stop = 0;
};

// ---- worker -> scheduler ------------------------------------------------------------------------------------------------

struct TaskFinishedMsg {
  Key key;
  std::int64_t run_id = 0;
  std::int64_t nbytes = -1;
  Value type;  // pickle of the type, forwarded in key-in-memory (bytes, or Serialized)
  std::string typename_;
  Value metadata;  // map; nil when empty
  Value thread;
  std::vector<StartStop> startstops;
  std::string stimulus_id;
};

struct TaskErredMsg {
  Key key;
  std::int64_t run_id = 0;
  Value exception;  // opaque, or bytes of a pickle
  Value traceback;
  std::string exception_text;
  std::string traceback_text;
  Value thread;
  std::vector<StartStop> startstops;
  std::string stimulus_id;
};

struct ReleaseWorkerDataMsg {
  Key key;
  std::string stimulus_id;
  std::vector<Key> keys = {};  // of our workers to our scheduler: several at once, instead of `key`
};

struct AddKeysMsg {
  std::vector<Key> keys;
  std::string stimulus_id;
};

struct LongRunningMsg {
  Key key;
  std::int64_t run_id = 0;
  double compute_duration = -1;  // negative: not given
  std::string stimulus_id;
};

struct RescheduleMsg {
  Key key;
  std::string stimulus_id;
};

// ---- scheduler -> worker ------------------------------------------------------------------------------------------------

struct FreeKeysMsg {
  std::vector<Key> keys;
  std::string stimulus_id;
};

// ---- client -> scheduler ------------------------------------------------------------------------------------------------

struct ClientReleasesKeysMsg {
  std::vector<Key> keys;
  std::string client;  // empty: the connection's client
};

// Any other stream operation: the whole map, `op` included.
struct OtherMsg {
  std::string op;
  Value fields;
};

// One element of a stream batch, as the scheduler and our worker read it.
using StreamMsg = std::variant<TaskFinishedMsg, TaskErredMsg, ReleaseWorkerDataMsg, AddKeysMsg, LongRunningMsg, RescheduleMsg, FreeKeysMsg,
                               ClientReleasesKeysMsg, OtherMsg>;

}  // namespace dask
