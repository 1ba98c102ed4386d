// dask-zero-worker: plays any number of workers in one process, each with connections of its own, all finished with every task at
// once. Works with Dask's scheduler and with ours; benchmarks/README.md says what for.

#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <vector>

#include "benchmarks/zero_worker.h"
#include "core/runtime/command_line.h"

namespace {

using namespace dask;

// Registers all workers, then lives as long as one of them is connected.
class Crowd {
 public:
  Crowd(net::Loop& loop, net::RpcPool& rpc, benchmarks::ZeroWorkerOptions options, int workers)
      : loop_(loop), rpc_(rpc), options_(std::move(options)), workers_(workers) {}

  // Asks the scheduler for its versions first: workers that say the same mismatch nobody.
  void start() {
    rpc_.call(options_.scheduler, Value(Value::Map{{"op", "versions"}}), [this](Result<Value> versions) {
      if (!versions) return give_up(versions.error().message);
      options_.versions = versions->is_map() ? *std::move(versions) : Value(Value::Map{{"host", Value::map()}, {"packages", Value::map()}});
      for (int i = 0; i < workers_; ++i) {
        auto options = options_;
        options.name = fmt::format("{}{}", options_.name, i);
        crowd_.push_back(std::make_unique<benchmarks::ZeroWorker>(loop_, rpc_, totals_, std::move(options)));
        crowd_.back()->start([this](Result<void> done) { registered(std::move(done)); }, [this](const std::string& why) { left(why); });
      }
    });
  }
  void close() {
    for (auto& worker : crowd_) worker->close();
  }
  int status() const { return status_; }
  void report() const {
    fmt::print("zero workers: {} tasks, {} native tasks, {} transfers in {} messages\n", totals_.tasks, totals_.native_tasks,
               totals_.transfers, totals_.messages);
  }

 private:
  void registered(Result<void> done) {
    if (!done) return give_up(done.error().message);
    if (++registered_ < workers_) return;
    fmt::print("{} zero workers registered at {}\n", workers_, options_.scheduler);
    std::fflush(stdout);
  }
  void left(const std::string& why) {
    if (++left_ < workers_) return;
    fmt::print(stderr, "dask-zero-worker: no worker is connected any more: {}\n", why);
    loop_.stop();
  }
  void give_up(const std::string& why) {
    if (status_ == 0) fmt::print(stderr, "dask-zero-worker: cannot register at {}: {}\n", options_.scheduler, why);
    status_ = 1;
    loop_.stop();
  }

  net::Loop& loop_;
  net::RpcPool& rpc_;
  benchmarks::ZeroWorkerOptions options_;
  int workers_;
  int registered_ = 0;
  int left_ = 0;
  int status_ = 0;
  benchmarks::Totals totals_;
  std::vector<std::unique_ptr<benchmarks::ZeroWorker>> crowd_;
};

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Workers that finish every task at once, to measure a scheduler with.", "dask-zero-worker"};
  benchmarks::ZeroWorkerOptions options;
  options.name = "zero-";
  int workers = 1;
  app.add_option("scheduler", options.scheduler, "Address of the scheduler, as in tcp://127.0.0.1:8786")->required();
  app.add_option("--workers", workers, "How many workers to play")->check(CLI::Range(1, 20000))->capture_default_str();
  app.add_option("--nthreads", options.nthreads, "Threads that each worker says it has")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option("--name", options.name, "What the workers' names begin with")->capture_default_str();
  app.add_flag("--native", options.native, "Take native tasks in batches");
  if (auto end = read_command_line(app, argc, argv)) return *end;
  auto address = net::parse_address(options.scheduler);
  if (!address) {
    fmt::print(stderr, "dask-zero-worker: {}\n", address.error().message);
    return 1;
  }
  options.scheduler = address->str();

  net::Loop loop;
  net::RpcPool rpc(loop);
  Crowd crowd(loop, rpc, std::move(options), workers);
  loop.on_signals([&](int) {
    crowd.close();
    loop.stop();
  });
  loop.post([&] { crowd.start(); });
  loop.run();
  crowd.report();
  return crowd.status();
}
