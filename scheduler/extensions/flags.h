// Flags: Dask's Event, a flag that is set or clear and that callers wait for. (Server's Events are its log of topics.)
// A flag that is clear and that nobody waits for is not stored. Source: distributed/event.py.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "scheduler/extensions/deadlines.h"
#include "scheduler/extensions/effects.h"

namespace dask::scheduler {

class Flags {
 public:
  // Answers true once the flag is set, or false when `deadline` comes first.
  void wait(RequestId request, const Key& name, double now, Deadline deadline, Effects& effects);
  void set(const Key& name, Effects& effects);
  void clear(const Key& name) { set_.erase(name_of(name)); }
  bool is_set(const Key& name) const { return set_.contains(name_of(name)); }

  // The caller has gone.
  void abandon(RequestId request);
  void advance(double now, Effects& effects);
  Deadline next_deadline() const { return deadlines_.next(); }
  bool empty() const { return set_.empty() && waiters_.empty(); }

 private:
  std::set<Name> set_;
  std::map<Name, std::vector<RequestId>> waiters_;
  std::map<RequestId, Name> waiting_;
  Deadlines deadlines_;
};

}  // namespace dask::scheduler
