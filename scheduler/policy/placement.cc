#include "scheduler/policy/placement.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace dask::scheduler {
namespace {

// (actors, expected start in seconds, bytes held); ties go to the smaller id, so that the choice does not depend on any order.
using Objective = std::tuple<std::size_t, double, std::int64_t, WorkerId>;

Objective worker_objective(const State& state, const Task& ts, const Worker& ws) {
  const double start = state.occupancy(ws) / static_cast<double>(ws.nthreads) + comm_cost(state, ts, ws);
  return {ts.actor ? ws.actors.size() : 0, start, ws.nbytes, ws.id};
}

WorkerId best_of(const State& state, const Task& ts, const std::vector<WorkerId>& candidates) {
  if (candidates.size() == 1) return candidates.front();
  WorkerId best;
  Objective best_objective;
  for (WorkerId id : candidates) {
    Objective objective = worker_objective(state, ts, state.worker(id));
    if (!best.valid() || objective < best_objective) {
      best = id;
      best_objective = objective;
    }
  }
  return best;
}

std::vector<WorkerId> running_workers(const State& state) { return {state.running().begin(), state.running().end()}; }

// A tcp://host:port, or host:port, that names a worker; else a host name.
const Worker* as_worker(const State& state, const std::string& name) {
  if (const Worker* ws = const_cast<State&>(state).find_worker_by_name(Value(name))) return ws;
  return state.find_worker("tcp://" + name);
}

std::vector<WorkerId> intersect(const std::vector<WorkerId>& a, const std::vector<WorkerId>& b) {
  std::vector<WorkerId> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

WorkerId decide_worker(const State& state, const Task& ts, const std::optional<std::vector<WorkerId>>& valid) {
  std::vector<WorkerId> candidates;
  if (ts.actor) {
    candidates = running_workers(state);
  } else {
    for (const Edge& edge : ts.dependencies)
      for (const Holder& holder : state.task(edge.task).who_has)
        if (state.worker(holder.worker).status == WorkerStatus::kRunning) candidates.push_back(holder.worker);
    std::sort(candidates.begin(), candidates.end());
    candidates.erase(std::unique(candidates.begin(), candidates.end()), candidates.end());
  }
  if (!valid) {
    if (candidates.empty()) candidates = running_workers(state);
  } else {
    candidates = intersect(candidates, *valid);
    if (candidates.empty()) {
      candidates = *valid;
      if (candidates.empty() && ts.annotations && ts.annotations->allow_other_workers && !needs_native_worker(state, ts))
        return decide_worker(state, ts, std::nullopt);
    }
  }
  return candidates.empty() ? WorkerId{} : best_of(state, ts, candidates);
}

}  // namespace

double comm_cost(const State& state, const Task& ts, const Worker& ws) {
  std::int64_t nbytes = 0;
  for (const Edge& edge : ts.dependencies)
    if (const Task& dependency = state.task(edge.task); !state.holds(ws, dependency)) nbytes += state.nbytes_of(dependency);
  return static_cast<double>(nbytes) / state.bandwidth();
}

bool needs_native_worker(const State& state, const Task& ts) {
  return ts.spec == SpecKind::kNative && state.native_workers() < state.workers().size();
}

bool is_rootish(const State& state, const Task& ts) {
  if (needs_native_worker(state, ts)) return false;
  if (ts.annotations && ts.annotations->restricts()) return false;
  if (ts.data_producer) return true;
  const TaskGroup& tg = state.group(ts.group);
  if (tg.size <= state.total_nthreads() * 2) return false;
  if (tg.dependencies.size() >= state.settings().rootish_group_dependencies_max) return false;
  std::int64_t dependencies_size = 0;
  for (GroupId dependency : tg.dependencies) dependencies_size += state.group(dependency).size;
  return dependencies_size < state.settings().rootish_dependencies_size_max;
}

std::optional<std::vector<WorkerId>> valid_workers(const State& state, const Task& ts) {
  const bool native_only = needs_native_worker(state, ts);
  const bool restricted = ts.annotations && ts.annotations->restricts();
  if (!restricted && !native_only) return std::nullopt;
  std::optional<std::set<WorkerId>> allowed;
  if (restricted && !ts.annotations->workers.empty()) {
    allowed.emplace();
    for (const std::string& name : ts.annotations->workers) {
      if (const Worker* ws = as_worker(state, name)) {
        allowed->insert(ws->id);
      } else if (auto host = state.hosts().find(name); host != state.hosts().end()) {
        allowed->insert(host->second.begin(), host->second.end());
      }
    }
  }
  std::vector<WorkerId> valid;
  for (WorkerId id : state.running()) {
    if (allowed && !allowed->contains(id)) continue;
    const Worker& ws = state.worker(id);
    if (native_only && !ws.native) continue;
    const bool supplied =
        !restricted || std::all_of(ts.annotations->resources.begin(), ts.annotations->resources.end(), [&](const auto& need) {
          auto have = ws.resources.find(need.first);
          return have != ws.resources.end() && have->second >= need.second;
        });
    if (supplied) valid.push_back(id);
  }
  return valid;
}

WorkerId decide_worker_rootish_queuing_enabled(const State& state, const Task& ts) {
  WorkerId best;
  double best_load = 0;
  const auto consider = [&](const std::vector<WorkerId>& candidates) {
    for (WorkerId id : candidates) {
      const Worker& ws = state.worker(id);
      const double load = static_cast<double>(ws.processing.size()) / static_cast<double>(ws.nthreads);
      if (!best.valid() || load < best_load) {
        best = id;
        best_load = load;
      }
    }
  };
  consider(state.idle_task_count());
  if (ts.spec == SpecKind::kNative && !(best.valid() && best_load == 0)) consider(state.native_window_open());
  return best;
}

bool waits_for_free_thread(const State& state, const Task& ts, const Worker& ws) {
  return state.running().size() > 1 && state.prefix(ts.prefix).duration_average >= kTailTask_s &&
         static_cast<std::int64_t>(state.queue_size()) <= state.total_nthreads() &&
         static_cast<std::int64_t>(ws.processing.size()) - ws.long_running >= ws.nthreads;
}

CoAssignment decide_worker_rootish_queuing_disabled(const State& state, const Task& ts) {
  const TaskGroup& tg = state.group(ts.group);
  if (tg.last_worker.valid() && tg.last_worker_tasks_left > 0) {
    const Worker& last = state.worker(tg.last_worker);
    if (last.present && last.status == WorkerStatus::kRunning) return {tg.last_worker, tg.last_worker_tasks_left - 1};
  }
  const std::vector<WorkerId> pool = state.idle().empty() ? running_workers(state) : state.idle();
  if (pool.empty()) return {};
  const WorkerId best = best_of(state, ts, pool);
  const double share =
      static_cast<double>(tg.size) / static_cast<double>(state.total_nthreads()) * static_cast<double>(state.worker(best).nthreads);
  return {best, static_cast<std::int64_t>(std::floor(share)) - 1};
}

WorkerId decide_worker_non_rootish(const State& state, const Task& ts) {
  if (state.running().empty()) return {};
  std::optional<std::vector<WorkerId>> valid = valid_workers(state, ts);
  if (!ts.dependencies.empty() || valid || ts.actor) {
    return decide_worker(state, ts, valid);
  }
  const std::vector<WorkerId> pool = state.idle().empty() ? running_workers(state) : state.idle();
  const std::size_t n = pool.size();
  const std::size_t start = state.n_tasks_sent % n;
  if (n >= 20) return pool[start];
  // The least busy one; those with nothing to do take turns.
  std::size_t best = n;
  double best_occupancy = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t at = (i + start) % n;
    const double occupancy = state.occupancy(state.worker(pool[at]));
    if (occupancy == 0) return pool[at];
    if (best == n || occupancy < best_occupancy || (occupancy == best_occupancy && at < best)) {
      best = at;
      best_occupancy = occupancy;
    }
  }
  return pool[best];
}

}  // namespace dask::scheduler
