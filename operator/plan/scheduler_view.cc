#include "operator/plan/scheduler_view.h"

#include <algorithm>

namespace dask::kube {

void take_request(SchedulerView& view, const AskSchedulerToRetire& request, TimeMs now_ms) {
  for (auto& [address, retirement] : view.retirements)
    if (std::find(request.also.begin(), request.also.end(), address) == request.also.end()) retirement.quiet = false;
  for (const std::string& address : request.addresses)
    view.retirements[address] = Retirement{Retirement::Outcome::kAsked, now_ms, 0, request.quiet};
}

void take_promise(SchedulerView& view, const AskSchedulerToRetire& request, TimeMs asked_ms, const std::set<std::string>* retired,
                  TimeMs now_ms) {
  for (const std::string& address : request.addresses) {
    const auto found = view.retirements.find(address);
    if (found == view.retirements.end() || found->second.asked_ms != asked_ms) continue;  // asked again since
    found->second.answered_ms = now_ms;
    found->second.outcome = !retired                     ? Retirement::Outcome::kFailed
                            : retired->contains(address) ? Retirement::Outcome::kRetired
                                                         : Retirement::Outcome::kStays;
  }
}

void take_poll(SchedulerView& view, SchedulerView fresh, TimeMs sent_ms) {
  std::set<std::string, std::less<>> present;
  for (const SchedulerWorker& worker : fresh.workers) present.insert(worker.address);
  if (view.id == fresh.id) {
    fresh.retirements = std::move(view.retirements);
    const bool lost = std::any_of(view.workers.begin(), view.workers.end(), [&](const auto& w) { return !present.contains(w.address); });
    std::erase_if(fresh.retirements,
                  [&](const auto& entry) { return !present.contains(entry.first) && entry.second.outcome != Retirement::Outcome::kAsked; });
    if (lost)
      for (auto& [address, retirement] : fresh.retirements) retirement.quiet = false;
  }
  fresh.polled_ms = sent_ms;
  view = std::move(fresh);
}

void take_failed_poll(SchedulerView& view, std::string why, TimeMs now_ms) {
  view.polling = false;
  view.failed_ms = now_ms;
  if (view.failing_since_ms == 0) view.failing_since_ms = now_ms;
  view.failure = std::move(why);
}

}  // namespace dask::kube
