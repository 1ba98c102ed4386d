#include "scheduler/policy/closing.h"

#include <algorithm>

namespace dask::scheduler {

std::vector<WorkerId> workers_to_close(const State& state, const ClosingRequest& request) {
  const auto total_workers = static_cast<std::int64_t>(state.workers().size());
  std::optional<std::int64_t> n = request.n;
  if (!n && request.target) n = total_workers - *request.target;
  if (n) n = std::clamp<std::int64_t>(*n, 0, total_workers);
  const std::int64_t target = n ? total_workers - *n : 0;
  std::optional<double> memory_ratio = request.memory_ratio;
  if (!n && !memory_ratio) memory_ratio = 2;

  std::vector<const Worker*> candidates;
  bool all_busy = true;
  for (const auto& [address, id] : state.workers()) {
    const Worker& ws = state.worker(id);
    all_busy = all_busy && !ws.processing.empty();
    if (ws.long_running == 0) candidates.push_back(&ws);
  }
  if (n.value_or(0) == 0 && all_busy) return {};
  std::int64_t limit = 0, total = 0;
  for (const Worker* ws : candidates) {
    limit += ws->memory_limit;
    total += ws->nbytes;
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const Worker* a, const Worker* b) {
    const bool a_idle = a->processing.empty(), b_idle = b->processing.empty();
    return a_idle != b_idle ? a_idle : a->nbytes < b->nbytes;
  });

  std::vector<WorkerId> to_close;
  std::int64_t remain = total_workers;
  for (const Worker* ws : candidates) {
    if (!n && !ws->processing.empty()) break;
    if (request.minimum && remain - 1 < *request.minimum) break;
    limit -= ws->memory_limit;
    const bool by_number = n && remain - 1 >= target;
    const bool by_memory = memory_ratio && static_cast<double>(limit) >= *memory_ratio * static_cast<double>(total);
    if (!by_number && !by_memory) break;
    to_close.push_back(ws->id);
    --remain;
  }
  return to_close;
}

}  // namespace dask::scheduler
