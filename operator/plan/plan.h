// From what is wanted and what is seen to what must be done. Pure and level-triggered: no clock, no I/O, no memory; the same call gives
// the same actions, and none but waiting once everything is as wanted.
//
// Promises, whatever is stale, and wherever the operator is killed between two actions:
// (1) worker names follow from the group's uid and an ordinal: repeating a plan never makes a second worker or scheduler;
// (2) a worker that is registered with a reachable scheduler is deleted only after the scheduler has said that nothing is left that only
//     this worker holds, except when nobody is to remain who could take it (scaling the whole cluster to zero), or spec.drain says so;
// (3) objects of an earlier cluster of the same name are never adopted, only waited for;
// (4) what users scale stays scaled: spec.worker.replicas of a cluster reaches its default group only when it changes.
#pragma once

#include "operator/plan/actions.h"
#include "operator/plan/limits.h"
#include "operator/plan/observed.h"

namespace dask::kube {

// The cluster with all its groups: one key, so that nothing of a cluster is planned twice at once.
Actions plan_cluster(const Observed& observed, const Settings& settings, TimeMs now_ms);

// Not handled yet: says so. A DaskJob only by an Event (once; the annotation kubernetes.dask.org/not-handled remembers it), as clients
// check the exact keys of its status; a DaskAutoscaler by the condition Ready=False, reason NotHandledYet.
// Both lose the finalizer of the Python operator, so that they can be deleted.
Actions plan_job(const DaskJob& job, const Settings& settings, TimeMs now_ms);
Actions plan_autoscaler(const DaskAutoscaler& autoscaler, const Settings& settings, TimeMs now_ms);

// ---- names ----

std::string scheduler_name(std::string_view cluster);      // {cluster}-scheduler: Deployment and Service
std::string default_group_name(std::string_view cluster);  // {cluster}-default
// {group}-worker-{10 hex}.
std::string worker_name(std::string_view group, std::string_view group_uid, std::int64_t ordinal);

// Labels and annotations that objects of ours carry.
inline constexpr const char* kClusterLabel = "dask.org/cluster-name";
inline constexpr const char* kGroupLabel = "dask.org/workergroup-name";
inline constexpr const char* kComponentLabel = "dask.org/component";
inline constexpr const char* kWorkerLabel = "dask.org/worker-id";
inline constexpr const char* kRetiringAnnotation = "kubernetes.dask.org/retiring";      // since when, RFC 3339
inline constexpr const char* kOrdinalAnnotation = "kubernetes.dask.org/ordinal";        // of a worker in its group
inline constexpr const char* kSpecHashAnnotation = "kubernetes.dask.org/spec-hash";     // of what was applied
inline constexpr const char* kGenerationAnnotation = "kubernetes.dask.org/generation";  // that our own writes explain (generation.h)
// On a default group: the cluster's spec.worker.replicas, and the hash of the rest of spec.worker, that reached it last.
inline constexpr const char* kPropagatedReplicasAnnotation = "kubernetes.dask.org/propagated-replicas";
inline constexpr const char* kPropagatedSpecAnnotation = "kubernetes.dask.org/propagated-spec";
inline constexpr const char* kNotHandledAnnotation = "kubernetes.dask.org/not-handled";

}  // namespace dask::kube
