#include "cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace dask::operator_model {
namespace {

Value pod_spec(const std::string& image, const char* role) {
  Value container = Value::map();
  container.set("name", role);
  container.set("image", image);
  Value spec = Value::map();
  spec.set("containers", Value(Value::Array{container}));
  return spec;
}

Value ports() {
  Value::Array items;
  for (const auto& [name, port] : {std::pair("tcp-comm", 8786), std::pair("http-dashboard", 8787)})
    items.push_back(Value(Value::Map{{"name", name}, {"protocol", "TCP"}, {"port", port}, {"targetPort", name}}));
  return Value(std::move(items));
}

std::string template_hash(const Value& deployment) { return hex_of(stable_hash(to_json(at(deployment, {"spec", "template"}))), 8); }

// Owner of a pod that no ReplicaSet object stands for here: its name says all that is read.
Value replica_set_owner(const Value& deployment) {
  return Value(Value::Array{
      Value(Value::Map{{"apiVersion", "apps/v1"},
                       {"kind", "ReplicaSet"},
                       {"name", fmt::format("{}-{}", at(deployment, {"metadata", "name"}).as_string(), template_hash(deployment))},
                       {"uid", fmt::format("rs-of-{}", at(deployment, {"metadata", "uid"}).as_string())},
                       {"controller", true}})});
}

template <class T>
void take(std::vector<std::shared_ptr<const T>>& into, Result<T> parsed) {
  if (parsed) into.push_back(std::make_shared<const T>(*std::move(parsed)));
}

}  // namespace

Value cluster_object(const Wish& wish) {
  Value object = Value(Value::Map{{"apiVersion", kDaskApiVersion}, {"kind", "DaskCluster"}});
  put(object, {"metadata", "name"}, wish.name);
  put(object, {"spec", "scheduler", "spec"}, pod_spec(wish.image, "scheduler"));
  Value service = Value::map();
  service.set("type", wish.service_type);
  service.set("selector", Value(Value::Map{{kClusterLabel, wish.name}, {kComponentLabel, "scheduler"}}));
  service.set("ports", ports());
  put(object, {"spec", "scheduler", "service"}, std::move(service));
  put(object, {"spec", "worker", "replicas"}, wish.replicas);
  put(object, {"spec", "worker", "spec"}, pod_spec(wish.image, "worker"));
  put(object, {"spec"}, wish.spec_extra);
  return object;
}

Value group_object(const Wish& wish, const std::string& cluster) {
  Value object = Value(Value::Map{{"apiVersion", kDaskApiVersion}, {"kind", "DaskWorkerGroup"}});
  put(object, {"metadata", "name"}, wish.name);
  put(object, {"spec", "cluster"}, cluster);
  put(object, {"spec", "worker", "replicas"}, wish.replicas);
  put(object, {"spec", "worker", "spec"}, pod_spec(wish.image, "worker"));
  put(object, {"spec"}, wish.spec_extra);
  return object;
}

std::string make_pod(ApiServer& api, const std::string& deployment) {
  const Value* owner = api.find(Kind::kDeployment, deployment);
  if (!owner) return {};
  for (int i = 0;; ++i) {
    const std::string name = fmt::format("{}-{}-p{}", deployment, template_hash(*owner), i);
    if (const Value* there = api.find(Kind::kPod, name)) {
      if (at(*there, {"metadata", "deletionTimestamp"}).is_nil()) return name;
      continue;
    }
    Value pod = Value(Value::Map{{"apiVersion", "v1"}, {"kind", "Pod"}});
    put(pod, {"metadata"}, at(*owner, {"spec", "template", "metadata"}));
    put(pod, {"metadata", "name"}, name);
    put(pod, {"metadata", "ownerReferences"}, replica_set_owner(*owner));
    put(pod, {"spec"}, at(*owner, {"spec", "template", "spec"}));
    put(pod, {"status", "phase"}, "Pending");
    api.create(Kind::kPod, std::move(pod));
    return name;
  }
}

std::vector<std::string> pods_of(const ApiServer& api, const std::string& deployment) {
  std::vector<std::string> found;
  for (const ObjectKey& key : api.keys(Kind::kPod)) {
    if (!key.second.starts_with(deployment)) continue;  // make_pod names them so; parsing them all would take most of a simulation
    const auto pod = parse_pod(*api.find(key.first, key.second));
    if (pod && pod->workload() == deployment && !pod->meta.deleting()) found.push_back(key.second);
  }
  return found;
}

bool is_current(const ApiServer& api, const std::string& deployment, const std::string& pod) {
  const Value* owner = api.find(Kind::kDeployment, deployment);
  return owner && pod.starts_with(fmt::format("{}-{}-", deployment, template_hash(*owner)));
}

void start_pod(ApiServer& api, const std::string& pod, bool ready) {
  api.overwrite(Kind::kPod, pod, [&](Value& object) {
    const std::uint64_t hash = stable_hash(at(object, {"metadata", "uid"}).as_string());
    put(object, {"status", "phase"}, "Running");
    put(object, {"status", "podIP"}, fmt::format("10.{}.{}.{}", hash % 250, hash / 250 % 250, hash / 62'500 % 250));
    put(object, {"status", "conditions"}, Value(Value::Array{Value(Value::Map{{"type", "Ready"}, {"status", ready ? "True" : "False"}})}));
    put(object, {"status", "containerStatuses"},
        Value(Value::Array{Value(Value::Map{{"name", "c"}, {"ready", ready}, {"state", Value(Value::Map{{"running", Value::map()}})}})}));
  });
}

void trouble_pod(ApiServer& api, const std::string& pod, const std::string& reason, const std::string& message) {
  api.overwrite(Kind::kPod, pod, [&](Value& object) {
    put(object, {"status", "phase"}, "Pending");
    const Value waiting = Value(Value::Map{{"reason", reason}, {"message", message}});
    if (reason == "Unschedulable") {
      Value condition = waiting;
      condition.set("type", "PodScheduled");
      condition.set("status", "False");
      put(object, {"status", "conditions"}, Value(Value::Array{condition}));
      return;
    }
    put(object, {"status", "containerStatuses"},
        Value(Value::Array{Value(Value::Map{{"name", "c"}, {"ready", false}, {"state", Value(Value::Map{{"waiting", waiting}})}})}));
  });
}

void sync_deployment(ApiServer& api, const std::string& deployment) {
  std::int64_t ready = 0;
  for (const std::string& name : pods_of(api, deployment)) ready += parse_pod(*api.find(Kind::kPod, name))->ready;
  const Value* present = api.find(Kind::kDeployment, deployment);
  if (!present || (at(*present, {"status", "readyReplicas"}) == Value(ready) &&
                   at(*present, {"status", "observedGeneration"}) == at(*present, {"metadata", "generation"})))
    return;
  api.overwrite(Kind::kDeployment, deployment, [&](Value& object) {
    put(object, {"status", "observedGeneration"}, at(object, {"metadata", "generation"}));
    put(object, {"status", "readyReplicas"}, ready);
  });
}

bool collect_one(ApiServer& api) {
  std::set<std::string, std::less<>> uids;
  for (const auto& [key, object] : api.objects()) {
    const std::string_view uid = at(object, {"metadata", "uid"}).as_string();
    uids.emplace(uid);
    if (key.first == Kind::kDeployment) uids.insert(fmt::format("rs-of-{}", uid));
  }
  for (const auto& [key, object] : api.objects()) {
    const Value::Array* owners = at(object, {"metadata", "ownerReferences"}).array_if();
    if (!owners || owners->empty() || !at(object, {"metadata", "deletionTimestamp"}).is_nil()) continue;
    if (std::any_of(owners->begin(), owners->end(), [&](const Value& o) { return uids.contains(o["uid"].as_string()); })) continue;
    api.remove(ObjectRef{key.first, {}, key.second, std::string(at(object, {"metadata", "uid"}).as_string())});
    return true;
  }
  return false;
}

Observed observe(const std::map<ObjectKey, Value>& cache, const std::string& ns, const std::string& cluster) {
  Observed seen;
  seen.ns = ns;
  seen.name = cluster;
  for (const auto& [key, object] : cache) {
    const bool labelled = at(object, {"metadata", "labels", kClusterLabel}).as_string() == cluster;
    switch (key.first) {
      case Kind::kDaskCluster:
        if (auto parsed = parse_dask_cluster(object); parsed && key.second == cluster)
          seen.cluster = std::make_shared<const DaskCluster>(*std::move(parsed));
        break;
      case Kind::kDaskWorkerGroup:
        if (labelled || at(object, {"spec", "cluster"}).as_string() == cluster) take(seen.groups, parse_dask_worker_group(object));
        break;
      case Kind::kDeployment:
        if (labelled) take(seen.deployments, parse_deployment(object));
        break;
      case Kind::kService:
        if (labelled) take(seen.services, parse_service(object));
        break;
      case Kind::kPod:
        if (labelled) take(seen.pods, parse_pod(object));
        break;
      case Kind::kDaskJob:
      case Kind::kDaskAutoscaler: break;
    }
  }
  return seen;
}

}  // namespace dask::operator_model
