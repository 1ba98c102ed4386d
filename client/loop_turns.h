// LoopTurns: which thread runs the client's loop. A thread of its own does while nobody waits; a caller that waits runs the loop itself, so
// that what it waits for wakes the caller and nobody else, and what it sends leaves on its own thread. Two wake-ups less for each result.
// Thread ownership: any thread. What the loop owns is touched by the thread whose turn it is, never by two.
//
// Invariants: (1) at most one thread runs the loop, and the lock is between two that do; (2) a loop that nobody runs is taken by its own
// thread after kLinger at the latest, or by a caller that waits; (3) the lock is never held while the loop or anything of a caller's runs.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>

#include "core/net/loop.h"

namespace dask::client {

class LoopTurns {
 public:
  // `taken` is called by whoever begins to run the loop to stay, its own thread or a caller that waits, on the loop.
  LoopTurns(net::Loop& loop, std::function<void()> taken) : loop_(loop), taken_(std::move(taken)) {}

  // The loop's own thread; returns when the loop has been stopped.
  void serve();
  // Does `work` on the loop: at once and here when nobody runs it, else as soon as its runner comes to it.
  void run(std::function<void()> work);
  // Waits until `done`, which is asked again after every turn of the loop and every changed(). False: the time (< 0: no limit) is over, or
  // the loop has been stopped. Not for the loop's handlers.
  bool wait(const std::function<bool()>& done, double timeout_s);
  // Something that others wait for has changed, and not by a turn of the loop.
  void changed();
  // Nobody runs the loop: what is left to do can be left to `taken`.
  bool idle() const;

 private:
  // How long the loop is left to a caller that will soon wait again; so long may what arrives meanwhile lie.
  static constexpr auto kLinger = std::chrono::milliseconds(2);
  enum class Runner { kNobody, kOwnThread, kCaller };
  using Deadline = std::optional<std::chrono::steady_clock::time_point>;

  // Runs the loop until `done` or the deadline, as a caller. With the lock; without it meanwhile.
  void run_here(std::unique_lock<std::mutex>& lock, const std::function<bool()>& done, const Deadline& deadline);
  void linger(std::unique_lock<std::mutex>& lock);
  void leave();  // with the lock
  void tell_waiters();

  net::Loop& loop_;
  const std::function<void()> taken_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;  // for callers that wait
  std::condition_variable left_;     // for the loop's own thread
  Runner runner_ = Runner::kNobody;
  bool stopped_ = false;
  bool asked_ = false;                        // the loop's own thread has been asked to let a caller run the loop
  bool asleep_ = false;                       // the loop's own thread sleeps until a caller leaves the loop
  std::uint64_t turns_taken_ = 0;             // by callers that waited
  std::atomic<std::uint64_t> generation_{0};  // of what callers wait for
  std::atomic<int> waiting_{0};               // callers that do not run the loop
  bool step_aside_ = false;                   // the loop's own thread only, by work of the loop
};

}  // namespace dask::client
