// DiskThreads: a few threads for blocking work on files, so that a slow or full disk never stops the loop.
// Thread ownership: run() on the loop's thread; `work` runs on one of ours, `done` on the loop's thread, in the order in which work ends.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "core/net/loop.h"

namespace dask::worker {

class DiskThreads {
 public:
  static constexpr int kThreads = 2;  // a disk is no faster with more, and the tasks want the processors

  explicit DiskThreads(net::Loop& loop) : loop_(loop) {}
  // Waits for the work that has begun; what has not is dropped, and no `done` is called any more.
  ~DiskThreads();
  DiskThreads(const DiskThreads&) = delete;
  DiskThreads& operator=(const DiskThreads&) = delete;

  // Callers bound how much they ask for; threads start with the first call.
  void run(std::function<void()> work, std::function<void()> done);

 private:
  struct Job {
    std::function<void()> work;
    std::function<void()> done;
  };
  void serve();

  net::Loop& loop_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // read and written on the loop's thread
};

}  // namespace dask::worker
