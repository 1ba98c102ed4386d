#include "operator/plan/workers.h"

#include <fmt/format.h>

#include <charconv>
#include <set>

#include "operator/plan/generation.h"

namespace dask::kube {
namespace {

std::int64_t integer(std::string_view text, std::int64_t otherwise) {
  std::int64_t value = otherwise;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Worker worker_of(const Draft& draft, const DaskWorkerGroup& group, Kind kind, const ObjectMeta& meta) {
  Worker worker;
  worker.kind = kind;
  worker.meta = &meta;
  // Only an ordinal that gives this name is one: annotations can be edited.
  const std::int64_t ordinal = integer(meta.annotation(kOrdinalAnnotation), -1);
  if (ordinal >= 0 && worker_name(group.meta.name, group.meta.uid, ordinal) == meta.name) worker.ordinal = ordinal;
  if (const std::string_view since = meta.annotation(kRetiringAnnotation); !since.empty())
    worker.retiring_since_ms = parse_rfc3339(since).value_or(meta.created_ms + 1);
  worker.pods = draft.pods_of(meta.name);
  for (const Pod* pod : worker.pods) {
    worker.started |= pod->started;
    worker.ready |= pod->ready && !pod->meta.deleting();
  }
  return worker;
}

bool lost_labels(const Worker& worker, const Value& body) {
  const Labels wanted = parse_labels(body["metadata"]["labels"]);
  return std::any_of(wanted.begin(), wanted.end(), [&](const auto& label) {
    return (label.first.starts_with("dask.org/")) && worker.meta->label(label.first) != label.second;
  });
}

WorkerWorkload workload_of(const DaskCluster& cluster, const DaskWorkerGroup& group) { return group.workload.value_or(cluster.workload); }

void apply_worker(Draft& draft, const DaskCluster& cluster, const GroupPlan& plan, std::int64_t ordinal, const Worker* present,
                  bool changes = true) {
  WorkerWorkload workload = workload_of(cluster, *plan.group);
  if (present) workload = present->kind == Kind::kPod ? WorkerWorkload::kPod : WorkerWorkload::kDeployment;
  Value body = render_worker(cluster, *plan.group, draft.settings, workload, ordinal);
  stamp(body);
  const Kind kind = workload == WorkerWorkload::kPod ? Kind::kPod : Kind::kDeployment;
  ObjectRef ref{kind, draft.observed.ns, worker_name(plan.group->meta.name, plan.group->meta.uid, ordinal), {}};
  explain(body, ref, present ? present->meta : nullptr, changes);
  draft.add(kStageWorkers, ApplyObject{std::move(ref), std::move(body)});
}

}  // namespace

GroupPlan look_at(const Draft& draft, const DaskWorkerGroup& group) {
  GroupPlan plan;
  plan.group = &group;
  plan.wanted = std::min(group.worker.replicas, kWorkersPerGroupMax);
  plan.retired = Ordinals::parse(group.status.retired_ordinals);
  const auto is_ours = [&](const ObjectMeta& meta) {
    const OwnerReference* owner = meta.controller();
    return owner && owner->uid == group.meta.uid && !meta.deleting();
  };
  for (const auto& deployment : draft.observed.deployments)
    if (is_ours(deployment->meta)) {
      Worker& worker = plan.workers.emplace_back(worker_of(draft, group, Kind::kDeployment, deployment->meta));
      worker.deployment = deployment.get();
    }
  for (const auto& pod : draft.observed.pods)
    if (is_ours(pod->meta)) {
      Worker& worker = plan.workers.emplace_back(worker_of(draft, group, Kind::kPod, pod->meta));
      worker.ended = pod->ended();
    }
  std::sort(plan.workers.begin(), plan.workers.end(), [](const Worker& a, const Worker& b) { return a.name() < b.name(); });
  plan.counts.desired = plan.wanted;
  for (const Worker& worker : plan.workers) {
    if (worker.ended) continue;
    if (worker.retiring())
      ++plan.counts.retiring;
    else
      ++(worker.ready ? plan.counts.ready : plan.counts.pending);
  }
  return plan;
}

void plan_creations(Draft& draft, const DaskCluster& cluster, GroupPlan& plan) {
  const DaskWorkerGroup& group = *plan.group;
  std::size_t room = kWorkersPerPlanMax;
  TimeMs newest_ms = 0;
  std::set<std::int64_t> there;
  std::int64_t active = 0;
  for (const Worker& worker : plan.workers) {
    newest_ms = std::max(newest_ms, worker.meta->created_ms);
    if (worker.ordinal >= 0) there.insert(worker.ordinal);
    if (!worker.ended && !worker.retiring()) ++active;
    // What another operator made is counted, but left as it is. One that leaves need not be mended.
    if (worker.ordinal < 0 || worker.retiring() || !worker.deployment || room == 0) continue;
    const bool changed = is_edited(*worker.meta) ||
                         lost_labels(worker, render_worker(cluster, group, draft.settings, WorkerWorkload::kDeployment, worker.ordinal));
    if (!changed && !is_guess(*worker.meta)) continue;
    apply_worker(draft, cluster, plan, worker.ordinal, &worker, changed);
    if (changed)
      draft.event(worker.ref(), false, "Restored", "Reconcile", fmt::format("Deployment {} had been changed by hand", worker.name()));
    --room;
  }
  // A name stays taken until its object is gone.
  std::set<std::string, std::less<>> taken;
  for (const auto& deployment : draft.observed.deployments)
    if (deployment->meta.deleting()) taken.insert(deployment->meta.name);
  for (const auto& pod : draft.observed.pods)
    if (pod->meta.deleting()) taken.insert(std::string(pod->workload()));

  std::int64_t missing = plan.wanted - active;
  if (missing <= 0) return;
  if (const std::int64_t batch = draft.settings.worker_batch_size; batch > 0 && missing > 0) {
    const TimeMs due_ms = newest_ms + draft.settings.worker_batch_delay_ms;
    if (newest_ms != 0 && due_ms > draft.now_ms) return draft.look_again(due_ms - draft.now_ms);
    if (missing > batch) draft.look_again(std::max<TimeMs>(draft.settings.worker_batch_delay_ms, 1));
    missing = std::min(missing, batch);
  }
  draft.event(ref_of(Kind::kDaskWorkerGroup, group.meta), false, "ScalingUp", "Scale",
              fmt::format("Creating {} of {} workers", missing, plan.wanted));
  std::int64_t created = 0;
  for (std::int64_t ordinal = 0; created < missing && room > 0; ++ordinal) {
    if (plan.retired.contains(ordinal) || there.contains(ordinal)) continue;
    if (taken.contains(worker_name(group.meta.name, group.meta.uid, ordinal))) {
      plan.retired.insert(ordinal);  // remembered, so that a later plan does not make it beside the one that is made instead
      continue;
    }
    apply_worker(draft, cluster, plan, ordinal, nullptr);
    plan.makes_workers = true;
    ++created;
    --room;
  }
  if (created < missing) draft.look_again(1);
}

}  // namespace dask::kube
