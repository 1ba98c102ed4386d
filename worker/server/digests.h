// Digests: Dask's fine performance metrics, summed between two heartbeats. Keys are tuples: ("execute", span_id, prefix, label, unit) of
// tasks, others as they are. Source: distributed/worker.py (get_metrics), distributed/spans.py (SpansWorkerExtension).
// Thread ownership: the loop's thread.
#pragma once

#include <string>
#include <unordered_map>
#include <utility>

#include "core/base/value.h"

namespace dask::worker {

class Digests {
 public:
  void add(Value name, double value);
  // What was added since the last call: without span ids (digests_total_since_heartbeat), and with them (the extension "spans").
  std::pair<Value, Value> take();

 private:
  std::unordered_map<std::string, std::pair<Value, double>> sums_;  // by the name's msgpack
};

}  // namespace dask::worker
