// LocalCluster: starts this program again as scheduler and workers. Each child says over a socket that it is there, or why not.
#include "dask/local_cluster.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "client/child_pipe.h"
#include "client/internal_programs.h"
#include "core/runtime/process.h"
#include "core/wire/message.h"
#include "dask/client.h"
#include "dask/errors.h"

namespace dask {
namespace {

constexpr double kLookSeconds = 0.2;  // between looks at children that start
constexpr double kPoliteSeconds = 5;  // between asking a child to end and killing it

using SteadyClock = std::chrono::steady_clock;

// The kernel ends a child with the thread that started it: this thread lives as long as the cluster.
class StartingThread {
 public:
  StartingThread() : thread_([this] { run(); }) {}
  ~StartingThread() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }
  // Runs `work` there and waits; what it throws is thrown here.
  void call(std::function<void()> work) {
    std::unique_lock lock(mutex_);
    work_ = std::move(work);
    failure_ = nullptr;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !work_; });
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ended_ || work_; });
      if (ended_) return;
      try {
        work_();
      } catch (...) {
        failure_ = std::current_exception();
      }
      work_ = nullptr;
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> work_;
  std::exception_ptr failure_;
  bool ended_ = false;
  std::thread thread_;
};

struct Child {
  std::string what;
  ChildProcess process;
  FileDescriptor socket;
};

Child start_child(const std::string& what, std::string_view flag, std::vector<std::string> arguments) {
  auto sockets = socket_pair();
  if (!sockets) throw std::runtime_error("LocalCluster: " + sockets.error().message);
  ProcessOptions options;
  options.argv = {client::own_program(), std::string(flag), std::to_string(sockets->second.get())};
  for (std::string& argument : arguments) options.argv.push_back(std::move(argument));
  options.inherit = {sockets->second.get()};
  auto process = ChildProcess::start(options);
  if (!process) throw std::runtime_error("LocalCluster: " + process.error().message);
  return Child{what, *std::move(process), std::move(sockets->first)};
}

// The child's one message: {"address", …} or {"error"}.
Value wait_for_report(Child& child, SteadyClock::time_point deadline) {
  for (;;) {
    pollfd poll_for{child.socket.get(), POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
    const int ready = poll(&poll_for, 1, static_cast<int>(std::max<long>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) throw TimeoutError("LocalCluster: " + child.what + " has not started in time");
    break;
  }
  client::ChildPipe pipe(std::move(child.socket));
  auto frames = pipe.receive();
  if (!frames) {
    child.process.kill(SIGKILL);
    throw std::runtime_error("LocalCluster: " + child.what + " ended while it started: " + child.process.wait().str());
  }
  auto report = wire::decode_message(*frames);
  const std::string error(report ? (*report)["error"].as_string() : std::string_view("it said what cannot be read"));
  if (!error.empty()) throw std::runtime_error("LocalCluster: " + child.what + ": " + error);
  return *std::move(report);
}

}  // namespace

struct LocalCluster::Impl {
  std::string address;
  std::string dashboard_link;
  int n_workers = 0;
  int threads_per_worker = 0;
  std::vector<Child> workers;
  std::vector<Child> scheduler;
  StartingThread thread;

  void start(const LocalClusterOptions& options) {
    const auto deadline =
        SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(options.start_timeout_s));
    const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    n_workers = options.n_workers > 0 ? options.n_workers : 1;
    threads_per_worker = options.threads_per_worker > 0 ? options.threads_per_worker : std::max(1, cores / n_workers);
    scheduler.push_back(
        start_child("the scheduler", client::kSchedulerFlag, {std::to_string(options.scheduler_port), options.dashboard_address}));
    const Value report = wait_for_report(scheduler.front(), deadline);
    address = report["address"].as_string();
    if (const std::int64_t port = report["dashboard_port"].as_int(); port > 0)
      dashboard_link = fmt::format("http://127.0.0.1:{}/status", port);
    for (int i = 0; i < n_workers; ++i)
      workers.push_back(start_child(fmt::format("worker {}", i), client::kWorkerFlag,
                                    {address, std::to_string(threads_per_worker), options.memory_limit, std::to_string(i)}));
    for (Child& worker : workers) wait_for_report(worker, deadline);
    wait_for_workers(deadline);
  }

  // They are there when the scheduler knows them.
  void wait_for_workers(SteadyClock::time_point deadline) {
    const Client client(address, {.set_as_default = false});
    for (;;) {
      try {
        return client.wait_for_workers(n_workers, kLookSeconds);
      } catch (const TimeoutError&) {
        for (Child& worker : workers)
          if (auto status = worker.process.poll())
            throw std::runtime_error("LocalCluster: " + worker.what + " ended while it started: " + status->str());
        if (SteadyClock::now() > deadline) throw TimeoutError("LocalCluster: the workers have not joined the scheduler in time");
      }
    }
  }

  void end(std::vector<Child>& children) {
    for (Child& child : children) child.process.kill(SIGTERM);
    const auto deadline =
        SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(kPoliteSeconds));
    for (Child& child : children) {
      pollfd ended{child.process.pidfd(), POLLIN, 0};
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - SteadyClock::now()).count();
      if (poll(&ended, 1, static_cast<int>(std::max<long>(left, 0))) <= 0) child.process.kill(SIGKILL);
      child.process.wait();
    }
    children.clear();
  }
};

LocalCluster::LocalCluster(const LocalClusterOptions& options) {
  client::require_initialised("LocalCluster");
  if (options.n_workers < 0 || options.threads_per_worker < 0)
    throw std::invalid_argument("LocalCluster: n_workers and threads_per_worker must not be negative");
  impl_ = std::make_unique<Impl>();
  impl_->thread.call([&] { impl_->start(options); });
}
LocalCluster::~LocalCluster() { close(); }
LocalCluster::LocalCluster(LocalCluster&&) noexcept = default;
LocalCluster& LocalCluster::operator=(LocalCluster&& other) noexcept {
  if (this == &other) return *this;
  close();
  impl_ = std::move(other.impl_);
  return *this;
}

void LocalCluster::close() {
  if (!impl_) return;
  impl_->end(impl_->workers);
  impl_->end(impl_->scheduler);
  impl_.reset();
}

namespace {
template <class Impl>
const Impl& require(const std::unique_ptr<Impl>& impl) {
  if (!impl) throw std::logic_error("the cluster is closed");
  return *impl;
}
}  // namespace

const std::string& LocalCluster::scheduler_address() const { return require(impl_).address; }
const std::string& LocalCluster::dashboard_link() const { return require(impl_).dashboard_link; }
int LocalCluster::workers() const { return require(impl_).n_workers; }
std::string LocalCluster::repr() const {
  if (!impl_) return "LocalCluster(closed)";
  return fmt::format("LocalCluster('{}', workers={}, threads={})", impl_->address, impl_->n_workers,
                     impl_->n_workers * impl_->threads_per_worker);
}

}  // namespace dask
