// A plan while it is made: actions by stage, a few questions that several parts ask, the soonest time to look again.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "operator/plan/plan.h"
#include "operator/plan/render.h"

namespace dask::kube {

// The order of a plan. Events come before the status that ends the reason for them, tombstones (in the status) before what they are for,
// marks before requests, requests before deletions.
enum Stage { kStageMend, kStageEvents, kStageStatus, kStageCleanUp, kStageObjects, kStageWorkers, kStageAsk, kStageDelete, kStageLater };

class Draft {
 public:
  Draft(const Observed& of, const Settings& with, TimeMs at) : observed(of), settings(with), now_ms(at) {
    for (const auto& pod : of.pods)
      if (const std::string_view workload = pod->workload(); !workload.empty()) pods_[workload].push_back(pod.get());
  }

  template <class What>
  void add(Stage stage, What what) {
    actions_.push_back(Action{stage, std::move(what)});
  }
  void event(const ObjectRef& about, bool warning, std::string reason, std::string action, std::string message) {
    if (events_++ < kEventsPerPlanMax)
      add(kStageEvents, EmitEvent{about, warning, std::move(reason), std::move(action), std::move(message)});
  }
  void look_again(TimeMs delay_ms) { again_ms_ = std::min(again_ms_.value_or(delay_ms), std::max<TimeMs>(delay_ms, 1)); }
  // Asks the scheduler for its state once, however many parts want it, and only if the last answer is older than `age_ms`.
  void poll(TimeMs age_ms);

  // Pods of one Deployment, or the bare pod of this name.
  const std::vector<const Pod*>& pods_of(std::string_view workload) const {
    static const std::vector<const Pod*> kNone;
    const auto it = pods_.find(workload);
    return it == pods_.end() ? kNone : it->second;
  }
  // Whether this plan makes objects, so that the answers to its writes bring the next one.
  bool makes_objects() const;
  const Refusal* refusal(Kind kind, std::string_view name) const;
  SchedulerEndpoint endpoint() const;
  bool view_is_fresh() const { return observed.scheduler.reachable() && now_ms - observed.scheduler.polled_ms < kPollFreshMs; }
  // From the first to the last of the polls that failed, if the last one was lately; 0 when it can be reached or nobody knows.
  TimeMs unreachable_for_ms() const;

  Actions take();

  const Observed& observed;
  const Settings& settings;
  const TimeMs now_ms;

 private:
  Actions actions_;
  std::unordered_map<std::string_view, std::vector<const Pod*>> pods_;
  std::optional<TimeMs> again_ms_;
  std::size_t events_ = 0;
  bool polls_ = false;
};

}  // namespace dask::kube
