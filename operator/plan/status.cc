#include "operator/plan/status.h"

#include <fmt/format.h>

#include <algorithm>

namespace dask::kube {
namespace {

constexpr std::size_t kMessageMax = 1024;

std::string shortened(std::string text) {
  if (text.size() > kMessageMax) {
    text.resize(kMessageMax);
    while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80) text.pop_back();  // no half characters
    if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0) text.pop_back();
  }
  return text;
}

// Conditions of a resource as they become: a condition whose status is as before keeps its time.
class Conditions {
 public:
  Conditions(const std::vector<Condition>& before, std::int64_t generation, TimeMs now_ms)
      : before_(before), generation_(generation), since_ms_(now_ms / kSecondMs * kSecondMs) {}

  void set(const std::string& type, bool status, std::string reason, std::string message) {
    const Condition* old = find_condition(before_, type);
    now_.push_back(Condition{type, status, std::move(reason), shortened(std::move(message)), generation_,
                             old && old->status == status ? old->since_ms : since_ms_});
  }
  // True when the condition now has this status and had not.
  bool became(const std::string& type, bool status) const {
    const Condition* is = find_condition(now_, type);
    const Condition* was = find_condition(before_, type);
    return is && is->status == status && (!was || was->status != status);
  }
  bool changed_reason(const std::string& type) const {
    const Condition* is = find_condition(now_, type);
    const Condition* was = find_condition(before_, type);
    return is && (!was || was->reason != is->reason);
  }
  const Condition& operator[](const std::string& type) const { return *find_condition(now_, type); }
  std::vector<Condition> take() { return std::move(now_); }

 private:
  const std::vector<Condition>& before_;
  const std::int64_t generation_;
  const TimeMs since_ms_;
  std::vector<Condition> now_;
};

void write_status(Draft& draft, const DaskCluster& cluster, const DaskClusterStatus& status) {
  if (cluster.status == status) return;
  const ObjectRef object = ref_of(Kind::kDaskCluster, cluster.meta);
  Value body = body_of(object);
  body.set("status", render(status));
  draft.add(kStageStatus, PatchStatus{object, std::move(body)});
}

struct WorkersState {
  WorkerCounts counts;
  Trouble trouble;
  std::int64_t troubled = 0;
};

void add_troubles(const Draft& draft, const GroupPlan& plan, WorkersState& state) {
  state.counts.desired += plan.counts.desired;
  state.counts.ready += plan.counts.ready;
  state.counts.pending += plan.counts.pending;
  state.counts.retiring += plan.counts.retiring;
  for (const Worker& worker : plan.workers) {
    if (worker.ready || worker.retiring() || worker.ended) continue;
    Trouble trouble = trouble_of(draft, worker.kind, worker.name(), worker.deployment, worker.pods);
    if (trouble.reason.empty()) continue;
    ++state.troubled;
    if (state.trouble.reason.empty()) state.trouble = std::move(trouble);
  }
  if (!state.trouble.reason.empty()) return;
  // A worker that the API server refuses to take never becomes one that can be looked at.
  const std::string prefix = plan.group->meta.name + "-worker-";
  for (const Refusal& refusal : draft.observed.refusals)
    if ((refusal.object.kind == Kind::kDeployment || refusal.object.kind == Kind::kPod) && refusal.object.name.starts_with(prefix)) {
      state.trouble = trouble_of(draft, refusal.object.kind, refusal.object.name, nullptr, {});
      ++state.troubled;
      return;
    }
}

std::string others_text(const WorkersState& state) { return state.troubled > 1 ? fmt::format(" (and {} more)", state.troubled - 1) : ""; }

// WorkersReady of a group or of a cluster.
void set_workers_ready(Conditions& conditions, const WorkersState& workers, const std::string& drain_problem) {
  const std::string counts = fmt::format("{} of {} workers are ready", workers.counts.ready, workers.counts.desired);
  if (workers.counts.ready < workers.counts.desired)
    conditions.set(
        "WorkersReady", false, workers.trouble.reason.empty() ? "Starting" : workers.trouble.reason,
        workers.trouble.reason.empty() ? counts : fmt::format("{}: {}{}", counts, workers.trouble.message, others_text(workers)));
  else if (!drain_problem.empty())
    conditions.set("WorkersReady", true, "DrainBlocked", fmt::format("{}; {}", counts, drain_problem));
  else if (workers.counts.retiring > 0)
    conditions.set("WorkersReady", true, "Draining", fmt::format("{}; {} are being drained", counts, workers.counts.retiring));
  else
    conditions.set("WorkersReady", true, "AllReady", counts);
}

void set_degraded(Conditions& conditions, const Trouble& scheduler, const WorkersState& workers, const std::string& drain_problem) {
  if (!scheduler.reason.empty())
    conditions.set("Degraded", true, scheduler.reason, scheduler.message);
  else if (!workers.trouble.reason.empty())
    conditions.set("Degraded", true, workers.trouble.reason, workers.trouble.message + others_text(workers));
  else if (!drain_problem.empty())
    conditions.set("Degraded", true, "DrainBlocked", drain_problem);
  else
    conditions.set("Degraded", false, "AsExpected", "Nothing is wrong");
}

void tell_changes(Draft& draft, const ObjectRef& about, const Conditions& conditions) {
  const Condition& degraded = conditions["Degraded"];
  if (degraded.status && (conditions.became("Degraded", true) || conditions.changed_reason("Degraded")))
    draft.event(about, true, degraded.reason, "Reconcile", degraded.message);
}

std::string phase_of(const SchedulerState& scheduler) {
  // KubeCluster gives up on anything but Running after resource_timeout: it means that there is an address, no more. Readiness is in the
  // conditions.
  if (!scheduler.service) return "Pending";
  return scheduler.service->type == "LoadBalancer" && scheduler.service->ingress.empty() ? "Pending" : "Running";
}

}  // namespace

Trouble trouble_of(const Draft& draft, Kind kind, std::string_view name, const Deployment* deployment,
                   const std::vector<const Pod*>& pods) {
  if (const Refusal* refusal = draft.refusal(kind, name)) {
    const bool quota = refusal->message.find("exceeded quota") != std::string::npos;
    return {quota                  ? "QuotaExceeded"
            : refusal->code == 403 ? "Forbidden"
                                   : "SpecInvalid",
            fmt::format("the API server refuses {} {}: {}", name_of(kind), name, refusal->message)};
  }
  for (const Pod* pod : pods)
    if (!pod->meta.deleting() && !pod->trouble.empty())
      return {pod->trouble, fmt::format("pod {}: {}", pod->meta.name, pod->trouble_message)};
  if (deployment && !deployment->failure_message.empty()) {
    const bool quota = deployment->failure_message.find("exceeded quota") != std::string::npos;
    return {quota ? "QuotaExceeded" : deployment->failure_reason,
            fmt::format("Deployment {}: {}", deployment->meta.name, deployment->failure_message)};
  }
  return {};
}

void report_group(Draft& draft, const DaskCluster* cluster, const GroupPlan& plan) {
  const DaskWorkerGroup& group = *plan.group;
  const ObjectRef about = ref_of(Kind::kDaskWorkerGroup, group.meta);
  DaskWorkerGroupStatus status = group.status;
  status.observed_generation = group.meta.generation;
  status.replicas = plan.counts.ready + plan.counts.pending;
  status.ready_replicas = plan.counts.ready;
  status.selector = workers_selector(group.cluster, group.meta.name);
  status.retired_ordinals = plan.retired.str();
  status.workers = plan.counts;
  Conditions conditions(group.status.conditions, group.meta.generation, draft.now_ms);
  WorkersState workers;
  add_troubles(draft, plan, workers);
  if (!group.problems.empty()) {
    workers.trouble = {"SpecInvalid", fmt::format("{}", group.problems.front())};
    workers.troubled = 1;
  } else if (group.meta.name.size() > kGroupNameMax) {
    workers.trouble = {"InvalidName", fmt::format("the name {} is longer than {} characters", group.meta.name, kGroupNameMax)};
    workers.troubled = 1;
  } else if (!cluster) {
    workers.trouble = {"ClusterNotFound", fmt::format("there is no DaskCluster {} in namespace {}", group.cluster, group.meta.ns)};
    workers.troubled = 1;
  } else if (group.worker.replicas > kWorkersPerGroupMax && workers.trouble.reason.empty()) {
    workers.trouble = {"TooManyWorkers", fmt::format("{} workers are more than the {} that one group may have: split them into groups",
                                                     group.worker.replicas, kWorkersPerGroupMax)};
    workers.troubled = 1;
  }
  set_workers_ready(conditions, workers, plan.drain_problem);
  set_degraded(conditions, {}, workers, plan.drain_problem);
  tell_changes(draft, about, conditions);
  status.conditions = conditions.take();
  // Workers come and go only by the newest version of their group: an older one may miss ordinals that have been used up, or a user's wish.
  const bool only_newest = plan.makes_workers || status.retired_ordinals != group.status.retired_ordinals;
  if (!only_newest && status == group.status) return;
  Value body = body_of(about);
  if (only_newest) {
    Value metadata = body["metadata"];
    metadata.set("resourceVersion", group.meta.resource_version);
    body.set("metadata", std::move(metadata));
  }
  body.set("status", render(status));
  draft.add(kStageStatus, PatchStatus{about, std::move(body)});
}

void report_cluster(Draft& draft, const DaskCluster& cluster, const SchedulerState& scheduler, const std::vector<GroupPlan>& groups) {
  const ObjectRef about = ref_of(Kind::kDaskCluster, cluster.meta);
  WorkersState workers;
  std::string drain_problem;
  for (const GroupPlan& plan : groups) {
    add_troubles(draft, plan, workers);
    if (drain_problem.empty()) drain_problem = plan.drain_problem;
  }
  DaskClusterStatus status = cluster.status;
  status.phase = phase_of(scheduler);
  status.observed_generation = cluster.meta.generation;
  status.replicas = workers.counts.ready + workers.counts.pending;
  status.ready_replicas = workers.counts.ready;
  status.selector = workers_selector(cluster.meta.name);
  status.scheduler_address = scheduler_address(cluster, draft.settings);
  status.dashboard_address = dashboard_address(cluster, draft.settings);
  status.workers = workers.counts;

  Conditions conditions(cluster.status.conditions, cluster.meta.generation, draft.now_ms);
  const bool troubled = !scheduler.trouble.reason.empty();
  if (scheduler.ready)
    conditions.set("SchedulerReady", true, "Ready", "The scheduler is ready");
  else if (troubled)
    conditions.set("SchedulerReady", false, scheduler.trouble.reason, scheduler.trouble.message);
  else
    conditions.set("SchedulerReady", false, scheduler.reason, scheduler.message);
  set_workers_ready(conditions, workers, drain_problem);
  const Condition& scheduler_ready = conditions["SchedulerReady"];
  if (!scheduler.ready)
    conditions.set("Ready", false, "SchedulerNotReady", scheduler_ready.message);
  else if (!conditions["WorkersReady"].status)
    conditions.set("Ready", false, "WorkersNotReady", conditions["WorkersReady"].message);
  else
    conditions.set("Ready", true, "Ready", conditions["WorkersReady"].message);
  set_degraded(conditions, scheduler.trouble, workers, drain_problem);
  if (cluster.status.phase.empty() && !scheduler.service)
    draft.event(about, false, "Creating", "Create", fmt::format("Creating the scheduler and {} workers", cluster.worker.replicas));
  if (conditions.became("Ready", true)) draft.event(about, false, "Ready", "Reconcile", conditions["Ready"].message);
  tell_changes(draft, about, conditions);
  const bool is_new = cluster.status.phase.empty() && std::abs(draft.now_ms - cluster.meta.created_ms) <= kNewClusterMs;
  if (is_new && draft.makes_objects() && !conditions["Degraded"].status) return;
  status.conditions = conditions.take();
  write_status(draft, cluster, status);
}

void report_unusable(Draft& draft, const DaskCluster& cluster, const std::string& reason, const std::string& message) {
  DaskClusterStatus status = cluster.status;
  // What runs goes on running: only a cluster that never came to be is an error as a whole.
  if (status.phase != "Running") status.phase = "Error";
  status.observed_generation = cluster.meta.generation;
  Conditions conditions(cluster.status.conditions, cluster.meta.generation, draft.now_ms);
  for (const char* type : {"SchedulerReady", "WorkersReady", "Ready"}) conditions.set(type, false, reason, message);
  conditions.set("Degraded", true, reason, message);
  tell_changes(draft, ref_of(Kind::kDaskCluster, cluster.meta), conditions);
  status.conditions = conditions.take();
  write_status(draft, cluster, status);
}

}  // namespace dask::kube
