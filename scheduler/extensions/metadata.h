// Metadata: the tree of values that Client.set_metadata and get_metadata share. What stands under the name of a task ends with the
// task. Source: distributed/scheduler.py, set_metadata, get_metadata, task_metadata.
#pragma once

#include <string>
#include <unordered_set>

#include "core/base/result.h"
#include "scheduler/extensions/effects.h"

namespace dask::scheduler {

class Metadata {
 public:
  bool empty() const { return names_.empty(); }
  // Sets root[path[0]][path[1]]…; what is missing on the way is made, and what is no dict there replaced. An empty path changes nothing.
  void set(const Value::Array& path, Value value);
  // The value at a path; kNotFound when a name is missing (the message is the name's repr), kInvalidArgument below a value that is no dict.
  Result<const Value*> get(const Value::Array& path) const;
  void forget(const Key& task);

 private:
  Value root_ = Value::map();
  std::unordered_set<Name> names_;  // of the entries at the top that can be a key
};

}  // namespace dask::scheduler
