// dask-native-latency: how long one task takes from submit to result for a C++ client, one task at a time. Workers need the function
// plus_one: dask-worker --preload libdask_benchmark_functions.so. Prints one JSON line.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "benchmarks/functions/latency.h"
#include "core/runtime/command_line.h"
#include "dask/client.h"

namespace {

using SteadyClock = std::chrono::steady_clock;

// The value below which the given share of the sorted numbers lies.
double quantile(const std::vector<double>& sorted, double share) {
  return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

int measure(const std::string& scheduler, int warm_up, int tasks) {
  dask::Client client(scheduler);
  client.wait_for_workers(1, 60);
  std::vector<double> microseconds;
  microseconds.reserve(static_cast<std::size_t>(tasks));
  for (int i = -warm_up; i < tasks; ++i) {
    const auto began = SteadyClock::now();
    const auto future = client.submit<dask::benchmarks::plus_one>(i);
    const int result = future.result();
    const double took = std::chrono::duration<double, std::micro>(SteadyClock::now() - began).count();
    if (result != i + 1) {
      fmt::print(stderr, "dask-native-latency: {} + 1 is not {}\n", i, result);
      return 1;
    }
    if (i >= 0) microseconds.push_back(took);
  }
  std::sort(microseconds.begin(), microseconds.end());
  fmt::print("{{\"tasks\": {}, \"p50_us\": {:.1f}, \"p90_us\": {:.1f}, \"p99_us\": {:.1f}, \"max_us\": {:.1f}}}\n", tasks,
             quantile(microseconds, 0.5), quantile(microseconds, 0.9), quantile(microseconds, 0.99), microseconds.back());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Measures submit -> result of single native tasks on a running cluster, in microseconds.", "dask-native-latency"};
  std::string scheduler;
  int tasks = 10'000, warm_up = 500;
  app.add_option("scheduler", scheduler, "Address of the scheduler, as in tcp://127.0.0.1:8786")->required();
  app.add_option("--tasks", tasks, "Tasks to measure")->check(CLI::Range(1, 10'000'000))->capture_default_str();
  app.add_option("--warm-up", warm_up, "Tasks before the first one that is measured")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  if (auto end = dask::read_command_line(app, argc, argv)) return *end;
  try {
    return measure(scheduler, warm_up, tasks);
  } catch (const std::exception& error) {
    fmt::print(stderr, "dask-native-latency: {}\n", error.what());
    return 1;
  }
}
