#include "operator/plan/draft.h"

namespace dask::kube {

void Draft::poll(TimeMs age_ms) {
  const SchedulerView& view = observed.scheduler;
  if (polls_ || view.polling) return;
  // One that does not answer is asked less often.
  if (view.failed_ms != 0) {
    age_ms = std::max(age_ms, kPollUnreachableMs);
    if (const TimeMs wait_ms = view.failed_ms + age_ms - now_ms; wait_ms > 0) return look_again(wait_ms);
  } else if (view.polled_ms != 0) {
    if (const TimeMs wait_ms = view.polled_ms + age_ms - now_ms; wait_ms > 0) return look_again(wait_ms);
  }
  polls_ = true;
  add(kStageAsk, PollScheduler{endpoint()});
}

bool Draft::makes_objects() const {
  return std::any_of(actions_.begin(), actions_.end(), [](const Action& action) {
    return std::holds_alternative<ApplyObject>(action.what) || std::holds_alternative<CreateObject>(action.what);
  });
}

const Refusal* Draft::refusal(Kind kind, std::string_view name) const {
  const auto it = std::find_if(observed.refusals.begin(), observed.refusals.end(),
                               [&](const Refusal& r) { return r.object.kind == kind && r.object.name == name; });
  return it == observed.refusals.end() ? nullptr : &*it;
}

SchedulerEndpoint Draft::endpoint() const {
  SchedulerEndpoint endpoint{observed.ns, observed.name, {}, {}, 8786, 8787};
  if (observed.cluster) endpoint.host = scheduler_host(*observed.cluster, settings);
  for (const auto& service : observed.services)
    if (service->meta.name == scheduler_name(observed.name)) {
      if (service->cluster_ip != "None") endpoint.ip = service->cluster_ip;
      endpoint.port = service->port("tcp-comm", endpoint.port);
      endpoint.dashboard_port = service->port("http-dashboard", endpoint.dashboard_port);
    }
  return endpoint;
}

TimeMs Draft::unreachable_for_ms() const {
  const SchedulerView& view = observed.scheduler;
  if (view.failed_ms == 0 || view.failing_since_ms == 0 || now_ms - view.failed_ms > 2 * kPollUnreachableMs) return 0;
  return view.failed_ms - view.failing_since_ms;
}

Actions Draft::take() {
  if (again_ms_) add(kStageLater, RequeueAfter{*again_ms_});
  std::stable_sort(actions_.begin(), actions_.end(), [](const Action& a, const Action& b) { return a.stage < b.stage; });
  return std::move(actions_);
}

}  // namespace dask::kube
