#include "scheduler/policy/reduce_replicas.h"

#include <algorithm>
#include <map>
#include <set>

#include "scheduler/policy/memory.h"

namespace dask::scheduler {
namespace {

constexpr std::uint32_t kDesiredReplicas = 1;
constexpr std::uint32_t kWaitersLookedAtMax = 20;  // with as many or more, each counts as a worker of its own

class Reduction {
 public:
  Reduction(const State& state, const std::string& measure) : state_(state) {
    for (const auto& [address, id] : state.workers()) memory_[id] = memory_of(state.worker(id)).measure(measure).value_or(0);
  }

  void reduce(const Task& ts) {
    if (ts.actor || ts.who_has.size() < 2) return;
    std::size_t needed = ts.waiters;
    std::set<WorkerId> busy;  // with a task that needs this one
    std::size_t unassigned = 0;
    for (const Edge& edge : ts.dependents) {
      if (!edge.flag) continue;
      const WorkerId worker = state_.task(edge.task).processing_on;
      if (worker.valid())
        busy.insert(worker);
      else
        ++unassigned;
    }
    if (needed > kDesiredReplicas && needed < kWaitersLookedAtMax) needed = busy.size() + unassigned;
    const std::size_t kept = std::max<std::size_t>(kDesiredReplicas, needed);
    std::vector<WorkerId> holders;
    for (const Holder& holder : ts.who_has) holders.push_back(holder.worker);
    while (holders.size() > kept) {
      const WorkerId worker = dropper(holders, busy);
      if (!worker.valid()) return;
      drops.push_back(Drop{ts.slot, worker});
      memory_[worker] = std::max<std::int64_t>(0, memory_[worker] - state_.nbytes_of(ts));
      std::erase(holders, worker);
    }
  }

  std::vector<Drop> drops;

 private:
  bool running(WorkerId id) const { return state_.worker(id).status == WorkerStatus::kRunning; }

  WorkerId dropper(const std::vector<WorkerId>& holders, const std::set<WorkerId>& busy) const {
    std::vector<WorkerId> candidates;
    bool all_busy_leave = true, any_busy = false;
    for (WorkerId id : holders) {
      if (!busy.contains(id)) {
        candidates.push_back(id);
      } else {
        any_busy = true;
        all_busy_leave = all_busy_leave && !running(id);
      }
    }
    if (candidates.empty()) return {};
    const auto choice = *std::max_element(candidates.begin(), candidates.end(), [&](WorkerId a, WorkerId b) {
      return std::pair(!running(a), memory_.at(a)) < std::pair(!running(b), memory_.at(b));
    });
    // The only copy that stays on a running worker is kept while the others are in use on workers that are leaving: else it
    // would be copied there again, and dropped again.
    if (candidates.size() == 1 && running(choice) && any_busy && all_busy_leave) return {};
    return choice;
  }

  const State& state_;
  std::map<WorkerId, std::int64_t> memory_;
};

}  // namespace

std::vector<Drop> propose_drops(const State& state, const std::vector<TaskId>& replicated, const std::string& measure) {
  if (replicated.empty()) return {};
  Reduction reduction(state, measure);
  for (TaskId id : replicated)
    if (const Task* ts = state.get(id)) reduction.reduce(*ts);
  return std::move(reduction.drops);
}

}  // namespace dask::scheduler
