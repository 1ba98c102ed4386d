#include "client/loop_turns.h"

#include <utility>

namespace dask::client {

void LoopTurns::serve() {
  std::unique_lock lock(mutex_);
  while (!stopped_) {
    if (runner_ == Runner::kCaller) {
      asleep_ = true;
      left_.wait(lock, [this] { return !asleep_ || stopped_; });
      linger(lock);
      continue;
    }
    runner_ = Runner::kOwnThread;
    step_aside_ = false;
    lock.unlock();
    taken_();
    const bool stopped = loop_.run_until([this] {
      tell_waiters();
      return step_aside_;
    });
    lock.lock();
    stopped_ = stopped_ || stopped;
    asked_ = false;
    leave();
    linger(lock);
  }
}

// Returns when no caller has come for kLinger, or when one has run the loop for that long.
void LoopTurns::linger(std::unique_lock<std::mutex>& lock) {
  std::uint64_t seen = 0;
  do {
    seen = turns_taken_;
    left_.wait_for(lock, kLinger, [this] { return stopped_; });
  } while (turns_taken_ != seen && !stopped_);
}

void LoopTurns::run(std::function<void()> work) {
  std::unique_lock lock(mutex_);
  if (runner_ != Runner::kNobody || stopped_) {
    lock.unlock();
    return loop_.post(std::move(work));
  }
  runner_ = Runner::kCaller;
  lock.unlock();
  work();
  const bool stopped = loop_.run_until([] { return true; });
  lock.lock();
  stopped_ = stopped_ || stopped;
  leave();
}

bool LoopTurns::wait(const std::function<bool()>& done, double timeout_s) {
  Deadline deadline;
  if (timeout_s >= 0)
    deadline =
        std::chrono::steady_clock::now() + std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(timeout_s));
  std::unique_lock lock(mutex_);
  while (true) {
    const std::uint64_t seen = generation_;
    lock.unlock();
    if (done()) return true;
    if (deadline && std::chrono::steady_clock::now() >= *deadline) return false;
    lock.lock();
    if (stopped_) return false;
    if (runner_ == Runner::kNobody) {
      run_here(lock, done, deadline);
      continue;
    }
    if (runner_ == Runner::kOwnThread && !std::exchange(asked_, true)) loop_.post([this] { step_aside_ = true; });
    ++waiting_;
    const auto look_again = [&] { return generation_ != seen || runner_ == Runner::kNobody || stopped_; };
    if (deadline)
      changed_.wait_until(lock, *deadline, look_again);
    else
      changed_.wait(lock, look_again);
    --waiting_;
  }
}

void LoopTurns::run_here(std::unique_lock<std::mutex>& lock, const std::function<bool()>& done, const Deadline& deadline) {
  runner_ = Runner::kCaller;
  lock.unlock();
  taken_();
  bool over = false;
  net::Loop::Timer timer;
  if (deadline) timer = loop_.after(*deadline - std::chrono::steady_clock::now(), [&over] { over = true; });
  const bool stopped = loop_.run_until([&] {
    tell_waiters();
    return over || done();
  });
  timer.cancel();
  lock.lock();
  stopped_ = stopped_ || stopped;
  ++turns_taken_;
  leave();
}

void LoopTurns::leave() {
  runner_ = Runner::kNobody;
  if (waiting_ > 0 || stopped_) changed_.notify_all();
  if (std::exchange(asleep_, false) || stopped_) left_.notify_all();
}

void LoopTurns::tell_waiters() {
  ++generation_;  // before the question: who begins to wait now sees one or the other
  if (waiting_ == 0) return;
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void LoopTurns::changed() {
  const std::lock_guard lock(mutex_);
  ++generation_;
  if (waiting_ > 0) changed_.notify_all();
  if (runner_ == Runner::kCaller) loop_.post([] {});  // it asks after a turn
}

bool LoopTurns::idle() const {
  const std::lock_guard lock(mutex_);
  return runner_ == Runner::kNobody && !stopped_;
}

}  // namespace dask::client
