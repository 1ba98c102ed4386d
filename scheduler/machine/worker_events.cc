// Workers come, report, retire and vanish. Source: distributed/scheduler.py, add_worker, remove_worker, heartbeat_worker,
// handle_worker_status_change, and active_memory_manager.py's RetireWorker.
#include <algorithm>

#include "scheduler/machine/machine.h"
#include "scheduler/policy/placement.h"

namespace dask::scheduler {
namespace {

// What Dask's NoValidWorkerError holds: task, host, worker and resource restrictions, time-out in seconds.
Value::Array no_valid_worker_arguments(const Task& ts, double timeout) {
  Value::Set hosts, workers;
  Value resources = Value::map();
  if (ts.annotations) {
    for (const std::string& restriction : ts.annotations->workers)
      (restriction.find(':') == restriction.npos ? hosts : workers).items.emplace_back(restriction);
    for (const auto& [name, quantity] : ts.annotations->resources) resources.set(name, Value(quantity));
  }
  return {ts.key.value(), Value(std::move(hosts)), Value(std::move(workers)), std::move(resources), Value(timeout)};
}

}  // namespace

void Machine::on(WorkerConnected& e) {
  const bool running = e.worker.status == WorkerStatus::kRunning;
  Worker& ws = state_.add_worker(std::move(e.worker));
  ws.last_seen = now_;
  last_worker_ = ws.id;
  say(Severity::kInfo, fmt::format("Register worker addr: {} name: {}", ws.address, ws.name.string() ? *ws.name.string() : ws.name.repr()));
  act(LogEvent{{ws.address}, Value(Value::Map{{"action", "add-worker"}})});
  act(LogEvent{{"all"}, Value(Value::Map{{"action", "add-worker"}, {"worker", ws.address}})});
  if (running) {
    schedule_unrunnable_on(ws);
    queue_slots_maybe_opened();
  }
  refresh_no_workers_since();
}

void Machine::on(WorkerLeft& e) {
  if (!present(e.worker)) return;
  Worker& ws = state_.worker(e.worker);
  say(Severity::kInfo, fmt::format("Remove worker addr: {} name: {} ({})", ws.address,
                                   ws.name.string() ? *ws.name.string() : ws.name.repr(), *stimulus_id_));
  state_.remove_worker(ws);
  forget_steals_of(ws.id);

  Value::Array processing_keys, recompute_keys, lost_keys;
  const std::vector<std::uint32_t> processing = ws.processing;
  for (std::uint32_t slot : processing) {
    Task& ts = state_.task(slot);
    processing_keys.push_back(ts.key.value());
    recommend(ts, TaskState::kReleased);
    if (e.expected) continue;
    ++ts.suspicious;
    ++state_.prefix(ts.prefix).suspicious;
    if (ts.suspicious <= state_.settings().allowed_failures) continue;
    take_recommendation(ts, TaskState::kReleased);
    say(Severity::kError,
        fmt::format("Task {} marked as failed because {} workers died while trying to run it", ts.key.repr(), ts.suspicious));
    fail(ts,
         make_failure("distributed.scheduler.KilledWorker",
                      fmt::format("Attempted to run task {} on {} different workers, but all those workers died while running it. The last "
                                  "worker that attempt "
                                  "to run the task was {}.",
                                  ts.key.repr(), state_.settings().allowed_failures + 1, ws.address),
                      {ts.key.value(), Value(ws.address), Value(state_.settings().allowed_failures)}),
         ws.address);
  }
  const std::vector<std::uint32_t> has_what = ws.has_what;
  for (std::uint32_t slot : has_what) {
    Task& ts = state_.task(slot);
    const bool actor = ws.actors.contains(slot);
    state_.remove_replica(ts, ws);
    if (actor) {
      recommend(ts, TaskState::kErred);
    } else if (ts.who_has.empty()) {
      const bool recompute = ts.spec != SpecKind::kNone;
      (recompute ? recompute_keys : lost_keys).push_back(ts.key.value());
      recommend(ts, recompute ? TaskState::kReleased : TaskState::kForgotten);
    }
  }
  ws.actors.clear();
  if (!recompute_keys.empty())
    say(Severity::kWarning, fmt::format("Removing worker '{}' caused the cluster to lose {} already computed task(s), which will be "
                                        "recomputed elsewhere if still needed",
                                        ws.address, recompute_keys.size()));
  if (!lost_keys.empty())
    say(Severity::kError,
        fmt::format("Removing worker '{}' caused the cluster to lose {} scattered data item(s), which can't be recovered: {}", ws.address,
                    lost_keys.size(), Value(lost_keys).repr().substr(0, 200)));
  Value msg(Value::Map{{"action", "remove-worker"},
                       {"processing-tasks", Value(std::move(processing_keys))},
                       {"lost-computed-tasks", Value(std::move(recompute_keys))},
                       {"lost-scattered-tasks", Value(std::move(lost_keys))},
                       {"stimulus_id", *stimulus_id_},
                       {"expected", e.expected}});
  act(LogEvent{{ws.address}, msg});
  msg.set("worker", ws.address);
  act(LogEvent{{"all"}, std::move(msg)});
  run_recommendations();
  queue_slots_maybe_opened();
  refresh_no_workers_since();
  if (state_.workers().empty()) say(Severity::kInfo, "Lost all workers");
  ws.metrics = Value();
  ws.versions = Value();
  ws.executing.clear();
}

void Machine::on(WorkerStatusChanged& e) {
  if (!present(e.worker)) return;
  Worker& ws = state_.worker(e.worker);
  if (ws.status == e.status) return;
  act(LogEvent{{ws.address},
               Value(Value::Map{{"action", "worker-status-change"},
                                {"prev-status", name_of(ws.status)},
                                {"status", name_of(e.status)},
                                {"stimulus_id", *stimulus_id_}})});
  state_.set_status(ws, e.status);
  if (e.status == WorkerStatus::kRunning) {
    schedule_unrunnable_on(ws);
    queue_slots_maybe_opened();
  }
  refresh_no_workers_since();
}

void Machine::schedule_unrunnable_on(const Worker& ws) {
  std::vector<Task*> runnable;
  for (const auto& [ticket, entry] : state_.unrunnable()) {
    Task& ts = state_.task(entry.slot);
    const auto valid = valid_workers(state_, ts);
    const bool loose = valid && valid->empty() && ts.annotations && ts.annotations->allow_other_workers && !needs_native_worker(state_, ts);
    if (!valid || loose || std::binary_search(valid->begin(), valid->end(), ws.id)) runnable.push_back(&ts);
  }
  std::sort(runnable.begin(), runnable.end(), [](const Task* a, const Task* b) { return a->priority > b->priority; });
  for (Task* ts : runnable) recommend(*ts, TaskState::kProcessing);
  run_recommendations();
}

void Machine::on(WorkerHeartbeat& e) {
  if (!present(e.worker)) return;
  Worker& ws = state_.worker(e.worker);
  ws.last_seen = now_;
  const Value& metrics = e.metrics;
  const double share = 1.0 / static_cast<double>(std::max<std::size_t>(state_.workers().size(), 1));
  if (const double total = metrics["bandwidth"]["total"].as_double(); total > 0)
    state_.set_bandwidth(state_.bandwidth() * (1 - share) + total * share);
  ws.executing.clear();
  for (const auto& [key, seconds] : e.executing) {
    Task* ts = find(key);
    if (!ts) continue;
    ws.executing.emplace_back(State::id_of(*ts), seconds);
    TaskPrefix& tp = state_.prefix(ts->prefix);
    tp.max_exec_time = std::max(tp.max_exec_time, seconds);
    if (seconds > 2 * tp.duration_average) tp.duration_average = -1;
  }
  ws.memory_process = metrics["memory"].as_int();
  ws.memory_spilled = metrics["spilled_bytes"]["memory"].as_int();
  ws.disk_spilled = metrics["spilled_bytes"]["disk"].as_int();
  auto& history = ws.memory_unmanaged_history;
  while (!history.empty() && history.front().first < now_ - state_.settings().memory_recent_to_old_s) history.pop_front();
  history.emplace_back(now_, std::max<std::int64_t>(0, ws.memory_process - ws.nbytes + ws.memory_spilled));
  ws.memory_unmanaged_old =
      std::min_element(history.begin(), history.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->second;
  if (e.worker_now > 0) ws.time_delay = now_ - e.worker_now;
  ws.metrics = std::move(e.metrics);
}

// Copies what only leaving workers hold to the running worker that holds least.
void Machine::on(RetirementAdvanced& e) {
  std::vector<WorkerId> recipients(state_.running().begin(), state_.running().end());
  if (recipients.empty()) return;
  std::map<WorkerId, std::vector<std::uint32_t>> moves;
  std::map<WorkerId, std::int64_t> expected_nbytes;
  for (WorkerId id : recipients) expected_nbytes[id] = state_.worker(id).nbytes;
  for (WorkerId leaving : e.workers) {
    if (!present(leaving)) continue;
    for (std::uint32_t slot : state_.worker(leaving).has_what) {
      const Task& ts = state_.task(slot);
      const bool safe = ts.actor || std::any_of(ts.who_has.begin(), ts.who_has.end(),
                                                [&](const Holder& holder) { return state_.running().contains(holder.worker); });
      if (safe) continue;
      const WorkerId to = std::min_element(expected_nbytes.begin(), expected_nbytes.end(), [](const auto& a, const auto& b) {
                            return a.second < b.second;
                          })->first;
      expected_nbytes[to] += state_.nbytes_of(ts);
      moves[to].push_back(slot);
    }
  }
  for (const auto& [to, slots] : moves) {
    SendAcquireReplicas acquire{to, static_cast<std::uint32_t>(actions_.dependencies.size()), 0};
    for (std::uint32_t slot : slots) locate(state_.task(slot));
    acquire.dependencies_end = static_cast<std::uint32_t>(actions_.dependencies.size());
    act(acquire);
  }
}

void Machine::refresh_no_workers_since() {
  if (!state_.running().empty() || (state_.queue_size() == 0 && state_.unrunnable().empty()))
    no_workers_since_ = -1;
  else if (no_workers_since_ < 0)
    no_workers_since_ = now_;
}

void Machine::on(TimePassed&) {
  refresh_no_workers_since();
  if (!state_.settings().no_workers_timeout_s) return;
  const double timeout = *state_.settings().no_workers_timeout_s;
  std::vector<std::pair<std::uint32_t, bool>> late;  // slot, "no worker fits" rather than "no worker at all"
  for (const auto& [ticket, entry] : state_.unrunnable()) {
    if (now_ <= entry.since + timeout) break;
    late.emplace_back(entry.slot, no_workers_since_ < 0 || no_workers_since_ > entry.since);
  }
  if (no_workers_since_ >= 0 && now_ > no_workers_since_ + timeout)
    state_.for_each_task([&](const Task& ts) {
      if (ts.state == TaskState::kQueued) late.emplace_back(ts.slot, false);
    });
  Value::Set affected;
  for (const auto& [slot, unsatisfied] : late) {
    Task& ts = state_.task(slot);
    if (ts.state != TaskState::kNoWorker && ts.state != TaskState::kQueued) continue;  // an earlier failure took it along
    affected.items.push_back(ts.key.value());
    if (unsatisfied) {
      say(Severity::kError,
          fmt::format("Task {} marked as failed because it timed out waiting for its restrictions to become satisfied.", ts.key.repr()));
      fail(ts, make_failure(
                   "distributed.scheduler.NoValidWorkerError",
                   fmt::format("Attempted to run task {} but timed out after {} s waiting for a valid worker matching all restrictions.",
                               ts.key.repr(), timeout),
                   no_valid_worker_arguments(ts, timeout)));
    } else {
      say(Severity::kError,
          fmt::format("Task {} marked as failed because it timed out waiting without any running workers.", ts.key.repr()));
      fail(ts, make_failure("distributed.scheduler.NoWorkerError",
                            fmt::format("Attempted to run task {} but timed out after {} s waiting without any running workers.",
                                        ts.key.repr(), timeout),
                            {ts.key.value(), Value(timeout)}));
    }
    run_recommendations();
  }
  if (!affected.items.empty())
    act(LogEvent{{"scheduler"}, Value(Value::Map{{"action", "no-workers-timeout-exceeded"}, {"keys", std::move(affected)}})});
}

}  // namespace dask::scheduler
