#include "worker/store/disk_threads.h"

#include <utility>

namespace dask::worker {

DiskThreads::~DiskThreads() {
  *alive_ = false;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    jobs_.clear();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void DiskThreads::run(std::function<void()> work, std::function<void()> done) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({std::move(work), std::move(done)});
  }
  while (threads_.size() < kThreads) threads_.emplace_back([this] { serve(); });
  wake_.notify_one();
}

void DiskThreads::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job.work();
    job.work = nullptr;
    loop_.post([alive = alive_, done = std::move(job.done)] {
      if (*alive) done();
    });
    lock.lock();
  }
}

}  // namespace dask::worker
