#include "operator/api/dask.h"

#include <fmt/format.h>

#include <algorithm>

namespace dask::kube {
namespace {

constexpr std::int64_t kSecondsMax = 100 * 365 * 86'400LL;  // longer times would overflow as milliseconds

TimeMs seconds_as_ms(const Value& seconds) {
  const double value = seconds.as_double();
  return static_cast<TimeMs>(std::clamp(value, 0.0, static_cast<double>(kSecondsMax)) * kSecondMs);
}

PodTemplate parse_template(const Value& from, const std::string& where, std::vector<std::string>& problems) {
  PodTemplate pod;
  pod.labels = parse_labels(from["metadata"]["labels"]);
  pod.annotations = parse_labels(from["metadata"]["annotations"]);
  pod.spec = from["spec"];
  const Value::Array* containers = pod.spec["containers"].array_if();
  if (!pod.spec.is_map())
    problems.push_back(fmt::format("{}.spec is missing: give a PodSpec with at least one container", where));
  else if (!containers || containers->empty())
    problems.push_back(fmt::format("{}.spec.containers is missing or empty: give at least one container", where));
  else
    for (std::size_t i = 0; i < containers->size(); ++i)
      if (!(*containers)[i].is_map()) problems.push_back(fmt::format("{}.spec.containers[{}] is no object", where, i));
  return pod;
}

WorkerSpec parse_worker(const Value& from, const std::string& where, std::vector<std::string>& problems) {
  WorkerSpec worker;
  worker.replicas = std::max<std::int64_t>(from["replicas"].as_int(1), 0);
  worker.pod = parse_template(from, where, problems);
  worker.raw = from;
  return worker;
}

std::optional<WorkerWorkload> parse_workload(const Value& from, std::vector<std::string>& problems) {
  if (from.is_nil()) return std::nullopt;
  if (from.as_string() == "Deployment") return WorkerWorkload::kDeployment;
  if (from.as_string() == "Pod") return WorkerWorkload::kPod;
  problems.push_back(fmt::format("spec.workerWorkload is {}: it can be Deployment or Pod", from.repr()));
  return std::nullopt;
}

WorkerCounts parse_counts(const Value& from) {
  return WorkerCounts{from["desired"].as_int(), from["ready"].as_int(), from["pending"].as_int(), from["retiring"].as_int()};
}

Value render(const WorkerCounts& counts) {
  Value map = Value::map();
  map.set("desired", counts.desired);
  map.set("ready", counts.ready);
  map.set("pending", counts.pending);
  map.set("retiring", counts.retiring);
  return map;
}

// Null takes the field away when this is a merge patch.
Value or_null(const std::string& text) { return text.empty() ? Value() : Value(text); }

// What the statuses of clusters and of worker groups share.
template <class Status>
void parse_shared(const Value& from, Status& status) {
  status.observed_generation = from["observedGeneration"].as_int();
  status.replicas = from["replicas"].as_int();
  status.ready_replicas = from["readyReplicas"].as_int();
  status.selector = text_of(from["selector"]);
  status.workers = parse_counts(from["workers"]);
  status.conditions = parse_conditions(from);
}

template <class Status>
Value render_shared(const Status& status) {
  Value map = Value::map();
  map.set("observedGeneration", status.observed_generation);
  map.set("replicas", status.replicas);
  map.set("readyReplicas", status.ready_replicas);
  map.set("selector", or_null(status.selector));
  map.set("workers", render(status.workers));
  map.set("conditions", render(status.conditions));
  return map;
}

}  // namespace

Result<DaskCluster> parse_dask_cluster(const Value& object) {
  DaskCluster cluster;
  DASK_TRY(cluster.meta, parse_meta(object));
  const Value& spec = object["spec"];
  cluster.scheduler = parse_template(spec["scheduler"], "spec.scheduler", cluster.problems);
  cluster.service_spec = spec["scheduler"]["service"];
  if (!cluster.service_spec.is_map())
    cluster.problems.push_back("spec.scheduler.service is missing: give a ServiceSpec with the ports tcp-comm and http-dashboard");
  cluster.worker = parse_worker(spec["worker"], "spec.worker", cluster.problems);
  cluster.idle_timeout_ms = seconds_as_ms(spec["idleTimeout"]);
  cluster.workload = parse_workload(spec["workerWorkload"], cluster.problems).value_or(WorkerWorkload::kDeployment);
  cluster.cluster_domain = text_of(spec["clusterDomain"]);
  cluster.drain.timeout_ms = seconds_as_ms(spec["drain"]["timeoutSeconds"]);
  const Value& on_timeout = spec["drain"]["onTimeout"];
  if (on_timeout.as_string() == "Delete")
    cluster.drain.on_timeout = DrainTimeoutPolicy::kDelete;
  else if (!on_timeout.is_nil() && on_timeout.as_string() != "Keep")
    cluster.problems.push_back(fmt::format("spec.drain.onTimeout is {}: it can be Keep or Delete", on_timeout.repr()));

  const Value& status = object["status"];
  parse_shared(status, cluster.status);
  cluster.status.phase = text_of(status["phase"]);
  cluster.status.scheduler_address = text_of(status["schedulerAddress"]);
  cluster.status.dashboard_address = text_of(status["dashboardAddress"]);
  return cluster;
}

Result<DaskWorkerGroup> parse_dask_worker_group(const Value& object) {
  DaskWorkerGroup group;
  DASK_TRY(group.meta, parse_meta(object));
  const Value& spec = object["spec"];
  group.cluster = text_of(spec["cluster"]);
  if (group.cluster.empty()) group.problems.push_back("spec.cluster is missing: give the name of a DaskCluster in this namespace");
  group.worker = parse_worker(spec["worker"], "spec.worker", group.problems);
  group.workload = parse_workload(spec["workerWorkload"], group.problems);

  parse_shared(object["status"], group.status);
  group.status.retired_ordinals = text_of(object["status"]["retiredOrdinals"]);
  return group;
}

Result<DaskJob> parse_dask_job(const Value& object) {
  DaskJob job;
  DASK_TRY(job.meta, parse_meta(object));
  job.job_status = text_of(object["status"]["jobStatus"]);
  return job;
}

Result<DaskAutoscaler> parse_dask_autoscaler(const Value& object) {
  DaskAutoscaler autoscaler;
  DASK_TRY(autoscaler.meta, parse_meta(object));
  autoscaler.cluster = text_of(object["spec"]["cluster"]);
  autoscaler.conditions = parse_conditions(object["status"]);
  return autoscaler;
}

Value render(const DaskClusterStatus& status) {
  Value map = render_shared(status);
  map.set("phase", or_null(status.phase));
  map.set("schedulerAddress", or_null(status.scheduler_address));
  map.set("dashboardAddress", or_null(status.dashboard_address));
  return map;
}

Value render(const DaskWorkerGroupStatus& status) {
  Value map = render_shared(status);
  map.set("retiredOrdinals", or_null(status.retired_ordinals));
  return map;
}

}  // namespace dask::kube
