// What users are told: conditions with the reason that the pods themselves give, counts, and the phase that clients wait for.
#pragma once

#include <string>
#include <vector>

#include "operator/plan/workers.h"

namespace dask::kube {

// What is wrong with the pods of some workload, in the words of Kubernetes; empty when nothing is.
struct Trouble {
  std::string reason;
  std::string message;
};

// The state of a cluster's scheduler as far as this plan has seen it.
struct SchedulerState {
  bool ready = false;
  Trouble trouble;     // of its pods, its Deployment, or the API server's refusal
  std::string reason;  // why it is not ready when there is no trouble: "Starting", "WaitingForPreviousCluster"
  std::string message;
  const Service* service = nullptr;  // null until the cache has it
};

// The trouble of a Deployment with its pods, or of a bare pod.
Trouble trouble_of(const Draft& draft, Kind kind, std::string_view name, const Deployment* deployment, const std::vector<const Pod*>& pods);

// Writes statuses (only when they differ from what is there) and events for what has changed.
void report_group(Draft& draft, const DaskCluster* cluster, const GroupPlan& plan);
void report_cluster(Draft& draft, const DaskCluster& cluster, const SchedulerState& scheduler, const std::vector<GroupPlan>& groups);
// A cluster that cannot be served: a bad name, a spec that makes no sense.
void report_unusable(Draft& draft, const DaskCluster& cluster, const std::string& reason, const std::string& message);

}  // namespace dask::kube
