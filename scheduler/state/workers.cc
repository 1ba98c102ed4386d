// Workers: registration, what they hold, what they run, and the estimates that placement reads.
#include <algorithm>
#include <cmath>

#include "scheduler/state/state.h"

namespace dask::scheduler {
namespace {

void insert_sorted(std::vector<WorkerId>& ids, WorkerId id, const auto& less) {
  auto it = std::lower_bound(ids.begin(), ids.end(), id, less);
  if (it == ids.end() || *it != id) ids.insert(it, id);
}

void erase_sorted(std::vector<WorkerId>& ids, WorkerId id, const auto& less) {
  auto it = std::lower_bound(ids.begin(), ids.end(), id, less);
  if (it != ids.end() && *it == id) ids.erase(it);
}

void count(std::vector<std::pair<PrefixId, std::int64_t>>& counts, PrefixId prefix, std::int64_t by) {
  auto it = std::find_if(counts.begin(), counts.end(), [&](const auto& entry) { return entry.first == prefix; });
  if (it == counts.end()) {
    counts.emplace_back(prefix, by);
  } else if ((it->second += by) == 0) {
    *it = counts.back();
    counts.pop_back();
  }
}

}  // namespace

std::string_view name_of(WorkerStatus status) {
  static constexpr std::string_view names[] = {"init", "running", "paused", "closing_gracefully", "closing", "closed"};
  return names[static_cast<std::size_t>(status)];
}

WorkerStatus worker_status(std::string_view name) {
  for (auto status :
       {WorkerStatus::kRunning, WorkerStatus::kPaused, WorkerStatus::kClosingGracefully, WorkerStatus::kClosing, WorkerStatus::kClosed})
    if (name == name_of(status)) return status;
  return WorkerStatus::kInit;
}

Worker& State::add_worker(Worker given) {
  const WorkerId id{static_cast<std::uint32_t>(workers_.size())};
  workers_.push_back(std::make_unique<Worker>(std::move(given)));
  Worker& ws = *workers_.back();
  ws.id = id;
  ws.nthreads = std::max<std::int64_t>(ws.nthreads, 1);
  addresses_.emplace(ws.address, id);
  aliases_.emplace(ws.name.repr(), id);
  hosts_[ws.host].insert(id);
  total_nthreads_ += ws.nthreads;
  total_memory_ += ws.memory_limit;
  native_workers_ += ws.native;
  for (const auto& [resource, quantity] : ws.resources) ws.used_resources.emplace(resource, 0);
  if (ws.status == WorkerStatus::kRunning) running_.insert(id);
  ++workers_added;
  check_idle_saturated(ws);
  return ws;
}

void State::remove_worker(Worker& ws) {
  addresses_.erase(ws.address);
  if (auto it = aliases_.find(ws.name.repr()); it != aliases_.end() && it->second == ws.id) aliases_.erase(it);
  if (auto it = hosts_.find(ws.host); it != hosts_.end()) {
    it->second.erase(ws.id);
    if (it->second.empty()) hosts_.erase(it);
  }
  total_nthreads_ -= ws.nthreads;
  total_memory_ -= ws.memory_limit;
  native_workers_ -= ws.native;
  ws.status = WorkerStatus::kClosed;
  ws.present = false;
  running_.erase(ws.id);
  std::erase(idle_, ws.id);
  std::erase(idle_task_count_, ws.id);
  std::erase(native_window_open_, ws.id);
  saturated_.erase(ws.id);
  ++workers_removed;
}

Worker* State::find_worker(std::string_view address) {
  auto it = addresses_.find(address);
  return it == addresses_.end() ? nullptr : workers_[it->second.value].get();
}

Worker* State::find_worker_by_name(const Value& name) {
  if (const std::string* text = name.string())
    if (Worker* ws = find_worker(*text)) return ws;
  auto it = aliases_.find(name.repr());
  return it == aliases_.end() ? nullptr : workers_[it->second.value].get();
}

void State::set_status(Worker& ws, WorkerStatus status) {
  ws.status = status;
  if (status == WorkerStatus::kRunning)
    running_.insert(ws.id);
  else
    running_.erase(ws.id);
  check_idle_saturated(ws);
}

void State::check_idle_saturated(Worker& ws) {
  if (total_nthreads_ == 0 || !ws.present) return;
  const auto by_address = [this](WorkerId a, WorkerId b) { return worker(a).address < worker(b).address; };
  const auto p = static_cast<std::int64_t>(ws.processing.size());
  saturated_.erase(ws.id);
  bool idle = false;
  if (ws.status == WorkerStatus::kRunning) {
    if (p < ws.nthreads) {
      idle = true;
    } else {
      const double occ = occupancy(ws);
      const double average = total_occupancy() / static_cast<double>(total_nthreads_);
      idle = occ < static_cast<double>(ws.nthreads) * average / 2;
      if (!idle && p > ws.nthreads) {
        const double pending = occ * static_cast<double>(p - ws.nthreads) / static_cast<double>(p * ws.nthreads);
        if (pending > 0.4 && pending > 1.9 * average) saturated_.insert(ws.id);
      }
    }
  }
  if (idle)
    insert_sorted(idle_, ws.id, by_address);
  else
    erase_sorted(idle_, ws.id, by_address);
  if (ws.status == WorkerStatus::kRunning && !worker_full(ws))
    insert_sorted(idle_task_count_, ws.id, by_address);
  else
    erase_sorted(idle_task_count_, ws.id, by_address);
  if (!ws.native) return;
  if (ws.status == WorkerStatus::kRunning && native_window_open(ws))
    insert_sorted(native_window_open_, ws.id, by_address);
  else
    erase_sorted(native_window_open_, ws.id, by_address);
}

bool State::holds(const Worker& ws, const Task& ts) const {
  return std::any_of(ts.who_has.begin(), ts.who_has.end(), [&](const Holder& holder) { return holder.worker == ws.id; });
}

void State::add_replica(Task& ts, Worker& ws) {
  if (holds(ws, ts)) return;
  forget_needed(id_of(ts), ws);
  ts.who_has.push_back(Holder{ws.id, static_cast<std::uint32_t>(ws.has_what.size())});
  ws.has_what.push_back(ts.slot);
  ws.nbytes += nbytes_of(ts);
  if (ts.who_has.size() != 2) return;
  replicated_.push_back(id_of(ts));
  if (replicated_.size() < replicated_tidy_at_) return;
  tidy_replicated();
  replicated_tidy_at_ = std::max<std::size_t>(1024, 2 * replicated_.size());
}

void State::tidy_replicated() {
  std::erase_if(replicated_, [this](TaskId id) {
    const Task* ts = get(id);
    return !ts || ts->who_has.size() < 2;
  });
  std::sort(replicated_.begin(), replicated_.end());
  replicated_.erase(std::unique(replicated_.begin(), replicated_.end()), replicated_.end());
}

const std::vector<TaskId>& State::replicated_tasks() {
  tidy_replicated();
  return replicated_;
}

void State::remove_replica(Task& ts, Worker& ws) {
  auto it = std::find_if(ts.who_has.begin(), ts.who_has.end(), [&](const Holder& holder) { return holder.worker == ws.id; });
  DASK_CHECK(it != ts.who_has.end(), "{} is not on {}", ts.key.str(), ws.address);
  const std::uint32_t position = it->position;
  const std::uint32_t moved = ws.has_what.back();
  ws.has_what[position] = moved;
  ws.has_what.pop_back();
  if (moved != ts.slot)
    for (Holder& holder : task(moved).who_has)
      if (holder.worker == ws.id) holder.position = position;
  ts.who_has.erase(it);
  ws.nbytes -= nbytes_of(ts);
  if (ts.actor) ws.actors.erase(ts.slot);
}

void State::remove_all_replicas(Task& ts) {
  while (!ts.who_has.empty()) remove_replica(ts, worker(ts.who_has.back().worker));
}

void State::add_to_processing(Task& ts, Worker& ws) {
  count(ws.task_prefix_count, ts.prefix, 1);
  count(task_prefix_count_global_, ts.prefix, 1);
  ts.processing_on = ws.id;
  ts.processing_position = static_cast<std::uint32_t>(ws.processing.size());
  ts.long_running = false;
  ws.processing.push_back(ts.slot);
  for (const Edge& edge : ts.dependencies) {
    const Task& dependency = task(edge.task);
    if (!holds(ws, dependency)) need_replica(dependency, ws);
  }
}

void State::need_replica(const Task& dependency, Worker& ws) {
  Worker::Needed& needed = ws.needs_what[id_of(dependency)];
  if (needed.tasks++ > 0) return;
  needed.nbytes = nbytes_of(dependency);
  ws.network_occ += needed.nbytes;
  network_occ_global_ += needed.nbytes;
}

void State::unneed_replica(const Task& dependency, Worker& ws) {
  auto it = ws.needs_what.find(id_of(dependency));
  if (it != ws.needs_what.end() && --it->second.tasks == 0) forget_needed(it->first, ws);
}

void State::forget_needed(TaskId dependency, Worker& ws) {
  auto it = ws.needs_what.find(dependency);
  if (it == ws.needs_what.end()) return;
  ws.network_occ -= it->second.nbytes;
  network_occ_global_ -= it->second.nbytes;
  ws.needs_what.erase(it);
}

void State::drop_processing_count(Task& ts, Worker& ws) {
  count(ws.task_prefix_count, ts.prefix, -1);
  count(task_prefix_count_global_, ts.prefix, -1);
}

void State::remove_from_processing(Task& ts) {
  Worker& ws = worker(ts.processing_on);
  if (ts.long_running) {
    --ws.long_running;
    ts.long_running = false;
  } else {
    drop_processing_count(ts, ws);
  }
  const std::uint32_t moved = ws.processing.back();
  ws.processing[ts.processing_position] = moved;
  task(moved).processing_position = ts.processing_position;
  ws.processing.pop_back();
  ts.processing_on = WorkerId{};
  ts.compute_pending = false;
  if (!ws.needs_what.empty())
    for (const Edge& edge : ts.dependencies) unneed_replica(task(edge.task), ws);
}

void State::add_to_long_running(Task& ts) {
  if (ts.long_running) return;
  Worker& ws = worker(ts.processing_on);
  drop_processing_count(ts, ws);
  ts.long_running = true;
  ++ws.long_running;
}

void State::acquire_resources(const Task& ts, Worker& ws) {
  if (ts.annotations)
    for (const auto& [resource, quantity] : ts.annotations->resources) ws.used_resources[resource] += quantity;
}

void State::release_resources(const Task& ts, Worker& ws) {
  if (ts.annotations)
    for (const auto& [resource, quantity] : ts.annotations->resources) ws.used_resources[resource] -= quantity;
}

double State::prefix_duration(const TaskPrefix& prefix) const {
  if (prefix.duration_average >= 0) return prefix.duration_average;
  return prefix.max_exec_time > 0 ? 2 * prefix.max_exec_time : settings_.unknown_task_duration_s;
}

double State::duration_sum(const std::vector<std::pair<PrefixId, std::int64_t>>& counts) const {
  double sum = 0;
  for (const auto& [prefix_id, n] : counts) sum += prefix_duration(prefix(prefix_id)) * static_cast<double>(n);
  return sum;
}

double State::occupancy(const Worker& ws) const {
  return duration_sum(ws.task_prefix_count) + static_cast<double>(ws.network_occ) / bandwidth_;
}

double State::total_occupancy() const {
  return duration_sum(task_prefix_count_global_) + static_cast<double>(network_occ_global_) / bandwidth_;
}

int State::task_slots_available(const Worker& ws) const {
  const auto slots =
      std::max<std::int64_t>(static_cast<std::int64_t>(std::ceil(settings_.worker_saturation * static_cast<double>(ws.nthreads))), 1);
  return static_cast<int>(slots - (static_cast<std::int64_t>(ws.processing.size()) - ws.long_running));
}

double State::expected_nbytes(const TaskPrefix& prefix) const {
  const std::int64_t results = prefix.state_counts[static_cast<std::size_t>(TaskState::kMemory)];
  return results > 0 ? static_cast<double>(prefix.nbytes_total) / static_cast<double>(results)
                     : static_cast<double>(settings_.default_data_size);
}

bool State::native_window_open(const Worker& ws) const {
  if (std::isinf(settings_.worker_saturation)) return false;
  const auto nthreads = static_cast<double>(ws.nthreads);
  const auto tasks = static_cast<double>(static_cast<std::int64_t>(ws.processing.size()) - ws.long_running);
  if (tasks >= static_cast<double>(settings_.native_window_tasks) * nthreads) return false;
  if (occupancy(ws) >= settings_.native_window_s * nthreads) return false;
  double nbytes = 0;
  for (const auto& [prefix_id, n] : ws.task_prefix_count) nbytes += expected_nbytes(prefix(prefix_id)) * static_cast<double>(n);
  return nbytes < static_cast<double>(settings_.native_window_bytes) * nthreads;
}

bool State::worker_full(const Worker& ws) const { return !std::isinf(settings_.worker_saturation) && task_slots_available(ws) <= 0; }

}  // namespace dask::scheduler
