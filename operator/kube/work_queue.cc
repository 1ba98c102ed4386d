// The sets behind WorkQueue.
#include "operator/kube/work_queue.h"

#include <algorithm>

namespace dask::kube {

void WorkQueue::add(const std::string& key, double now) {
  if (!dirty_.emplace(key, now).second) return;
  if (observer_) observer_->added();
  if (!processing_.count(key)) ready_.push_back(key);
}

void WorkQueue::add_after(const std::string& key, double delay_s, double now) {
  if (delay_s <= 0) return add(key, now);
  const double time = now + delay_s;
  auto known = later_times_.find(key);
  if (known != later_times_.end()) {
    if (known->second <= time) return;
    later_.erase({known->second, key});
    known->second = time;
  } else {
    later_times_.emplace(key, time);
  }
  later_.emplace(time, key);
}

void WorkQueue::add_failed(const std::string& key, double now, double random, double at_least_s) {
  const int failures = ++failures_[key];
  if (observer_) observer_->retried();
  add_after(key, std::max(at_least_s, backoff_.delay_s(failures, random)), now);
}

int WorkQueue::failures(const std::string& key) const {
  auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

void WorkQueue::wake(double now) {
  while (!later_.empty() && later_.begin()->first <= now) {
    std::string key = later_.begin()->second;
    later_.erase(later_.begin());
    later_times_.erase(key);
    add(key, now);
  }
}

std::optional<std::string> WorkQueue::take(double now) {
  wake(now);
  if (ready_.empty()) return std::nullopt;
  std::string key = std::move(ready_.front());
  ready_.pop_front();
  auto added = dirty_.find(key);
  if (observer_) observer_->waited(now - added->second);
  dirty_.erase(added);
  processing_.emplace(key, now);
  return key;
}

void WorkQueue::done(const std::string& key, double now) {
  auto found = processing_.find(key);
  if (found == processing_.end()) return;
  if (observer_) observer_->worked(now - found->second);
  processing_.erase(found);
  if (dirty_.count(key)) ready_.push_back(key);
}

std::optional<double> WorkQueue::next_time() const {
  if (later_.empty()) return std::nullopt;
  return later_.begin()->first;
}

double WorkQueue::unfinished_s(double now) const {
  double sum = 0;
  for (const auto& [key, since] : processing_) sum += now - since;
  return sum;
}

double WorkQueue::longest_s(double now) const {
  double most = 0;
  for (const auto& [key, since] : processing_) most = std::max(most, now - since);
  return most;
}

}  // namespace dask::kube
