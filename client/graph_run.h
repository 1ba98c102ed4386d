// GraphRun: the state of one local computation that its threads share: results, what each task waits for, who still needs a result.
// A task is run by one thread at a time; its result is written before the counters of its users fall, which order the two.
#pragma once

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "client/flat_graph.h"
#include "client/progress.h"
#include "core/native/value.h"

namespace dask::client {

class GraphRun {
 public:
  GraphRun(const FlatGraph& graph, Progress& progress);

  const FlatGraph& graph() const { return graph_; }
  const Node& node(std::uint32_t task) const { return *graph_.nodes[task]; }
  // Nodes that wait for nothing, in the graph's order. Leaves that are no tasks are finished already.
  const std::vector<std::uint32_t>& ready() const { return ready_; }
  std::size_t tasks() const { return tasks_; }

  // The inputs of a task, in the order of its dependencies.
  void inputs_of(std::uint32_t task, std::vector<native::NativeValue>& into) const;
  // Calls the task's function here; its failure ends the run.
  bool call(std::uint32_t task, std::vector<native::NativeValue>& scratch);
  // Stores a result and calls `ready(user)` for each task that waits for nothing else now. Gives true when it was the last task.
  template <class Ready>
  bool finish(std::uint32_t task, native::NativeValue value, Ready&& ready) {
    results_[task] = std::move(value);
    return finish_stored(task, ready);
  }
  template <class Ready>
  bool finish_stored(std::uint32_t task, Ready&& ready) {
    if (progress_.watched()) progress_.finished_one();
    for (const std::uint32_t input : graph_.dependencies_of(task))
      if (uses_[input].fetch_sub(1, std::memory_order_acq_rel) == 1) results_[input] = {};
    for (const std::uint32_t user : dependents_.of(task))
      if (waiting_[user].fetch_sub(1, std::memory_order_acq_rel) == 1) ready(user);
    return left_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

  // The first failure counts; the run stops.
  void fail(std::exception_ptr failure);
  bool failed() const { return failed_.load(std::memory_order_acquire); }
  // The wanted values, or the failure is thrown.
  std::vector<native::NativeValue> take();

 private:
  const FlatGraph& graph_;
  Progress& progress_;
  Dependents dependents_;
  std::vector<native::NativeValue> results_;
  std::unique_ptr<std::atomic<std::uint32_t>[]> waiting_;  // inputs that are not there yet
  std::unique_ptr<std::atomic<std::uint32_t>[]> uses_;     // users that have not finished; wanted results have one more
  std::vector<std::uint32_t> ready_;
  std::size_t tasks_ = 0;
  std::atomic<std::size_t> left_{0};
  std::atomic<bool> failed_{false};
  std::mutex failure_mutex_;
  std::exception_ptr failure_;
};

}  // namespace dask::client
