// dask-local-schedulers: what a task costs on the C++ API's local schedulers: building the graph, then computing it with empty functions.
// Prints one JSON line per shape and scheduler with microseconds per task, of the clock and of the processors (on a busy machine the latter
// are the ones to look at; those of child processes are not in them).
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "dask/dask.h"

namespace {

using Clock = std::chrono::steady_clock;

int leaf(int x) { return x; }
int add(int x, int y) { return x + y; }

double microseconds(Clock::time_point began, std::size_t tasks) {
  return std::chrono::duration<double, std::micro>(Clock::now() - began).count() / static_cast<double>(tasks);
}

dask::Delayed<int> tree(int leaves) {
  std::vector<dask::Delayed<int>> level;
  for (int i = 0; i < leaves; ++i) level.push_back(dask::delayed<leaf>(i));
  while (level.size() > 1) {
    std::vector<dask::Delayed<int>> next;
    for (std::size_t i = 0; i + 1 < level.size(); i += 2) next.push_back(dask::delayed<add>(level[i], level[i + 1]));
    level = std::move(next);
  }
  return level.front();
}

dask::Delayed<int> chain(int length) {
  auto last = dask::delayed<leaf>(0);
  for (int i = 1; i < length; ++i) last = dask::delayed<leaf>(last);
  return last;
}

void measure(const char* shape, dask::Delayed<int> (*build)(int), int size, std::size_t tasks, const char* scheduler, int workers) {
  const std::clock_t cpu_began = std::clock();
  const auto began = Clock::now();
  const auto lazy = build(size);
  const double build_us = microseconds(began, tasks);
  const auto started = Clock::now();
  lazy.compute({.scheduler = scheduler, .num_workers = workers});
  const double compute_us = microseconds(started, tasks);
  const double cpu_us = 1e6 * static_cast<double>(std::clock() - cpu_began) / CLOCKS_PER_SEC / static_cast<double>(tasks);
  std::printf(
      "{\"shape\": \"%s\", \"scheduler\": \"%s\", \"workers\": %d, \"tasks\": %zu, \"build_us\": %.3f, \"compute_us\": %.3f, \"cpu_us\": "
      "%.3f}\n",
      shape, scheduler, workers, tasks, build_us, compute_us, cpu_us);
}

}  // namespace

int main(int argc, char** argv) {
  dask::init(argc, argv);
  constexpr int kLeaves = 1 << 18;
  constexpr std::size_t kTasks = 2 * kLeaves - 1;
  for (int repeat = 0; repeat < 3; ++repeat) {
    measure("tree", tree, kLeaves, kTasks, "sync", 1);
    for (const int workers : {1, 2}) measure("tree", tree, kLeaves, kTasks, "threads", workers);
    measure("chain", chain, kTasks, kTasks, "threads", 2);
  }
  measure("tree", tree, 1 << 12, (2 << 12) - 1, "processes", 2);
}
