// The four custom resources as C++ values. Pod templates and everything else that belongs to the user stay JSON trees, field by field
// as they came: what this program does not know, it passes on. A spec that cannot be used is still a value, with `problems`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/meta.h"

namespace dask::kube {

enum class WorkerWorkload {
  kDeployment,  // one Deployment per worker, as ever
  kPod,         // one bare Pod per worker: about ten times fewer writes
};

// What happens to a worker whose data cannot be moved within the time: spec.drain.onTimeout.
enum class DrainTimeoutPolicy { kKeep, kDelete };

// spec.drain, of a DaskCluster: how workers leave.
struct DrainPolicy {
  TimeMs timeout_ms = 0;  // 0: kDrainTimeoutMs (operator/plan/limits.h)
  DrainTimeoutPolicy on_timeout = DrainTimeoutPolicy::kKeep;
  friend bool operator==(const DrainPolicy&, const DrainPolicy&) = default;
};

// {metadata{labels, annotations}, spec PodSpec}: the user's half of a pod template.
struct PodTemplate {
  Labels labels;
  Labels annotations;
  Value spec;  // a map, or nil when it is missing
};

struct WorkerSpec {
  std::int64_t replicas = 1;
  PodTemplate pod;
  Value raw;  // the whole object, to hand on to a default group
};

// What both DaskCluster and DaskWorkerGroup report.
struct WorkerCounts {
  std::int64_t desired = 0;
  std::int64_t ready = 0;     // their pods are Ready
  std::int64_t pending = 0;   // exist, not Ready
  std::int64_t retiring = 0;  // being drained
  friend bool operator==(const WorkerCounts&, const WorkerCounts&) = default;
};

struct DaskClusterStatus {
  std::string phase;  // "", Created, Pending, Running, Error: KubeCluster waits for Running
  std::int64_t observed_generation = 0;
  std::int64_t replicas = 0;  // workers that exist, over all groups
  std::int64_t ready_replicas = 0;
  std::string selector;  // of all worker pods, for the scale subresource
  std::string scheduler_address;
  std::string dashboard_address;
  WorkerCounts workers;
  std::vector<Condition> conditions;
  friend bool operator==(const DaskClusterStatus&, const DaskClusterStatus&) = default;
};

struct DaskCluster {
  ObjectMeta meta;
  PodTemplate scheduler;
  Value service_spec;  // spec.scheduler.service: a ServiceSpec
  WorkerSpec worker;
  TimeMs idle_timeout_ms = 0;  // 0: never
  WorkerWorkload workload = WorkerWorkload::kDeployment;
  std::string cluster_domain;  // empty: the operator's setting
  DrainPolicy drain;
  std::vector<std::string> problems;  // "spec.worker.spec is missing: …": what makes the spec unusable
  DaskClusterStatus status;
};

struct DaskWorkerGroupStatus {
  std::int64_t observed_generation = 0;
  std::int64_t replicas = 0;
  std::int64_t ready_replicas = 0;
  std::string selector;
  // Ordinals of workers that are gone for good, "0-4,7": their names are not used again while an old pod may still be ending.
  std::string retired_ordinals;
  WorkerCounts workers;
  std::vector<Condition> conditions;
  friend bool operator==(const DaskWorkerGroupStatus&, const DaskWorkerGroupStatus&) = default;
};

struct DaskWorkerGroup {
  ObjectMeta meta;
  std::string cluster;  // spec.cluster
  WorkerSpec worker;
  std::optional<WorkerWorkload> workload;  // none: as the cluster says
  std::vector<std::string> problems;
  DaskWorkerGroupStatus status;
};

struct DaskJob {
  ObjectMeta meta;
  std::string job_status;  // status.jobStatus
};

struct DaskAutoscaler {
  ObjectMeta meta;
  std::string cluster;
  std::vector<Condition> conditions;
};

// kMalformed only when metadata has no name: a wrong spec is a value with problems.
Result<DaskCluster> parse_dask_cluster(const Value& object);
Result<DaskWorkerGroup> parse_dask_worker_group(const Value& object);
Result<DaskJob> parse_dask_job(const Value& object);
Result<DaskAutoscaler> parse_dask_autoscaler(const Value& object);

// The value of `status`, complete: what is empty is null, so that it serves as a merge patch.
Value render(const DaskClusterStatus& status);
Value render(const DaskWorkerGroupStatus& status);

}  // namespace dask::kube
