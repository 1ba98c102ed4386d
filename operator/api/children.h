// Deployments, Services and Pods as the operator needs to see them: names, owners, readiness and what is wrong. The rest of these
// objects is not kept: ten thousand pods must fit into a small process.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "operator/api/meta.h"

namespace dask::kube {

struct Deployment {
  ObjectMeta meta;
  Labels selector;            // spec.selector.matchLabels: cannot be changed once it is there
  std::int64_t replicas = 0;  // spec.replicas
  bool recreate = false;      // spec.strategy.type
  std::int64_t observed_generation = 0;
  std::int64_t ready_replicas = 0;
  std::string failure_reason;   // of its condition ReplicaFailure when that is True: FailedCreate, ...
  std::string failure_message;  // "pods ... is forbidden: exceeded quota: ..."

  bool ready() const { return observed_generation >= meta.generation && ready_replicas >= 1; }
};

struct ServicePort {
  std::string name;
  std::int64_t port = 0;
  friend bool operator==(const ServicePort&, const ServicePort&) = default;
};

struct Service {
  ObjectMeta meta;
  std::string type;        // ClusterIP, NodePort, LoadBalancer, ...
  std::string cluster_ip;  // empty or "None" when it has none
  Labels selector;
  std::vector<ServicePort> ports;
  std::string ingress;  // the first address of a load balancer: IP or host name; empty when there is none yet

  // The number of the port with this name; `otherwise` when there is none.
  std::int64_t port(std::string_view name, std::int64_t otherwise) const;
};

struct Pod {
  ObjectMeta meta;
  std::string phase;  // Pending, Running, Succeeded, Failed, Unknown
  bool ready = false;
  std::string ip;
  bool started = false;  // some container of it runs or has run
  std::int64_t restarts = 0;
  // Why it is not well: ImagePullBackOff, ErrImagePull, CrashLoopBackOff, OOMKilled, Unschedulable, CreateContainerConfigError, ...
  std::string trouble;
  std::string trouble_message;

  bool ended() const { return phase == "Succeeded" || phase == "Failed"; }
  // The Deployment that it belongs to, from its ReplicaSet's name; its own name when a DaskWorkerGroup owns it directly.
  std::string_view workload() const;
};

Result<Deployment> parse_deployment(const Value& object);
Result<Service> parse_service(const Value& object);
Result<Pod> parse_pod(const Value& object);

}  // namespace dask::kube
