// The event loop: one thread, its sockets, timers and posted work. Boost.Asio stays inside core/net's .cc files.
// Whatever was made on a loop (timers, comms, servers, pipes) is destroyed before it.
// Thread ownership: everything is called on the loop's thread, except post() and stop(), which any thread may call. The loop's thread is
// the one that runs it: threads may take turns, when each hands the loop to the next one through a lock.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

namespace dask::net {

class Loop {
 public:
  using Duration = std::chrono::nanoseconds;

  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // Runs until stop().
  void run();
  // Runs until `done` says so, which it is asked after every turn, the first of which only does what is queued for its end. True: stop()
  // came first.
  bool run_until(const std::function<bool()>& done);
  void stop();
  // Runs `work` on the loop's thread, after what is queued already. Any thread.
  void post(std::function<void()> work);
  // Runs `work` once at the end of the current turn of the loop, before the next wait: where output is flushed.
  void at_end_of_turn(std::function<void()> work);
  // SIGINT/SIGTERM arrive as `handler(signal)` on the loop's thread.
  void on_signals(std::function<void(int)> handler);

  // A timer that calls `work` once, or every `period`. Destroying the handle cancels it.
  class Timer {
   public:
    Timer();
    ~Timer();
    Timer(Timer&&) noexcept;
    Timer& operator=(Timer&&) noexcept;
    void cancel();
    struct Impl;
    std::shared_ptr<Impl> impl;
  };
  [[nodiscard]] Timer after(Duration delay, std::function<void()> work);
  [[nodiscard]] Timer every(Duration period, std::function<void()> work);

  struct Impl;
  Impl& impl() { return *impl_; }  // for core/net only

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace dask::net
