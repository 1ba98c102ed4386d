// One queue and one list of results under one lock, which a thread takes once per task, for a few pointer moves: it leaves a result and
// takes the next task. The loop appends a turn's tasks at once. It is woken for the first result and finds those that came while it was
// on its way.
#include "worker/execute/native_pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "core/base/containers.h"
#include "core/native/dask_node.h"

namespace dask::worker {
namespace {

using Tasks = std::vector<NativeTask>;

std::atomic<std::size_t> left_running{0};

}  // namespace

std::size_t native_functions_left_running() { return left_running; }

struct NativePool::Impl : std::enable_shared_from_this<NativePool::Impl> {
  Impl(net::Loop& l, const Clock& c, Done d) : loop(l), clock(c), done(std::move(d)) {}

  // ---- the loop's thread ----
  void flush() {
    flush_planned = false;
    std::size_t sleeping = 0, waking = 0;
    {
      std::lock_guard lock(mutex);
      for (NativeTask& task : pending) queue.push_back(std::move(task));
      sleeping = idle;
      waking = std::min(sleeping, queue.size());
    }
    pending.clear();
    if (waking > 1 && waking == sleeping)
      wake.notify_all();
    else
      for (std::size_t i = 0; i < waking; ++i) wake.notify_one();
  }
  void deliver() {
    std::vector<NativeExecuted> batch;
    {
      std::lock_guard lock(mutex);
      batch.swap(results);
      delivery_planned = false;
    }
    unfinished -= batch.size();
    if (!stopped && !batch.empty()) done(std::move(batch));
  }

  // ---- the pool's threads ----
  // Once stop() has returned, loop and clock may be gone: a thread touches them only while it is not busy, for then stop() waits for it.
  void run(std::size_t number) {
    double now = 0;  // when the last task ended; 0: unknown
    std::unique_lock lock(mutex);
    while (true) {
      if (queue.empty() && !stopping) {
        ++idle;
        wake.wait(lock, [this, number] { return stopping || !queue.empty() || number >= nthreads; });
        --idle;
        now = 0;
      }
      if (stopping || number >= nthreads) break;
      NativeTask task = std::move(queue.front());
      queue.pop_front();
      const FunctionTablePtr table = functions;
      if (now == 0) now = clock.wall();
      busy[number] = true;
      lock.unlock();
      Called executed = call(task, *table);
      task = NativeTask();  // inputs are let go here, not on the loop's thread
      lock.lock();
      busy[number] = false;
      if (stopping) {
        const bool alone = abandoned[number];
        lock.unlock();
        { const Called dropped = std::move(executed); }
        if (alone) --left_running;
        return;
      }
      const double stop = clock.wall();
      if (executed.called) executed.done.start = now, executed.done.stop = stop;
      now = stop;
      results.push_back(std::move(executed.done));
      if (std::exchange(delivery_planned, true)) continue;
      lock.unlock();  // stop() waits for a thread that is not busy
      loop.post([self = shared_from_this()] { self->deliver(); });
      lock.lock();
    }
    ended[number] = true;
    if (!queue.empty()) wake.notify_one();  // a wake-up that it may have taken from another one
  }
  struct Called {
    NativeExecuted done;
    bool called = false;
  };
  static Called call(NativeTask& task, const native::FunctionTable& table) {
    Called called{{std::move(task.key), task.run_id, tl::unexpected(native::CallFailure{}), 0, 0, 0}};
    NativeExecuted& out = called.done;
    auto function = table.require(task.function);
    if (!function) {
      out.result = refuse(std::move(function).error());
      return called;
    }
    SmallVector<native::NativeValue, 4> inputs;
    for (std::size_t i = 0; i < task.inputs.size(); ++i) {
      NativeInput& input = task.inputs[i];
      if (input.value.empty() && input.node) {
        auto opened = native::from_node(*input.node);
        if (!opened) {
          if (i < task.input_keys.size()) opened.error().message = "input " + task.input_keys[i].repr() + ": " + opened.error().message;
          out.result = refuse(std::move(opened).error());
          return called;
        }
        input.value = *std::move(opened);
      }
      inputs.push_back(std::move(input.value));
    }
    out.result = (*function)->call(task.args.view(), std::span<const native::NativeValue>(inputs.data(), inputs.size()));
    called.called = true;
    if (out.result) out.nbytes = out.result->nbytes();
    return called;
  }
  static tl::unexpected<native::CallFailure> refuse(Error error) {
    return tl::unexpected(native::CallFailure{error.code, "", std::move(error.message), nullptr});
  }
  net::Loop& loop;
  const Clock& clock;
  Done done;
  // The loop's thread only.
  Tasks pending;
  bool flush_planned = false;
  bool stopped = false;
  std::size_t unfinished = 0;
  std::vector<std::thread> threads;

  std::mutex mutex;  // of what follows
  std::condition_variable wake;
  std::deque<NativeTask> queue;
  FunctionTablePtr functions;
  std::size_t nthreads = 0;
  std::size_t idle = 0;
  bool stopping = false;
  std::deque<bool> ended;      // by number: the thread is not there any more
  std::deque<bool> busy;       // by number: it runs a function
  std::deque<bool> abandoned;  // by number: it was left running; constant once `stopping` is set
  std::vector<NativeExecuted> results;
  bool delivery_planned = false;
};

NativePool::NativePool(net::Loop& loop, const Clock& clock, std::size_t nthreads, FunctionTablePtr functions, Done done)
    : impl_(std::make_shared<Impl>(loop, clock, std::move(done))) {
  impl_->functions = std::move(functions);
  set_nthreads(nthreads);
}

NativePool::~NativePool() { stop(); }

std::size_t NativePool::stop() {
  if (std::exchange(impl_->stopped, true)) return 0;
  std::size_t running = 0;
  std::deque<NativeTask> dropped;
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    impl_->abandoned = impl_->busy;
    running = static_cast<std::size_t>(std::count(impl_->busy.begin(), impl_->busy.end(), true));
    left_running += running;
    dropped.swap(impl_->queue);
  }
  impl_->wake.notify_all();
  for (std::size_t i = 0; i < impl_->threads.size(); ++i) {
    std::thread& thread = impl_->threads[i];
    if (!thread.joinable()) continue;
    if (impl_->abandoned[i])
      thread.detach();
    else
      thread.join();
  }
  return running;
}

void NativePool::execute(NativeTask task) {
  ++impl_->unfinished;
  impl_->pending.push_back(std::move(task));
  if (std::exchange(impl_->flush_planned, true)) return;
  impl_->loop.at_end_of_turn([impl = impl_] {
    if (!impl->stopped) impl->flush();
  });
}

void NativePool::set_functions(FunctionTablePtr functions) {
  std::lock_guard lock(impl_->mutex);
  impl_->functions = std::move(functions);
}

void NativePool::set_nthreads(std::size_t nthreads) {
  nthreads = std::max<std::size_t>(nthreads, 1);
  std::vector<std::size_t> missing;
  {
    std::lock_guard lock(impl_->mutex);
    impl_->nthreads = nthreads;
    impl_->ended.resize(std::max(impl_->ended.size(), nthreads), true);
    impl_->busy.resize(impl_->ended.size(), false);
    for (std::size_t i = 0; i < nthreads; ++i)
      if (impl_->ended[i]) {
        impl_->ended[i] = false;
        missing.push_back(i);
      }
  }
  impl_->wake.notify_all();
  impl_->threads.resize(std::max(impl_->threads.size(), nthreads));
  for (std::size_t i : missing) {
    if (impl_->threads[i].joinable()) impl_->threads[i].join();
    impl_->threads[i] = std::thread([impl = impl_, i] { impl->run(i); });
  }
}

std::size_t NativePool::nthreads() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->nthreads;
}
std::size_t NativePool::unfinished() const { return impl_->unfinished; }
const FunctionTablePtr& NativePool::functions() const { return impl_->functions; }

}  // namespace dask::worker
