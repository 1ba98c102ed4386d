// "processes": the calling program keeps the graph and all values; each child runs one task at a time. A thread per child sends a ready
// task and waits for its answer. A crash of a task ends its child and the computation, not the program.
#include <csignal>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <thread>

#include "client/child_pipe.h"
#include "client/graph_run.h"
#include "client/internal_programs.h"
#include "client/local_schedulers.h"
#include "client/process_protocol.h"
#include "dask/errors.h"

namespace dask::client {
namespace {

struct Child {
  ChildProcess process;
  ChildPipe pipe;
};

std::unique_ptr<Child> start_child() {
  auto sockets = socket_pair();
  if (!sockets) throw std::runtime_error("scheduler \"processes\": " + sockets.error().message);
  ProcessOptions options;
  options.argv = {own_program(), std::string(kProcessWorkerFlag), std::to_string(sockets->second.get())};
  options.inherit = {sockets->second.get()};
  auto process = ChildProcess::start(options);
  if (!process) throw std::runtime_error("scheduler \"processes\": " + process.error().message);
  return std::make_unique<Child>(Child{*std::move(process), ChildPipe(std::move(sockets->first))});
}

class ProcessesRun {
 public:
  explicit ProcessesRun(GraphRun& run) : run_(run), ready_(run.ready().begin(), run.ready().end()) {}

  void start(unsigned processes) {
    if (run_.tasks() == 0) return;
    // Started by the calling thread, which outlives them: the kernel ends a child with the thread that made it.
    std::vector<std::unique_ptr<Child>> children;
    for (unsigned i = 0; i < processes; ++i) children.push_back(start_child());
    std::vector<std::thread> threads;
    for (auto& child : children) threads.emplace_back([this, &child] { serve(*child); });
    for (std::thread& thread : threads) thread.join();
  }

 private:
  void serve(Child& child) {
    std::vector<native::NativeValue> inputs;
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ended_ || !ready_.empty(); });
      if (ended_) return;
      const std::uint32_t task = ready_.front();
      ready_.pop_front();
      lock.unlock();
      if (!run(child, task)) return end();
    }
  }

  bool run(Child& child, std::uint32_t task) {
    const Node& node = run_.node(task);
    CallRequest request{node.function->name(), node.args, {}};
    run_.inputs_of(task, request.inputs);
    auto frames = encode_request(request);
    if (!frames) return fail(std::make_exception_ptr(TaskError(node.key, "dask::SerializationError", frames.error().message)));
    auto sent = child.pipe.send(*frames);
    auto reply = sent ? child.pipe.receive() : Result<wire::Frames>(dask::fail(sent.error()));
    if (!reply)
      return fail(std::make_exception_ptr(
          KilledWorker(node.key, "dask::KilledWorker", node.key + " was running in a process that ended: " + child.process.wait().str())));
    auto answer = decode_answer(*reply);
    if (!answer) return fail(std::make_exception_ptr(std::runtime_error("scheduler \"processes\": " + answer.error().message)));
    if (!*answer) {
      const native::CallFailure& failure = answer->error();
      return fail(std::make_exception_ptr(TaskError(node.key, failure.type.empty() ? "dask::TypeError" : failure.type, failure.message)));
    }
    std::vector<std::uint32_t> ready;
    const bool last = run_.finish(task, **std::move(answer), [&](std::uint32_t user) { ready.push_back(user); });
    if (last || run_.failed()) return false;
    if (!ready.empty()) {
      // What has become ready goes first: depth first lets values go early.
      const std::lock_guard lock(mutex_);
      ready_.insert(ready_.begin(), ready.rbegin(), ready.rend());
      changed_.notify_all();
    }
    return true;
  }

  bool fail(std::exception_ptr failure) {
    run_.fail(std::move(failure));
    return false;
  }
  void end() {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    changed_.notify_all();
  }

  GraphRun& run_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::uint32_t> ready_;
  bool ended_ = false;
};

}  // namespace

std::vector<native::NativeValue> run_processes(const FlatGraph& graph, Progress& progress, unsigned processes) {
  require_initialised("the scheduler \"processes\"");
  GraphRun run(graph, progress);
  ProcessesRun(run).start(static_cast<unsigned>(std::clamp<std::size_t>(run.tasks(), 1, std::max(processes, 1u))));
  return run.take();
}

}  // namespace dask::client
