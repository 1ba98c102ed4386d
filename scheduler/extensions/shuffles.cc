#include "scheduler/extensions/shuffles.h"

#include <algorithm>

namespace dask::scheduler {
namespace {

constexpr std::string_view kBarrierPrefix = "shuffle-barrier-";

tl::unexpected<Error> inconsistent(std::string text) { return fail(ErrorCode::kUnavailable, std::move(text)); }

const Task* barrier_of(const State& state, const std::string& shuffle) {
  return state.find(Key::from_string(std::string(kBarrierPrefix) + shuffle).msgpack());
}

// The addresses that outputs are dealt out to: the barrier's restrictions, else all workers.
std::vector<std::string> candidates(const State& state, const Task& barrier) {
  std::vector<std::string> workers;
  if (barrier.annotations)
    for (const std::string& name : barrier.annotations->workers) {
      const Worker* ws = const_cast<State&>(state).find_worker_by_name(Value(name));
      if (!ws) ws = state.find_worker("tcp://" + name);
      if (ws) {
        workers.push_back(ws->address);
      } else if (auto host = state.hosts().find(name); host != state.hosts().end()) {
        for (WorkerId id : host->second) workers.push_back(state.worker(id).address);
      }
    }
  std::sort(workers.begin(), workers.end());
  workers.erase(std::unique(workers.begin(), workers.end()), workers.end());
  if (workers.empty())
    for (const auto& [address, id] : state.workers()) workers.push_back(address);
  return workers;
}

}  // namespace

std::string ShuffleRun::str() const { return "SchedulerShuffleState<" + spec->id + "[" + std::to_string(run_id) + "]>"; }

void for_each_output(const ShuffleSpec& spec, const std::function<void(const std::vector<std::int64_t>&, std::int64_t)>& f) {
  if (!spec.chunks) {
    for (std::int64_t partition : spec.partitions) f({partition}, partition);
    return;
  }
  const std::vector<std::int64_t>& chunks = *spec.chunks;
  std::vector<std::int64_t> at(chunks.size(), 0);
  for (std::int64_t i = 0; i < spec.n; ++i) {
    std::int64_t rank = 0;  // as ArrayRechunkSpec.pick_worker has it (distributed/shuffle/_rechunk.py)
    for (std::size_t d = 0; d < chunks.size(); ++d) rank += d > 0 ? chunks[d - 1] * at[d] : at[d];
    f(at, rank);
    for (std::size_t d = chunks.size(); d-- > 0 && ++at[d] == chunks[d];) at[d] = 0;
  }
}

const ShuffleRun* Shuffles::active(const std::string& shuffle) const {
  auto it = runs_.find(shuffle);
  return it != runs_.end() && it->second.active ? &it->second : nullptr;
}

Result<const ShuffleRun*> Shuffles::get(const std::string& shuffle, const std::string& worker, const State& state) {
  if (!state.find_worker(worker)) return inconsistent("Scheduler is unaware of this worker '" + worker + "'");
  if (!active(shuffle)) return inconsistent("No active shuffle with id='" + shuffle + "' found");
  ShuffleRun& run = runs_.at(shuffle);
  run.participating.insert(worker);
  return &run;
}

Result<const ShuffleRun*> Shuffles::get_or_create(const std::string& shuffle, const Key& task, const std::string& worker,
                                                  const State& state, ShuffleEffects& effects) {
  if (active(shuffle)) return get(shuffle, worker, state);
  if (!state.find_worker(worker)) return inconsistent("Scheduler is unaware of this worker '" + worker + "'");
  const Task* barrier = barrier_of(state, shuffle);
  if (!barrier)
    return inconsistent("Barrier task with key '" + std::string(kBarrierPrefix) + shuffle +
                        "' does not exist. This may be caused by task fusion during graph generation.");
  const Task* ts = state.find(task.msgpack());
  if (!ts || ts->state != TaskState::kProcessing)
    return inconsistent("Expected task " + task.repr() + " to be processing, is " +
                        std::string(ts ? name_of(ts->state) : name_of(TaskState::kForgotten)) + ".");
  DASK_TRY(ShuffleRun run, create(shuffle, *barrier, state));
  run.participating.insert(worker);
  effects.log.push_back("Shuffle " + shuffle + " initialized by task " + task.repr() + " executed on worker " + worker);
  return &(runs_[shuffle] = std::move(run));
}

Result<ShuffleRun> Shuffles::create(const std::string& shuffle, const Task& barrier, const State& state) {
  ShuffleRun run;
  run.spec = barrier.extra ? barrier.extra->shuffle : nullptr;
  if (!run.spec) return fail(ErrorCode::kUnsupported, "The task '" + barrier.key.str() + "' is no barrier of a P2P shuffle");
  if (!run.spec->unsupported.empty())
    return fail(ErrorCode::kUnsupported, "The P2P shuffle '" + shuffle + "' cannot be served: " + run.spec->unsupported);
  run.barrier = barrier.key;
  run.workers = candidates(state, barrier);
  const std::size_t n_workers = run.workers.size();
  std::rotate(run.workers.begin(), run.workers.begin() + static_cast<std::ptrdiff_t>(shift_++ % n_workers), run.workers.end());

  // Outputs of a join load partitions of two shuffles: those have their partitions on the same workers, also when workers came
  // or went between the two.
  std::map<std::vector<std::int64_t>, std::string> existing;
  std::set<std::uint32_t> seen{barrier.slot};
  for (const Edge& output : barrier.dependents)
    for (const Edge& edge : state.task(output.task).dependencies) {
      const Task& other = state.task(edge.task);
      if (!other.p2p_barrier || !seen.insert(other.slot).second || !other.extra || !other.extra->shuffle) continue;
      const ShuffleRun* sibling = active(other.extra->shuffle->id);
      if (!sibling) continue;
      std::size_t i = 0;
      for_each_output(*sibling->spec, [&](const std::vector<std::int64_t>& at, std::int64_t) {
        existing.emplace(at, sibling->workers[sibling->worker_of[i++]]);
      });
    }

  for_each_output(*run.spec, [&](const std::vector<std::int64_t>& at, std::int64_t rank) {
    std::size_t worker = 0;
    if (auto found = existing.find(at); found != existing.end()) {
      worker = static_cast<std::size_t>(std::find(run.workers.begin(), run.workers.end(), found->second) - run.workers.begin());
      if (worker == run.workers.size()) run.workers.push_back(found->second);
    } else if (run.spec->n > 0 && rank > 0) {
      worker = std::min(n_workers * static_cast<std::size_t>(rank) / static_cast<std::size_t>(run.spec->n), n_workers - 1);
    }
    run.worker_of.push_back(static_cast<std::uint32_t>(worker));
    run.participating.insert(run.workers[worker]);
  });
  run.run_id = ++last_run_id_;
  return run;
}

Result<void> Shuffles::check_run(const std::string& shuffle, std::int64_t run_id) const {
  const ShuffleRun* run = active(shuffle);
  if (!run) return fail(ErrorCode::kNotFound, "'" + shuffle + "'");
  if (run->run_id == run_id) return {};
  return inconsistent(std::string("Request ") + (run->run_id > run_id ? "stale" : "invalid") +
                      ", expected run_id=" + std::to_string(run_id) + " for " + run->str());
}

void Shuffles::end(ShuffleRun& run, std::string text, const std::string& stimulus_id, ShuffleEffects& effects) {
  for (const std::string& worker : run.participating) effects.fails.push_back({worker, run.spec->id, run.run_id, text});
  effects.ended.push_back(run.barrier);
  effects.log.push_back("Shuffle " + run.spec->id + " deactivated due to stimulus '" + stimulus_id + "'");
  run.active = false;
  run.archived_by = stimulus_id;
  heartbeats_.erase(run.spec->id);
}

void Shuffles::barrier_stopped(const Task& barrier, TaskState state, const std::string& stimulus_id, ShuffleEffects& effects) {
  const std::string key = barrier.key.str();  // a forgotten barrier has nothing else left
  auto it = runs_.find(key.starts_with(kBarrierPrefix) ? key.substr(kBarrierPrefix.size()) : key);
  if (it == runs_.end()) return;
  ShuffleRun& run = it->second;
  if (run.active) end(run, run.str() + " forgotten", stimulus_id, effects);
  if (state == TaskState::kForgotten) runs_.erase(it);
}

void Shuffles::task_erred(const Task& barrier, const std::string& stimulus_id, ShuffleEffects& effects) {
  for (auto& [shuffle, run] : runs_) {
    if (!run.active || run.barrier != barrier.key || std::exchange(run.failed, true)) continue;
    effects.events.push_back(Value(Value::Map{{"action", "p2p-failed"}, {"shuffle", shuffle}, {"stimulus", stimulus_id}}));
  }
}

void Shuffles::restart(const std::string& shuffle, const std::string& stimulus_id, ShuffleEffects& effects) {
  auto it = runs_.find(shuffle);
  if (it == runs_.end()) return;
  effects.restarted.push_back(it->second.barrier);
  effects.log.push_back("Shuffle " + shuffle + " restarted due to stimulus '" + stimulus_id + "'");
}

void Shuffles::worker_left(const std::string& worker, const std::string& stimulus_id, ShuffleEffects& effects) {
  for (auto& [shuffle, run] : runs_)
    if (run.active && run.participating.contains(worker))
      end(run, "Worker " + worker + " left during active " + run.str(), stimulus_id, effects);
  for (const auto& [shuffle, run] : runs_)
    if (!run.active && run.archived_by == stimulus_id) restart(shuffle, stimulus_id, effects);
}

void Shuffles::heartbeat(const std::string& worker, const Value& data) {
  const Value::Map* shuffles = data.map_if();
  if (!shuffles) return;
  for (const auto& [name, said] : *shuffles)
    if (const std::string shuffle(name.as_string()); active(shuffle)) heartbeats_[shuffle][worker] = said;
}

std::set<std::string> Shuffles::participating() const {
  std::set<std::string> workers;
  for (const auto& [shuffle, run] : runs_)
    if (run.active) workers.insert(run.participating.begin(), run.participating.end());
  return workers;
}

std::size_t Shuffles::active_count() const {
  return static_cast<std::size_t>(std::count_if(runs_.begin(), runs_.end(), [](const auto& entry) { return entry.second.active; }));
}

void Shuffles::clear() {
  runs_.clear();
  heartbeats_.clear();
}

}  // namespace dask::scheduler
