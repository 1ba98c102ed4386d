#include "operator/plan/render.h"

#include <fmt/format.h>

#include <algorithm>

#include "operator/plan/plan.h"

namespace dask::kube {
namespace {

constexpr std::int64_t kCommPort = 8786, kDashboardPort = 8787;

// Annotations that speak of the object they are on, not of its children.
bool is_private(std::string_view annotation) {
  for (const std::string_view prefix : {"kopf.zalando.org", "kubectl.kubernetes.io", "kubernetes.dask.org/"})
    if (annotation.starts_with(prefix)) return true;
  return false;
}

// The left wins: reserved before the template's before the resource's before the cluster's.
Labels joined(std::initializer_list<const Labels*> maps) {
  Labels all;
  for (const Labels* map : maps) all.insert(map->begin(), map->end());
  return all;
}

Labels public_annotations(const Labels& of_template, const Labels& of_resource) {
  Labels all = of_template;
  for (const auto& [name, value] : of_resource)
    if (!is_private(name)) all.emplace(name, value);
  return all;
}

Value with_metadata(const ObjectRef& object, const Labels& labels, const Labels& annotations, const OwnerReference& owner) {
  Value body = body_of(object);
  Value metadata = body["metadata"];
  metadata.set("labels", render(labels));
  metadata.set("annotations", render(annotations));
  Value owners = Value::array();
  owners.push_back(render(owner));
  metadata.set("ownerReferences", std::move(owners));
  body.set("metadata", std::move(metadata));
  return body;
}

Value pod_metadata(const Labels& labels, const Labels& annotations) {
  Value metadata = Value::map();
  metadata.set("labels", render(labels));
  if (!annotations.empty()) metadata.set("annotations", render(annotations));
  return metadata;
}

// Appended, so that the user's variables keep their places; what the user has set stays.
void append_env(Value& container, std::initializer_list<std::pair<const char*, std::string>> variables) {
  Value env = container["env"].is_array() ? container["env"] : Value::array();
  for (const auto& [name, value] : variables) {
    const Value::Array& items = *env.array_if();
    if (std::any_of(items.begin(), items.end(), [&, &wanted = name](const Value& v) { return v["name"].as_string() == wanted; })) continue;
    Value variable = Value::map();
    variable.set("name", name);
    variable.set("value", value);
    env.push_back(std::move(variable));
  }
  container.set("env", std::move(env));
}

Value with_worker_env(const Value& pod_spec, const std::string& name, const std::string& address) {
  Value spec = without_nulls(pod_spec);
  Value containers = spec["containers"];
  if (auto* items = std::get_if<Value::Array>(&containers.variant()))
    for (Value& container : *items)
      if (container.is_map()) append_env(container, {{"DASK_WORKER_NAME", name}, {"DASK_SCHEDULER_ADDRESS", address}});
  spec.set("containers", std::move(containers));
  return spec;
}

Value match_labels(const Labels& labels) {
  Value selector = Value::map();
  selector.set("matchLabels", render(labels));
  return selector;
}

Value deployment_spec(const Labels& selector, Value pod_meta, Value pod_spec) {
  Value pod = Value::map();
  pod.set("metadata", std::move(pod_meta));
  pod.set("spec", std::move(pod_spec));
  Value spec = Value::map();
  spec.set("replicas", 1);
  spec.set("selector", match_labels(selector));
  spec.set("template", std::move(pod));
  return spec;
}

Labels reserved_for_scheduler(const DaskCluster& cluster) {
  return {{kClusterLabel, cluster.meta.name}, {kComponentLabel, "scheduler"}, {"sidecar.istio.io/inject", "false"}};
}

std::int64_t port_named(const DaskCluster& cluster, std::string_view name, std::int64_t otherwise) {
  if (const Value::Array* ports = cluster.service_spec["ports"].array_if())
    for (const Value& port : *ports)
      if (port["name"].as_string() == name) return port["port"].as_int(otherwise);
  return otherwise;
}

}  // namespace

std::string scheduler_name(std::string_view cluster) { return fmt::format("{}-scheduler", cluster); }
std::string default_group_name(std::string_view cluster) { return fmt::format("{}-default", cluster); }

std::string worker_name(std::string_view group, std::string_view group_uid, std::int64_t ordinal) {
  return fmt::format("{}-worker-{}", group, hex_of(stable_hash(fmt::format("{}/{}", group_uid, ordinal)), 10));
}

std::string scheduler_host(const DaskCluster& cluster, const Settings& settings) {
  return fmt::format("{}.{}.svc.{}", scheduler_name(cluster.meta.name), cluster.meta.ns,
                     cluster.cluster_domain.empty() ? settings.cluster_domain : cluster.cluster_domain);
}

std::string scheduler_address(const DaskCluster& cluster, const Settings& settings) {
  return fmt::format("tcp://{}:{}", scheduler_host(cluster, settings), port_named(cluster, "tcp-comm", kCommPort));
}

std::string dashboard_address(const DaskCluster& cluster, const Settings& settings) {
  return fmt::format("http://{}:{}", scheduler_host(cluster, settings), port_named(cluster, "http-dashboard", kDashboardPort));
}

Value body_of(const ObjectRef& object) {
  Value metadata = Value::map();
  metadata.set("name", object.name);
  metadata.set("namespace", object.ns);
  if (!object.uid.empty()) metadata.set("uid", object.uid);
  Value body = Value::map();
  body.set("apiVersion", api_version_of(object.kind));
  body.set("kind", name_of(object.kind));
  body.set("metadata", std::move(metadata));
  return body;
}

ObjectRef ref_of(Kind kind, const ObjectMeta& meta) { return ObjectRef{kind, meta.ns, meta.name, meta.uid}; }

OwnerReference owner_ref(Kind kind, const ObjectMeta& meta) {
  return OwnerReference{std::string(api_version_of(kind)), std::string(name_of(kind)), meta.name, meta.uid, true};
}

Value render_scheduler(const DaskCluster& cluster, const Deployment* present) {
  const Labels reserved = reserved_for_scheduler(cluster);
  const Labels own = joined({&reserved, &cluster.scheduler.labels, &cluster.meta.labels});
  Labels selector{{kClusterLabel, cluster.meta.name}, {kComponentLabel, "scheduler"}};
  if (present && !present->selector.empty()) selector = present->selector;
  const Labels annotations = public_annotations(cluster.scheduler.annotations, cluster.meta.annotations);
  Value body = with_metadata({Kind::kDeployment, cluster.meta.ns, scheduler_name(cluster.meta.name), {}}, own, annotations,
                             owner_ref(Kind::kDaskCluster, cluster.meta));
  Value spec = deployment_spec(selector, pod_metadata(joined({&selector, &own}), annotations), without_nulls(cluster.scheduler.spec));
  // Two schedulers must never run side by side: clients find theirs by label. A default rollingUpdate must go with the type.
  Value strategy = Value::map();
  strategy.set("type", "Recreate");
  if (present && !present->recreate) strategy.set("rollingUpdate", Value());
  spec.set("strategy", std::move(strategy));
  body.set("spec", std::move(spec));
  return body;
}

Value render_service(const DaskCluster& cluster) {
  const Labels reserved{{kClusterLabel, cluster.meta.name}, {kComponentLabel, "scheduler"}};
  Value body = with_metadata({Kind::kService, cluster.meta.ns, scheduler_name(cluster.meta.name), {}},
                             joined({&reserved, &cluster.scheduler.labels, &cluster.meta.labels}),
                             public_annotations(cluster.scheduler.annotations, cluster.meta.annotations),
                             owner_ref(Kind::kDaskCluster, cluster.meta));
  body.set("spec", without_nulls(cluster.service_spec));
  return body;
}

std::string propagated_hash(const DaskCluster& cluster) {
  Value worker = cluster.worker.raw;
  merge_patch(worker, Value(Value::Map{{"replicas", Value()}}));
  return hex_of(stable_hash(to_json(worker)), 16);
}

Value render_default_group(const DaskCluster& cluster) {
  const Labels reserved{{kClusterLabel, cluster.meta.name}, {kComponentLabel, "workergroup"}};
  const Labels& of_workers = cluster.worker.pod.labels;
  Labels annotations = public_annotations(cluster.worker.pod.annotations, cluster.meta.annotations);
  annotations[kPropagatedReplicasAnnotation] = std::to_string(cluster.worker.replicas);
  annotations[kPropagatedSpecAnnotation] = propagated_hash(cluster);
  Value body =
      with_metadata({Kind::kDaskWorkerGroup, cluster.meta.ns, default_group_name(cluster.meta.name), {}},
                    joined({&reserved, &of_workers, &cluster.meta.labels}), annotations, owner_ref(Kind::kDaskCluster, cluster.meta));
  Value worker = cluster.worker.raw;
  worker.set("replicas", cluster.worker.replicas);
  Value spec = Value::map();
  spec.set("cluster", cluster.meta.name);
  spec.set("worker", std::move(worker));
  body.set("spec", std::move(spec));
  return body;
}

Value render_worker(const DaskCluster& cluster, const DaskWorkerGroup& group, const Settings& settings, WorkerWorkload workload,
                    std::int64_t ordinal) {
  const std::string name = worker_name(group.meta.name, group.meta.uid, ordinal);
  const Labels reserved{{kClusterLabel, cluster.meta.name},
                        {kGroupLabel, group.meta.name},
                        {kComponentLabel, "worker"},
                        {kWorkerLabel, name.substr(name.size() - 10)},
                        {"sidecar.istio.io/inject", "false"}};
  const Labels labels = joined({&reserved, &group.worker.pod.labels, &group.meta.labels, &cluster.meta.labels});
  const Labels for_pod = public_annotations(group.worker.pod.annotations, group.meta.annotations);
  Labels annotations = for_pod;
  annotations[kOrdinalAnnotation] = std::to_string(ordinal);
  const bool bare = workload == WorkerWorkload::kPod;
  Value body = with_metadata({bare ? Kind::kPod : Kind::kDeployment, group.meta.ns, name, {}}, labels, annotations,
                             owner_ref(Kind::kDaskWorkerGroup, group.meta));
  Value pod_spec = with_worker_env(group.worker.pod.spec, name, scheduler_address(cluster, settings));
  if (bare) {
    body.set("spec", std::move(pod_spec));
    return body;
  }
  const Labels selector{{kClusterLabel, cluster.meta.name},
                        {kGroupLabel, group.meta.name},
                        {kComponentLabel, "worker"},
                        {kWorkerLabel, name.substr(name.size() - 10)}};
  body.set("spec", deployment_spec(selector, pod_metadata(labels, for_pod), std::move(pod_spec)));
  return body;
}

std::string workers_selector(std::string_view cluster, std::string_view group) {
  const std::string of_cluster = fmt::format("{}={},{}=worker", kClusterLabel, cluster, kComponentLabel);
  return group.empty() ? of_cluster : fmt::format("{},{}={}", of_cluster, kGroupLabel, group);
}

void stamp(Value& body) {
  const Value annotations(Value::Map{{kSpecHashAnnotation, hex_of(stable_hash(to_json(without_nulls(body))), 16)}});
  // Not through merge_patch at the top: a null in the body (strategy.rollingUpdate) must stay.
  Value metadata = body["metadata"];
  merge_patch(metadata, Value(Value::Map{{"annotations", annotations}}));
  body.set("metadata", std::move(metadata));
}

std::string_view stamped_hash(const Value& body) { return body["metadata"]["annotations"][kSpecHashAnnotation].as_string(); }

}  // namespace dask::kube
