// The objects that the operator makes, as whole JSON bodies. The user's pod template goes in as it is; only labels, annotations, owners
// and two environment variables are added, never over what the user has set.
#pragma once

#include <string>
#include <string_view>

#include "operator/plan/observed.h"

namespace dask::kube {

// Where a scheduler listens inside the cluster: tcp://{c}-scheduler.{ns}.svc.{domain}:{port of tcp-comm}.
std::string scheduler_host(const DaskCluster& cluster, const Settings& settings);
std::string scheduler_address(const DaskCluster& cluster, const Settings& settings);
std::string dashboard_address(const DaskCluster& cluster, const Settings& settings);

// `present`: what stands there now, or null. Its selector is kept, as a selector cannot be changed.
Value render_scheduler(const DaskCluster& cluster, const Deployment* present);
Value render_service(const DaskCluster& cluster);
Value render_default_group(const DaskCluster& cluster);
// One worker, as a Deployment or as a bare Pod.
Value render_worker(const DaskCluster& cluster, const DaskWorkerGroup& group, const Settings& settings, WorkerWorkload workload,
                    std::int64_t ordinal);

// What of a cluster's spec.worker reaches its default group, except replicas, as a hash.
std::string propagated_hash(const DaskCluster& cluster);

// The selector of a group's or of a cluster's worker pods, as the scale subresource has it.
std::string workers_selector(std::string_view cluster, std::string_view group = {});

// {apiVersion, kind, metadata{name, namespace}}: the start of every body. With a uid as a precondition.
Value body_of(const ObjectRef& object);
ObjectRef ref_of(Kind kind, const ObjectMeta& meta);
OwnerReference owner_ref(Kind kind, const ObjectMeta& meta);

// Writes the annotation that says what was applied: the hash of the body without it.
void stamp(Value& body);
std::string_view stamped_hash(const Value& body);

}  // namespace dask::kube
