// WorkQueue: keys that need work. A key is worked on by one at a time; what is added meanwhile runs once more afterwards; what fails comes
// back later and later. The semantics are those of client-go's workqueue (dirty and processing sets).
// Pure: times are given, in seconds that never jump. Not thread safe: it belongs to the operator's thread.
//
// Invariants: (1) a key is at most once in the queue; (2) a key that is worked on is not in the queue; (3) an add during work is not lost.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "operator/kube/backoff.h"

namespace dask::kube {

class WorkQueue {
 public:
  // What it has counted and measured, for /metrics.
  struct Observer {
    virtual ~Observer() = default;
    virtual void added() = 0;
    virtual void retried() = 0;
    virtual void waited(double seconds) = 0;
    virtual void worked(double seconds) = 0;
  };
  // A key that fails waits 5 ms, 10 ms, … up to 1000 s, as in client-go.
  explicit WorkQueue(Backoff backoff = {0.005, 1000, 0}, Observer* observer = nullptr) : backoff_(backoff), observer_(observer) {}

  void add(const std::string& key, double now);
  // No later than `delay_s` from now; an earlier time that is set already stays.
  void add_after(const std::string& key, double delay_s, double now);
  // After the key's own back-off, or `at_least_s` when that is longer.
  void add_failed(const std::string& key, double now, double random, double at_least_s = 0);
  // The key's back-off starts over.
  void forget(const std::string& key) { failures_.erase(key); }
  int failures(const std::string& key) const;

  // The next key whose time has come; done() must follow.
  std::optional<std::string> take(double now);
  void done(const std::string& key, double now);

  // When take() will have something that is not ready yet.
  std::optional<double> next_time() const;
  std::size_t depth() const { return ready_.size(); }
  std::size_t processing() const { return processing_.size(); }
  // Seconds that the keys under work have been so, in all, and the longest.
  double unfinished_s(double now) const;
  double longest_s(double now) const;

 private:
  void wake(double now);

  Backoff backoff_;
  Observer* observer_;
  std::deque<std::string> ready_;
  std::unordered_map<std::string, double> dirty_;       // -> when it was added
  std::unordered_map<std::string, double> processing_;  // -> since when
  std::set<std::pair<double, std::string>> later_;
  std::unordered_map<std::string, double> later_times_;
  std::unordered_map<std::string, int> failures_;
};

}  // namespace dask::kube
