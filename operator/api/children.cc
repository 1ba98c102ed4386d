#include "operator/api/children.h"

#include <algorithm>

namespace dask::kube {
namespace {

const Value* condition_named(const Value& status, std::string_view type) {
  if (const Value::Array* items = status["conditions"].array_if())
    for (const Value& item : *items)
      if (item["type"].as_string() == type) return &item;
  return nullptr;
}

// Reasons to wait that are no trouble: they end by themselves.
bool is_progress(std::string_view reason) { return reason.empty() || reason == "ContainerCreating" || reason == "PodInitializing"; }

void note_trouble(Pod& pod, std::string_view reason, std::string message) {
  if (!pod.trouble.empty() || reason.empty()) return;
  pod.trouble = reason;
  pod.trouble_message = std::move(message);
}

std::string how_it_ended(const Value& terminated) {
  std::string text = "exit code " + std::to_string(terminated["exitCode"].as_int());
  if (!terminated["message"].as_string().empty()) text += ": " + text_of(terminated["message"]);
  return text;
}

void read_container(Pod& pod, const Value& container, bool init) {
  const Value& waiting = container["state"]["waiting"];
  const Value& running = container["state"]["running"];
  const Value& ended = container["state"]["terminated"];
  const Value& ended_before = container["lastState"]["terminated"];
  const std::string name = text_of(container["name"]);
  const std::int64_t restarts = container["restartCount"].as_int();
  pod.restarts += restarts;
  if (!init && (running.is_map() || ended.is_map() || ended_before.is_map() || restarts > 0)) pod.started = true;
  // A container that the kernel kills again and again waits as any that crashes: the reason is in how it ended.
  if (waiting.is_map() && !is_progress(waiting["reason"].as_string())) {
    if (ended_before["reason"].as_string() == "OOMKilled")
      note_trouble(pod, "OOMKilled", "container " + name + " used more memory than its limit");
    else if (ended_before.is_map())
      note_trouble(pod, waiting["reason"].as_string(), "container " + name + ": " + how_it_ended(ended_before));
    else
      note_trouble(pod, waiting["reason"].as_string(), "container " + name + ": " + text_of(waiting["message"]));
  } else if (ended.is_map() && ended["exitCode"].as_int() != 0) {
    const std::string_view reason = ended["reason"].as_string();
    note_trouble(pod, reason.empty() ? "Error" : reason, "container " + name + ": " + how_it_ended(ended));
  } else if (running.is_map() && !container["ready"].as_bool() && ended_before["reason"].as_string() == "OOMKilled") {
    note_trouble(pod, "OOMKilled", "container " + name + " used more memory than its limit and was started again");
  }
}

}  // namespace

std::int64_t Service::port(std::string_view name, std::int64_t otherwise) const {
  const auto it = std::find_if(ports.begin(), ports.end(), [&](const ServicePort& p) { return p.name == name; });
  return it == ports.end() ? otherwise : it->port;
}

std::string_view Pod::workload() const {
  const OwnerReference* owner = meta.controller();
  if (!owner) return {};
  if (owner->kind != "ReplicaSet") return meta.name;
  const std::string_view set = owner->name;
  return set.substr(0, set.rfind('-'));
}

Result<Deployment> parse_deployment(const Value& object) {
  Deployment deployment;
  DASK_TRY(deployment.meta, parse_meta(object));
  const Value& spec = object["spec"];
  const Value& status = object["status"];
  deployment.selector = parse_labels(spec["selector"]["matchLabels"]);
  deployment.replicas = spec["replicas"].as_int(1);
  deployment.recreate = spec["strategy"]["type"].as_string() == "Recreate";
  deployment.observed_generation = status["observedGeneration"].as_int();
  deployment.ready_replicas = status["readyReplicas"].as_int();
  if (const Value* failure = condition_named(status, "ReplicaFailure"); failure && (*failure)["status"].as_string() == "True") {
    deployment.failure_reason = text_of((*failure)["reason"]);
    deployment.failure_message = text_of((*failure)["message"]);
  }
  return deployment;
}

Result<Service> parse_service(const Value& object) {
  Service service;
  DASK_TRY(service.meta, parse_meta(object));
  const Value& spec = object["spec"];
  service.type = text_of(spec["type"]);
  service.cluster_ip = text_of(spec["clusterIP"]);
  service.selector = parse_labels(spec["selector"]);
  if (const Value::Array* ports = spec["ports"].array_if())
    for (const Value& port : *ports) service.ports.push_back(ServicePort{text_of(port["name"]), port["port"].as_int()});
  if (const Value::Array* ingress = object["status"]["loadBalancer"]["ingress"].array_if(); ingress && !ingress->empty()) {
    service.ingress = text_of(ingress->front()["ip"]);
    if (service.ingress.empty()) service.ingress = text_of(ingress->front()["hostname"]);
  }
  return service;
}

Result<Pod> parse_pod(const Value& object) {
  Pod pod;
  DASK_TRY(pod.meta, parse_meta(object));
  const Value& status = object["status"];
  pod.phase = text_of(status["phase"]);
  pod.ip = text_of(status["podIP"]);
  if (const Value* ready = condition_named(status, "Ready")) pod.ready = (*ready)["status"].as_string() == "True";
  if (const Value* scheduled = condition_named(status, "PodScheduled"); scheduled && (*scheduled)["status"].as_string() == "False")
    note_trouble(pod, (*scheduled)["reason"].as_string(), text_of((*scheduled)["message"]));
  if (pod.phase == "Failed") note_trouble(pod, status["reason"].as_string(), text_of(status["message"]));  // Evicted, NodeLost
  for (const bool init : {true, false})
    if (const Value::Array* containers = status[init ? "initContainerStatuses" : "containerStatuses"].array_if())
      for (const Value& container : *containers) read_container(pod, container, init);
  if (pod.phase == "Failed") note_trouble(pod, "Failed", "the pod has failed");
  if (pod.ready) {
    pod.trouble.clear();
    pod.trouble_message.clear();
  }
  return pod;
}

}  // namespace dask::kube
