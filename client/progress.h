// How far a computation has come: schedulers count, ProgressBars that are alive look. Costs nothing when there is no bar.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace dask::client {

// One computation that bars may watch, for as long as it lives.
class Progress {
 public:
  explicit Progress(std::size_t total);
  ~Progress();  // draws the last state
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // True when somebody watches; else nobody need count.
  bool watched() const { return !watchers_.empty(); }
  void finished_one() { done_.fetch_add(1, std::memory_order_relaxed); }
  void set_done(std::size_t done) { done_.store(done, std::memory_order_relaxed); }
  std::size_t done() const { return done_.load(std::memory_order_relaxed); }
  std::size_t total() const { return total_; }

  // Draws a computation until it is destroyed. Made by a bar when a computation begins.
  class Watcher {
   public:
    virtual ~Watcher() = default;
  };

 private:
  std::size_t total_;
  std::atomic<std::size_t> done_{0};
  std::vector<std::unique_ptr<Watcher>> watchers_;
};

}  // namespace dask::client
