#include "scheduler_model.h"

#include <fmt/format.h>

#include <algorithm>

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
      ResultModel& one = result->second;
      if (one.holders.erase(it->first) > 0) {
        one.alone_since = timeline_.now();
        one.alone_unseen = !it->second.seen;
        one.alone_by_us = it->second.drained;
      }
      result = one.holders.empty() ? results_.erase(result) : std::next(result);
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
  if (!results_.empty() && random_.chance(0.4)) {  // it needs another one's result
    auto input = results_.begin();
    std::advance(input, static_cast<std::ptrdiff_t>(random_.below(results_.size())));
    input->second.holders.insert(address);
  }
  timeline_.after(random_.between(100, 6000) * kMillisecond, [this, address, life = life_] {
    const auto it = workers_.find(address);
    if (life != life_ || it == workers_.end()) return;
    --it->second.processing;
    results_[++keys_].holders = {address};
    if (results_.size() > 60) results_.erase(results_.begin());  // clients release old ones
  });
}

int SchedulerModel::results_lost_with(const std::string& address, Time polled) const {
  int found = 0;
  for (const auto& [key, result] : results_) {
    if (!result.holders.contains(address)) continue;
    const bool others_leave = std::all_of(result.holders.begin(), result.holders.end(),
                                          [&](const std::string& holder) { return holder == address || workers_.at(holder).drained; });
    const bool accident = result.holders.size() == 1 && !result.alone_by_us && (result.alone_since >= polled || result.alone_unseen);
    found += others_leave && !accident;
  }
  return found;
}

void SchedulerModel::drain(const std::string& pod, Time polled) {
  for (auto& [address, worker] : workers_)
    if (worker.pod == pod && worker.registered < polled) worker.drained = true;
}

kube::SchedulerView SchedulerModel::describe() {
  kube::SchedulerView view;
  view.id = fmt::format("scheduler-{}", life_);
  for (auto& [address, worker] : workers_) {
    worker.seen = true;
    std::int64_t bytes = 0;
    for (const auto& [key, result] : results_) bytes += result.holders.contains(address);
    view.workers.push_back(kube::SchedulerWorker{address, worker.name, worker.status, bytes, worker.processing});
  }
  return view;
}

bool SchedulerModel::empty_out(const std::string& address) {
  const auto takers = running();
  for (auto& [key, result] : results_) {
    if (!result.holders.contains(address)) continue;
    if (result.holders.size() > 1)
      result.holders.erase(address);
    else if (takers.empty())
      return false;
    else
      result.holders.insert(random_.of(takers));
  }
  return true;
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
      if (empty_out(address)) {
        empty.insert(address);
        continue;
      }
      it->second.status = status;  // nobody can take it: it works on
      if (status == "running") it->second.registered = timeline_.now();
    }
    answer(std::move(empty));
  });
}

}  // namespace dask::sim_operator
