// "threads": every thread runs what its last task made ready, depth first, so that values are used while they are in its cache; what it has
// over lies in its lane, from whose other end idle threads steal. Tasks that wait for nothing are dealt out in the graph's order.
// The calling thread is one of the pool's; tasks may compute graphs themselves, each with threads of its own.
#include <algorithm>
#include <condition_variable>
#include <deque>
#include <thread>

#include "client/graph_run.h"
#include "client/local_schedulers.h"

namespace dask::client {
namespace {

constexpr std::uint32_t kNone = UINT32_MAX;

class ThreadsRun {
 public:
  ThreadsRun(GraphRun& run, unsigned threads) : run_(run), lanes_(threads) {}

  void start() {
    if (run_.tasks() == 0) return;
    std::vector<std::thread> others;
    for (unsigned i = 1; i < lanes_.size(); ++i) others.emplace_back([this, i] { work(i); });
    work(0);
    for (std::thread& thread : others) thread.join();
  }

 private:
  struct alignas(64) Lane {
    std::mutex mutex;
    std::deque<std::uint32_t> tasks;
  };

  void work(unsigned own) {
    std::vector<native::NativeValue> scratch;
    std::uint32_t task = kNone;
    while (task != kNone || (task = next(own)) != kNone) {
      if (!run_.call(task, scratch)) return end();
      std::uint32_t following = kNone;
      const bool last = run_.finish_stored(task, [&](std::uint32_t user) {
        if (following != kNone) push(own, following);
        following = user;
      });
      if (last) return end();
      if (run_.failed()) return;
      task = following;
    }
  }

  void push(unsigned own, std::uint32_t task) {
    {
      const std::lock_guard lock(lanes_[own].mutex);
      lanes_[own].tasks.push_back(task);
    }
    if (sleeping_.load() > 0) wake();
  }

  // The next task of this thread; waits for one; kNone when all is done.
  std::uint32_t next(unsigned own) {
    for (;;) {
      const std::uint64_t seen = pushes_.load();
      if (const std::uint32_t task = take(own); task != kNone) return task;
      sleeping_.fetch_add(1);
      // Whoever pushes after this sees a sleeper; whatever was pushed before is found now.
      if (const std::uint32_t task = take(own); task != kNone) {
        sleeping_.fetch_sub(1);
        return task;
      }
      std::unique_lock lock(sleep_mutex_);
      awake_.wait(lock, [&] { return ended_ || pushes_.load() != seen; });
      sleeping_.fetch_sub(1);
      if (ended_) return kNone;
    }
  }

  std::uint32_t take(unsigned own) {
    if (const std::uint32_t task = take_from(lanes_[own], true); task != kNone) return task;
    if (next_ready_.load(std::memory_order_relaxed) < run_.ready().size()) {
      const std::size_t at = next_ready_.fetch_add(1, std::memory_order_relaxed);
      if (at < run_.ready().size()) return run_.ready()[at];
    }
    for (std::size_t i = 1; i < lanes_.size(); ++i)
      if (const std::uint32_t task = take_from(lanes_[(own + i) % lanes_.size()], false); task != kNone) return task;
    return kNone;
  }
  static std::uint32_t take_from(Lane& lane, bool newest) {
    const std::lock_guard lock(lane.mutex);
    if (lane.tasks.empty()) return kNone;
    const std::uint32_t task = newest ? lane.tasks.back() : lane.tasks.front();
    if (newest)
      lane.tasks.pop_back();
    else
      lane.tasks.pop_front();
    return task;
  }

  void wake() {
    {
      const std::lock_guard lock(sleep_mutex_);
      pushes_.fetch_add(1);
    }
    awake_.notify_one();
  }
  void end() {
    {
      const std::lock_guard lock(sleep_mutex_);
      ended_ = true;
    }
    awake_.notify_all();
  }

  GraphRun& run_;
  std::vector<Lane> lanes_;
  std::atomic<std::size_t> next_ready_{0};
  std::mutex sleep_mutex_;
  std::condition_variable awake_;
  std::atomic<std::uint64_t> pushes_{0};
  std::atomic<int> sleeping_{0};
  bool ended_ = false;
};

}  // namespace

std::vector<native::NativeValue> run_threads(const FlatGraph& graph, Progress& progress, unsigned threads) {
  GraphRun run(graph, progress);
  // More threads than tasks would only be started and ended.
  ThreadsRun(run, static_cast<unsigned>(std::clamp<std::size_t>(run.tasks(), 1, std::max(threads, 1u)))).start();
  return run.take();
}

}  // namespace dask::client
