// Semaphores: leases on a limited resource; Dask's Lock is a semaphore of one lease. A lease that its holder does not refresh
// in time is taken back. Source: distributed/semaphore.py; unlike there, leases are granted in order of arrival, a caller
// whose connection ends is not granted one, and closing a semaphore ends the calls that wait for it.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "scheduler/extensions/deadlines.h"
#include "scheduler/extensions/effects.h"

namespace dask::scheduler {

class Semaphores {
 public:
  struct Pending {
    RequestId request;
    Name lease;
    double since;
  };
  struct Semaphore {
    std::string text;  // the name as Python prints it
    std::int64_t max_leases = 1;
    Deadline lease_timeout;         // seconds without a refresh; none: never
    std::map<Name, double> leases;  // -> last seen
    std::deque<Pending> pending;
    std::uint64_t acquire_total = 0;
    std::uint64_t release_total = 0;
    double average_pending_lease_time = 0;  // seconds
  };

  // What counts as the wait of a call that is answered at once: about what answering takes. Boards tell by more than 0 that
  // a semaphore has been used.
  static constexpr double kAtOnce_s = 1e-6;

  // How often leases are checked: distributed.scheduler.locks.lease-validation-interval.
  explicit Semaphores(double validation_interval_s) : validation_interval_s_(validation_interval_s) {}

  void create(RequestId request, const Key& name, std::int64_t max_leases, Deadline lease_timeout, Effects& effects);
  // Answers true, or false when `deadline` comes first. The same lease may be acquired again: callers retry.
  void acquire(RequestId request, const Key& name, const Key& lease, double now, Deadline deadline, Effects& effects);
  void release(const Key& name, const Key& lease, double now, Effects& effects);
  void refresh(const Key& name, const std::vector<Key>& leases, double now, Effects& effects);
  void close(const Key& name, Effects& effects);
  std::int64_t value(const Key& name) const;

  // The caller has gone.
  void abandon(RequestId request);
  void advance(double now, Effects& effects);
  Deadline next_deadline() const { return earlier(deadlines_.next(), check_at_); }
  // For metrics.
  const std::map<Name, Semaphore>& all() const { return semaphores_; }

 private:
  void grant(Semaphore& semaphore, const Name& lease, double now);
  void grant_pending(Semaphore& semaphore, double now, Effects& effects);
  static void waited(Semaphore& semaphore, double seconds);
  void check_leases(double now, Effects& effects);

  double validation_interval_s_;
  std::map<Name, Semaphore> semaphores_;
  std::map<RequestId, Name> waiting_;
  Deadlines deadlines_;
  Deadline check_at_;
};

}  // namespace dask::scheduler
