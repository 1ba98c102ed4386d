// MultiLocks: locks that are acquired several at once, all of them or any `num_locks` of them, without deadlock.
// Every lock has a line of users; who is at its front holds it. Source: distributed/multi_lock.py; unlike there, a user that
// has enough locks leaves the lines of the others also when it had to wait.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "scheduler/extensions/deadlines.h"
#include "scheduler/extensions/effects.h"

namespace dask::scheduler {

class MultiLocks {
 public:
  // Answers true, or false when `deadline` comes first; `user` then holds and waits for nothing.
  void acquire(RequestId request, const std::vector<Key>& locks, const Key& user, std::int64_t num_locks, double now, Deadline deadline,
               Effects& effects);
  void release(RequestId request, const Key& user, Effects& effects);

  // The caller has gone.
  void abandon(RequestId request, Effects& effects);
  void advance(double now, Effects& effects);
  Deadline next_deadline() const { return deadlines_.next(); }
  // Nothing is held or waited for.
  bool empty() const { return lines_.empty() && users_.empty(); }

 private:
  struct User {
    std::vector<Name> locks;  // in whose lines it stands
    std::int64_t needed = 0;  // how many more it waits for
    std::optional<RequestId> waiting;
  };
  void leave(const Name& lock, const Name& user, std::vector<Name>& fronts);
  void leave_all(const Name& user, Effects& effects);
  // `user` holds enough: it leaves the lines in which it still waits.
  void keep_held(const Name& user);
  // Those who came to the front of a line.
  void came_to_front(std::vector<Name> fronts, Effects& effects);

  std::map<Name, std::deque<Name>> lines_;
  std::map<Name, User> users_;
  std::map<RequestId, Name> waiting_;
  Deadlines deadlines_;
};

}  // namespace dask::scheduler
