#include "scheduler/policy/closing.h"

#include <algorithm>
#include <map>

namespace dask::scheduler {
namespace {

struct Group {
  std::vector<WorkerId> workers;
  std::int64_t limit_bytes = 0;
  std::int64_t nbytes = 0;
  bool idle = true;
};

// In the order in which Dask would look at them: idle before busy, those that hold least first, of equals the last one.
std::vector<Group> groups_of(const State& state, const ClosingRequest& request) {
  std::vector<Group> groups;
  std::map<std::string, std::size_t> index;
  for (const auto& [address, id] : state.workers()) {
    const Worker& ws = state.worker(id);
    // Long-running tasks usually wait for tasks that they have submitted: they would start from scratch elsewhere.
    if (ws.long_running > 0 || request.kept.contains(address)) continue;
    const auto [it, added] = index.try_emplace(request.group ? request.group(ws) : address, groups.size());
    if (added) groups.emplace_back();
    Group& group = groups[it->second];
    group.workers.push_back(id);
    group.limit_bytes += ws.memory_limit;
    group.nbytes += ws.nbytes;
    group.idle = group.idle && ws.processing.empty();
  }
  std::reverse(groups.begin(), groups.end());
  std::stable_sort(groups.begin(), groups.end(),
                   [](const Group& a, const Group& b) { return a.idle != b.idle ? a.idle : a.nbytes < b.nbytes; });
  return groups;
}

}  // namespace

std::vector<WorkerId> workers_to_close(const State& state, const ClosingRequest& request) {
  const auto total_workers = static_cast<std::int64_t>(state.workers().size());
  std::optional<std::int64_t> n = request.n;
  if (!n && request.target) n = total_workers - *request.target;
  if (n) n = std::clamp<std::int64_t>(*n, 0, total_workers);
  const std::int64_t target = n ? total_workers - *n : 0;
  std::optional<double> memory_ratio = request.memory_ratio;
  if (!n && !memory_ratio) memory_ratio = 2;

  const bool all_busy = std::all_of(state.workers().begin(), state.workers().end(),
                                    [&](const auto& entry) { return !state.worker(entry.second).processing.empty(); });
  if (n.value_or(0) == 0 && all_busy) return {};
  const std::vector<Group> groups = groups_of(state, request);
  std::int64_t limit = 0, total = 0;
  for (const Group& group : groups) {
    limit += group.limit_bytes;
    total += group.nbytes;
  }

  std::vector<WorkerId> to_close;
  std::int64_t remain = total_workers;
  for (const Group& group : groups) {
    const auto size = static_cast<std::int64_t>(group.workers.size());
    if (!n && !group.idle) break;
    if (request.minimum && remain - size < *request.minimum) break;
    limit -= group.limit_bytes;
    const bool by_number = n && remain - size >= target;
    const bool by_memory = memory_ratio && static_cast<double>(limit) >= *memory_ratio * static_cast<double>(total);
    if (!by_number && !by_memory) break;
    to_close.insert(to_close.end(), group.workers.begin(), group.workers.end());
    remain -= size;
  }
  return to_close;
}

}  // namespace dask::scheduler
