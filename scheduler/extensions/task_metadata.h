// TaskMetadata: collects what workers' plugins noted about tasks (TaskState.metadata) while a client asks for it.
// Source: distributed/scheduler.py, CollectTaskMetaDataPlugin.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scheduler/extensions/effects.h"

namespace dask::scheduler {

class TaskMetadata {
 public:
  // A task that ended: its state ("memory", "erred") and metadata.
  struct Ended {
    std::string_view state;
    Value metadata;
  };

  bool active() const { return !collectors_.empty(); }
  void start(const std::string& name) { collectors_[name]; }
  // A client submitted a graph and wants these keys.
  void submitted(const std::vector<Key>& keys);
  void ended(const Key& key, const Ended& task);
  // {"metadata": {key: …}, "state": {key: …}}; none when no such collection was started. `look_up` tells about tasks that
  // ended without a worker: erred with their dependency.
  std::optional<Value> stop(const std::string& name, const std::function<std::optional<Ended>(const Key&)>& look_up);

 private:
  struct Collector {
    std::map<Name, Key> keys;  // that have not ended
    Value::Map metadata;
    Value::Map state;
  };
  static void note(Collector& collector, const Key& key, const Ended& task);

  std::map<std::string, Collector> collectors_;
};

}  // namespace dask::scheduler
