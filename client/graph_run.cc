#include "client/graph_run.h"

#include "client/local_schedulers.h"
#include "dask/errors.h"

namespace dask::client {

GraphRun::GraphRun(const FlatGraph& graph, Progress& progress)
    : graph_(graph),
      progress_(progress),
      dependents_(graph),
      results_(graph.size()),
      waiting_(std::make_unique<std::atomic<std::uint32_t>[]>(graph.size())),
      uses_(std::make_unique<std::atomic<std::uint32_t>[]>(graph.size())) {
  for (const std::uint32_t wanted : graph.wanted) uses_[wanted].fetch_add(1, std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    uses_[i].fetch_add(static_cast<std::uint32_t>(dependents_.of(i).size()), std::memory_order_relaxed);
    if (!graph.nodes[i]->function) {
      results_[i] = leaf_value(*graph.nodes[i]);
      if (progress_.watched()) progress_.finished_one();
      continue;
    }
    ++tasks_;
    std::uint32_t waits = 0;
    for (const std::uint32_t input : graph.dependencies_of(i)) waits += graph.nodes[input]->function != nullptr;
    waiting_[i].store(waits, std::memory_order_relaxed);
    if (waits == 0) ready_.push_back(i);
  }
  left_.store(tasks_, std::memory_order_relaxed);
}

void GraphRun::inputs_of(std::uint32_t task, std::vector<native::NativeValue>& into) const {
  into.clear();
  for (const std::uint32_t input : graph_.dependencies_of(task)) into.push_back(results_[input]);
}

bool GraphRun::call(std::uint32_t task, std::vector<native::NativeValue>& scratch) {
  inputs_of(task, scratch);
  const Node& node = *graph_.nodes[task];
  native::CallResult result = node.function->call(node.args, scratch);
  scratch.clear();
  if (result) {
    results_[task] = *std::move(result);
    return true;
  }
  const native::CallFailure& failure = result.error();
  fail(failure.exception
           ? failure.exception
           : std::make_exception_ptr(TaskError(node.key, failure.type.empty() ? "dask::TypeError" : failure.type, failure.message)));
  return false;
}

void GraphRun::fail(std::exception_ptr failure) {
  const std::lock_guard lock(failure_mutex_);
  if (!failure_) failure_ = std::move(failure);
  failed_.store(true, std::memory_order_release);
}

std::vector<native::NativeValue> GraphRun::take() {
  if (failure_) std::rethrow_exception(failure_);
  std::vector<native::NativeValue> values;
  values.reserve(graph_.wanted.size());
  for (const std::uint32_t wanted : graph_.wanted) values.push_back(results_[wanted]);
  return values;
}

}  // namespace dask::client
