#include "scheduler/policy/stealing.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "scheduler/policy/placement.h"

namespace dask::scheduler {
namespace {

constexpr int kLevels = 15;
constexpr double kLatency_s = 0.1;       // of fetching anything at all
constexpr std::size_t kVictimsMax = 10;  // busiest workers looked at when none is saturated
constexpr double kVictimOccupancyMin_s = 0.2;

// Prefixes that are never worth moving (distributed/stealing.py: fast_tasks).
bool is_fast(const std::string& prefix) {
  return prefix == "split-shuffle" || prefix == "split-taskshuffle" || prefix == "split-stage" || prefix == "rechunk-split" ||
         prefix == "shuffle-split" || prefix == "shuffle-transfer" || prefix == "shuffle-p2p" || prefix == "rechunk-transfer";
}

// The level of a task: 0 without dependencies, else by transfer over compute time; nullopt when it should stay.
std::optional<int> level_of(const State& state, const Task& ts) {
  const TaskPrefix& tp = state.prefix(ts.prefix);
  if (is_fast(tp.name) || ts.actor || ts.long_running) return std::nullopt;
  if (ts.dependencies.empty()) return 0;
  const double compute = state.prefix_duration(tp);
  if (compute <= 0) return std::nullopt;
  std::int64_t nbytes = 0;
  for (const Edge& edge : ts.dependencies) nbytes += state.nbytes_of(state.task(edge.task));
  const double transfer = static_cast<double>(nbytes) / state.bandwidth() + kLatency_s;
  const int level = static_cast<int>(std::lround(std::log2(transfer / compute) + 6));
  if (level >= kLevels) return std::nullopt;
  return std::max(level, 1);
}

class Round {
 public:
  Round(const State& state, StealsInFlight in_flight) : state_(state), in_flight_(std::move(in_flight)) {
    for (const auto& [address, id] : state.workers()) occupancy_[id] = state.occupancy(state.worker(id));
  }

  double occupancy(WorkerId id) { return occupancy_[id] + in_flight_.occupancy_s[id]; }
  std::int64_t tasks(WorkerId id) { return static_cast<std::int64_t>(state_.worker(id).processing.size()) + in_flight_.tasks[id]; }

  bool unoccupied(WorkerId id) {
    const Worker& ws = state_.worker(id);
    const double average = state_.total_occupancy() / static_cast<double>(std::max<std::int64_t>(state_.total_nthreads(), 1));
    return tasks(id) < ws.nthreads || occupancy(id) < static_cast<double>(ws.nthreads) * average / 2;
  }

  std::vector<WorkerId> victims(const std::set<WorkerId>& thieves) {
    std::vector<WorkerId> found(state_.saturated().begin(), state_.saturated().end());
    const auto busier = [&](WorkerId a, WorkerId b) {
      const double oa = occupancy(a), ob = occupancy(b);
      return oa != ob ? oa > ob : a < b;
    };
    if (found.empty()) {
      for (const auto& [address, id] : state_.workers())
        if (!thieves.contains(id) && occupancy(id) > kVictimOccupancyMin_s && tasks(id) > state_.worker(id).nthreads) found.push_back(id);
    }
    std::sort(found.begin(), found.end(), busier);
    if (state_.saturated().empty() && found.size() > kVictimsMax) found.resize(kVictimsMax);
    return found;
  }

  WorkerId thief_for(const Task& ts, const std::set<WorkerId>& thieves) {
    const auto valid = valid_workers(state_, ts);
    WorkerId best;
    double best_cost = 0;
    const auto consider = [&](WorkerId id) {
      const double cost = occupancy(id) / static_cast<double>(state_.worker(id).nthreads) + comm_cost(state_, ts, state_.worker(id));
      if (!best.valid() || cost < best_cost) {
        best = id;
        best_cost = cost;
      }
    };
    for (WorkerId id : thieves)
      if (!valid || std::binary_search(valid->begin(), valid->end(), id)) consider(id);
    if (!best.valid() && valid && ts.annotations && ts.annotations->allow_other_workers && !needs_native_worker(state_, ts))
      for (WorkerId id : thieves) consider(id);
    return best;
  }

  std::optional<Steal> weigh(const Task& ts, WorkerId victim, WorkerId thief) {
    const double compute = state_.prefix_duration(state_.prefix(ts.prefix));
    const double thief_cost = comm_cost(state_, ts, state_.worker(thief)) + compute;
    const double victim_cost = comm_cost(state_, ts, state_.worker(victim)) + compute;
    if (occupancy(thief) + thief_cost > occupancy(victim) - victim_cost / 2) return std::nullopt;
    in_flight_.occupancy_s[victim] -= victim_cost;
    in_flight_.occupancy_s[thief] += thief_cost;
    --in_flight_.tasks[victim];
    ++in_flight_.tasks[thief];
    return Steal{State::id_of(ts), victim, thief, victim_cost, thief_cost};
  }

 private:
  const State& state_;
  StealsInFlight in_flight_;
  std::map<WorkerId, double> occupancy_;
};

}  // namespace

std::vector<Steal> propose_steals(const State& state, StealsInFlight in_flight, const std::function<bool(TaskId)>& movable) {
  std::set<WorkerId> thieves(state.idle().begin(), state.idle().end());
  if (thieves.empty() || thieves.size() == state.workers().size()) return {};
  Round round(state, std::move(in_flight));
  const std::vector<WorkerId> victims = round.victims(thieves);

  // Stealable tasks by level, then victim, latest placed first: those start last.
  std::vector<std::vector<std::pair<WorkerId, const Task*>>> levels(kLevels);
  for (WorkerId victim : victims) {
    const auto& processing = state.worker(victim).processing;
    const std::size_t n = std::min(processing.size(), kStealScanMax);
    for (std::size_t i = 0; i < n; ++i) {
      const Task& ts = state.task(processing[processing.size() - 1 - i]);
      if (!movable(State::id_of(ts))) continue;
      if (const auto level = level_of(state, ts)) levels[static_cast<std::size_t>(*level)].emplace_back(victim, &ts);
    }
  }
  std::vector<Steal> steals;
  for (const auto& level : levels) {
    for (const auto& [victim, ts] : level) {
      if (thieves.empty()) return steals;
      const WorkerId thief = round.thief_for(*ts, thieves);
      if (!thief.valid()) continue;
      const auto steal = round.weigh(*ts, victim, thief);
      if (!steal) continue;
      steals.push_back(*steal);
      if (!round.unoccupied(thief)) thieves.erase(thief);
    }
  }
  return steals;
}

}  // namespace dask::scheduler
