// plan_cluster: the order in which a cluster is looked at. Migrate, validate, scheduler and Service, groups, workers, status, idleness.
#include <fmt/format.h>

#include "operator/plan/generation.h"
#include "operator/plan/migrate.h"
#include "operator/plan/status.h"

namespace dask::kube {
namespace {

// The name rule of dask-kubernetes (constants.py): a DNS label that leaves room for the longest suffix.
bool is_valid_name(std::string_view name) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > kClusterNameMax || !alphanumeric(name.front()) || !alphanumeric(name.back())) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) { return alphanumeric(c) || c == '-'; });
}

enum class Standing { kAbsent, kOurs, kLeaving, kForeign };

// Whose an object of a name that we need is. What an earlier cluster of the same name owned is sent away, not adopted.
Standing standing_of(Draft& draft, Kind kind, const ObjectMeta* meta, const DaskCluster& cluster) {
  if (!meta) return Standing::kAbsent;
  if (meta->deleting()) return Standing::kLeaving;
  const OwnerReference* owner = meta->controller();
  if (!owner || owner->uid == cluster.meta.uid) return Standing::kOurs;
  if (owner->kind != name_of(Kind::kDaskCluster)) return Standing::kForeign;
  draft.add(kStageCleanUp, DeleteObject{ref_of(kind, *meta), false, "it belonged to an earlier cluster of the same name"});
  return Standing::kLeaving;
}

bool has_labels(const ObjectMeta& meta, const Value& body) {
  const Labels wanted = parse_labels(body["metadata"]["labels"]);
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& label) { return meta.label(label.first) == label.second; });
}

// Applies an object unless what stands there is what was applied, untouched.
void keep(Draft& draft, Kind kind, Value body, const ObjectMeta* present, bool edited) {
  stamp(body);
  const bool as_applied = present && !edited && present->annotation(kSpecHashAnnotation) == stamped_hash(body) &&
                          has_labels(*present, body) && present->controller();
  if (as_applied && !is_guess(*present)) return;
  ObjectRef ref{kind, draft.observed.ns, std::string(body["metadata"]["name"].as_string()), {}};
  if (kind == Kind::kDeployment) explain(body, ref, present, !as_applied);
  if (present && edited && !present->annotation(kSpecHashAnnotation).empty())
    draft.event(ref, false, "Restored", "Reconcile", fmt::format("{} {} had been changed by hand", name_of(kind), ref.name));
  draft.add(kStageObjects, ApplyObject{std::move(ref), std::move(body)});
}

template <class T>
const T* named(const std::vector<std::shared_ptr<const T>>& items, std::string_view name) {
  for (const auto& item : items)
    if (item->meta.name == name) return item.get();
  return nullptr;
}

bool serves(const Service& service, const DaskCluster& cluster) {
  for (const auto& [name, value] : parse_labels(cluster.service_spec["selector"])) {
    const auto it = service.selector.find(name);
    if (it == service.selector.end() || it->second != value) return false;
  }
  if (const Value::Array* ports = cluster.service_spec["ports"].array_if())
    for (const Value& port : *ports)
      if (service.port(port["name"].as_string(), -1) != port["port"].as_int()) return false;
  const std::string_view type = cluster.service_spec["type"].as_string();
  return type.empty() || type == service.type;
}

SchedulerState plan_scheduler(Draft& draft, const DaskCluster& cluster) {
  const std::string name = scheduler_name(cluster.meta.name);
  SchedulerState state;
  state.reason = "Starting";
  state.message = "The scheduler's pod is not ready yet";

  const Deployment* deployment = named(draft.observed.deployments, name);
  const Standing standing = standing_of(draft, Kind::kDeployment, deployment ? &deployment->meta : nullptr, cluster);
  if (standing == Standing::kAbsent || standing == Standing::kOurs) {
    keep(draft, Kind::kDeployment, render_scheduler(cluster, deployment), deployment ? &deployment->meta : nullptr,
         deployment && is_edited(deployment->meta));
    if (deployment) {
      state.ready = deployment->ready();
      if (!state.ready) state.trouble = trouble_of(draft, Kind::kDeployment, name, deployment, draft.pods_of(name));
    }
  } else if (standing == Standing::kLeaving) {
    state.reason = "WaitingForDeletion";
    state.message = fmt::format("Deployment {} is still being deleted", name);
    draft.look_again(kLookAgainMs);
  } else {
    state.trouble = {"NameTaken", fmt::format("Deployment {} belongs to {} {}", name, deployment->meta.controller()->kind,
                                              deployment->meta.controller()->name)};
  }
  if (state.trouble.reason.empty() && draft.refusal(Kind::kDeployment, name))
    state.trouble = trouble_of(draft, Kind::kDeployment, name, nullptr, {});

  const Service* service = named(draft.observed.services, name);
  switch (standing_of(draft, Kind::kService, service ? &service->meta : nullptr, cluster)) {
    case Standing::kOurs: state.service = service; [[fallthrough]];
    case Standing::kAbsent:
      keep(draft, Kind::kService, render_service(cluster), service ? &service->meta : nullptr, service && !serves(*service, cluster));
      break;
    case Standing::kLeaving: draft.look_again(kLookAgainMs); break;
    case Standing::kForeign:
      if (state.trouble.reason.empty())
        state.trouble = {"NameTaken", fmt::format("Service {} belongs to {} {}", name, service->meta.controller()->kind,
                                                  service->meta.controller()->name)};
  }
  if (state.trouble.reason.empty() && draft.refusal(Kind::kService, name))
    state.trouble = trouble_of(draft, Kind::kService, name, nullptr, {});
  return state;
}

// The merge patch that turns one tree into another.
Value difference(const Value& from, const Value& to) {
  Value patch = Value::map();
  if (const Value::Map* old = from.map_if())
    for (const auto& [name, value] : *old)
      if (!to.find(name.as_string())) patch.set(name.as_string(), Value());
  if (const Value::Map* wanted = to.map_if())
    for (const auto& [name, value] : *wanted) {
      const Value& present = from[name.as_string()];
      if (value.is_nil() || present == value) continue;
      patch.set(name.as_string(), present.is_map() && value.is_map() ? difference(present, value) : value);
    }
  return patch;
}

// What the cluster's spec.worker has newly become reaches its default group; what users did to the group stays otherwise. One patch sets
// the fields and remembers what they came from, only over the version of the group that was looked at. Until that is written, the group's
// workers are left alone.
void propagate(Draft& draft, const DaskCluster& cluster, GroupPlan& plan) {
  const DaskWorkerGroup& group = *plan.group;
  const std::string replicas = std::to_string(cluster.worker.replicas), spec = propagated_hash(cluster);
  const std::string_view last_replicas = group.meta.annotation(kPropagatedReplicasAnnotation);
  const std::string_view last_spec = group.meta.annotation(kPropagatedSpecAnnotation);
  if (last_replicas == replicas && last_spec == spec) return;
  Value worker = Value::map();
  // A group without these annotations was made by another operator, with the values of its time: only remember.
  if (!last_replicas.empty() && last_replicas != replicas) {
    worker.set("replicas", cluster.worker.replicas);
    plan.wanted = std::min(cluster.worker.replicas, kWorkersPerGroupMax);
  }
  if (!last_spec.empty() && last_spec != spec) {
    Value wanted = cluster.worker.raw;
    Value present = group.worker.raw;
    for (Value* side : {&wanted, &present}) merge_patch(*side, Value(Value::Map{{"replicas", Value()}}));
    const Value changes = difference(present, wanted);
    for (const auto& [name, value] : *changes.map_if()) worker.set(name.as_string(), value);
  }
  Value body = body_of(ref_of(Kind::kDaskWorkerGroup, group.meta));
  Value metadata = body["metadata"];
  metadata.set("resourceVersion", group.meta.resource_version);
  metadata.set("annotations", Value(Value::Map{{kPropagatedReplicasAnnotation, replicas}, {kPropagatedSpecAnnotation, spec}}));
  body.set("metadata", std::move(metadata));
  plan.in_motion = true;
  if (worker.size() > 0) body.set("spec", Value(Value::Map{{"worker", std::move(worker)}}));
  draft.add(kStageMend, PatchObject{ref_of(Kind::kDaskWorkerGroup, group.meta), std::move(body)});
}

// A group that users made becomes the cluster's, so that it goes with it.
void adopt(Draft& draft, const DaskCluster& cluster, GroupPlan& plan) {
  const DaskWorkerGroup& group = *plan.group;
  plan.in_motion = true;
  Value owners = Value::array();
  for (const OwnerReference& owner : group.meta.owners) owners.push_back(render(owner));
  owners.push_back(render(owner_ref(Kind::kDaskCluster, cluster.meta)));
  Value body = body_of(ref_of(Kind::kDaskWorkerGroup, group.meta));
  Value metadata = body["metadata"];
  metadata.set("resourceVersion", group.meta.resource_version);
  metadata.set("ownerReferences", std::move(owners));
  body.set("metadata", std::move(metadata));
  draft.add(kStageMend, PatchObject{ref_of(Kind::kDaskWorkerGroup, group.meta), std::move(body)});
}

// The groups whose workers are this cluster's to run. Creates, adopts and updates on the way.
std::vector<GroupPlan> plan_groups(Draft& draft, const DaskCluster& cluster) {
  std::vector<GroupPlan> ours;
  bool default_there = false;
  const std::string default_name = default_group_name(cluster.meta.name);
  for (const auto& group : draft.observed.groups) {
    const bool is_default = group->meta.name == default_name;
    default_there |= is_default;
    const Standing standing = standing_of(draft, Kind::kDaskWorkerGroup, &group->meta, cluster);
    if (standing == Standing::kLeaving) draft.look_again(kLookAgainMs);
    if (standing != Standing::kOurs || group->cluster != cluster.meta.name) continue;
    GroupPlan& plan = ours.emplace_back(look_at(draft, *group));
    if (!group->meta.controller())
      adopt(draft, cluster, plan);
    else if (is_default)
      propagate(draft, cluster, plan);
  }
  if (!default_there)
    draft.add(kStageObjects, CreateObject{{Kind::kDaskWorkerGroup, draft.observed.ns, default_name, {}}, render_default_group(cluster)});
  return ours;
}

// A cluster that has had nothing to do for long enough is deleted, if its user wants that.
void plan_idleness(Draft& draft, const DaskCluster& cluster, const SchedulerState& scheduler) {
  if (cluster.idle_timeout_ms <= 0 || !scheduler.ready) return;
  const SchedulerView& view = draft.observed.scheduler;
  const TimeMs interval_ms = std::clamp(cluster.idle_timeout_ms / 4, kIdlePollMinMs, kIdlePollMaxMs);
  if (!view.reachable() || !view.idle_since_ms) return draft.poll(interval_ms);
  const TimeMs due_ms = *view.idle_since_ms + cluster.idle_timeout_ms;
  if (draft.now_ms < due_ms) return draft.poll(std::min(interval_ms, std::max(due_ms - view.polled_ms, kPollAgainMs)));
  if (!draft.view_is_fresh()) return draft.poll(0);
  draft.event(ref_of(Kind::kDaskCluster, cluster.meta), false, "IdleTimeout", "Delete",
              fmt::format("Deleting the cluster: it has been idle for {} s, idleTimeout is {} s",
                          (draft.now_ms - *view.idle_since_ms) / kSecondMs, cluster.idle_timeout_ms / kSecondMs));
  draft.add(kStageDelete, DeleteObject{ref_of(Kind::kDaskCluster, cluster.meta), false, "idleTimeout"});
}

void migrate_all(Draft& draft) {
  const Observed& o = draft.observed;
  if (o.cluster) migrate(draft, Kind::kDaskCluster, o.cluster->meta);
  for (const auto& group : o.groups) migrate(draft, Kind::kDaskWorkerGroup, group->meta);
  for (const auto& deployment : o.deployments) migrate(draft, Kind::kDeployment, deployment->meta);
  for (const auto& service : o.services) migrate(draft, Kind::kService, service->meta);
  for (const auto& pod : o.pods) migrate(draft, Kind::kPod, pod->meta);
}

}  // namespace

Actions plan_cluster(const Observed& observed, const Settings& settings, TimeMs now_ms) {
  Draft draft(observed, settings, now_ms);
  migrate_all(draft);
  if (!observed.cluster) {
    for (const auto& group : observed.groups)
      if (!group->meta.deleting() && !group->meta.controller()) report_group(draft, nullptr, look_at(draft, *group));
    return draft.take();
  }
  const DaskCluster& cluster = *observed.cluster;
  if (cluster.meta.deleting()) return draft.take();  // what it owns goes with it
  if (!is_valid_name(cluster.meta.name)) {
    report_unusable(
        draft, cluster, "InvalidName",
        fmt::format("The name {} cannot be used: give at most {} lower case letters, digits and '-', the first and the last no '-'",
                    cluster.meta.name, kClusterNameMax));
    return draft.take();
  }
  if (!cluster.problems.empty()) {
    report_unusable(draft, cluster, "SpecInvalid", fmt::format("{}", cluster.problems.front()));
    return draft.take();
  }
  const SchedulerState scheduler = plan_scheduler(draft, cluster);
  std::vector<GroupPlan> plans = plan_groups(draft, cluster);
  std::int64_t wanted = 0;
  for (const GroupPlan& plan : plans) wanted += plan.wanted;
  Farewells farewells;
  for (GroupPlan& plan : plans) {
    if (plan.group->problems.empty() && plan.group->meta.name.size() <= kGroupNameMax && !plan.in_motion) {
      plan_creations(draft, cluster, plan);
      plan_departures(draft, cluster, plan, wanted == 0, farewells);
    }
    report_group(draft, &cluster, plan);
  }
  plan_farewells(draft, farewells);
  report_cluster(draft, cluster, scheduler, plans);
  plan_idleness(draft, cluster, scheduler);
  return draft.take();
}

}  // namespace dask::kube
