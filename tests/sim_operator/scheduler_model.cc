#include "scheduler_model.h"

#include <fmt/format.h>

namespace dask::sim_operator {

using sim::kMillisecond;

void SchedulerModel::start() {
  last_unreachable_ = timeline_.now();
  runs_ = true;
  ++life_;
  workers_.clear();
  results_.clear();
}

void SchedulerModel::stop() {
  runs_ = false;
  workers_.clear();
  results_.clear();
}

void SchedulerModel::set_partition(bool cut) {
  if (!reachable()) last_unreachable_ = timeline_.now();
  cut_ = cut;
}

void SchedulerModel::register_worker(const std::string& name, const std::string& pod, const std::string& ip) {
  const std::string address = fmt::format("tcp://{}:{}", ip, 40'000 + ++ports_);
  workers_[address] = WorkerProcess{address, name, pod, "running", 0, timeline_.now()};
}

void SchedulerModel::remove_pod(const std::string& pod) {
  for (auto it = workers_.begin(); it != workers_.end();) {
    if (it->second.pod != pod) {
      ++it;
      continue;
    }
    for (auto result = results_.begin(); result != results_.end();) {
      result->second.erase(it->first);
      result = result->second.empty() ? results_.erase(result) : std::next(result);
    }
    it = workers_.erase(it);
  }
}

bool SchedulerModel::knows_pod(const std::string& pod) const {
  for (const auto& [address, worker] : workers_)
    if (worker.pod == pod) return true;
  return false;
}

std::vector<std::string> SchedulerModel::running() const {
  std::vector<std::string> found;
  for (const auto& [address, worker] : workers_)
    if (worker.status == "running") found.push_back(address);
  return found;
}

void SchedulerModel::submit() {
  const auto candidates = running();
  if (!runs_ || candidates.empty()) return;
  const std::string address = random_.of(candidates);
  ++workers_[address].processing;
  timeline_.after(random_.between(100, 6000) * kMillisecond, [this, address, life = life_] {
    const auto it = workers_.find(address);
    if (life != life_ || it == workers_.end()) return;
    --it->second.processing;
    results_[++keys_] = {address};
    if (results_.size() > 60) results_.erase(results_.begin());  // clients release old ones
  });
}

int SchedulerModel::unique_results(const std::string& address) const {
  int found = 0;
  for (const auto& [key, holders] : results_) found += holders.size() == 1 && holders.contains(address);
  return found;
}

void SchedulerModel::describe(kube::SchedulerView& view) const {
  const std::string id = fmt::format("scheduler-{}", life_);
  if (view.id != id) view.retirements.clear();
  view.id = id;
  view.workers.clear();
  for (const auto& [address, worker] : workers_) {
    std::int64_t bytes = 0;
    for (const auto& [key, holders] : results_) bytes += holders.contains(address);
    view.workers.push_back(kube::SchedulerWorker{address, worker.name, worker.status, bytes, worker.processing});
  }
}

void SchedulerModel::retire(const std::vector<std::string>& addresses, std::function<void(std::set<std::string>)> answer) {
  std::map<std::string, std::string> before;
  for (const std::string& address : addresses)
    if (const auto it = workers_.find(address); it != workers_.end()) {
      before[address] = it->second.status;
      it->second.status = "closing_gracefully";
    }
  timeline_.after(random_.between(20, 2500) * kMillisecond, [this, before, answer = std::move(answer), life = life_] {
    if (life != life_ || !runs_) return answer({});
    std::set<std::string> empty;
    for (const auto& [address, status] : before) {
      const auto it = workers_.find(address);
      if (it == workers_.end()) continue;
      const auto takers = running();
      if (unique_results(address) > 0 && takers.empty()) {
        it->second.status = status;  // nobody can take it: it works on
        if (status == "running") it->second.registered = timeline_.now();
        continue;
      }
      for (auto& [key, holders] : results_)
        if (holders.size() == 1 && holders.contains(address)) holders.insert(random_.of(takers));
      empty.insert(address);
    }
    answer(std::move(empty));
  });
}

}  // namespace dask::sim_operator
