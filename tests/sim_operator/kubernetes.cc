// Kubelets, controllers and Dask's workers: each round moves some things one step.
#include "simulation.h"

namespace dask::sim_operator {

using operator_model::at;
using operator_model::put;
using sim::kMillisecond;
using sim::kSecond;

SchedulerModel* Simulation::scheduler_of(const std::string& cluster) {
  const auto it = schedulers_.find(cluster);
  return it == schedulers_.end() ? nullptr : it->second.get();
}

// A Deployment gets pods, loses those of an old template, and reports.
void Simulation::run_deployment(const std::string& name) {
  const Value* deployment = api_.find(Kind::kDeployment, name);
  if (!deployment) return;
  const bool recreate = at(*deployment, {"spec", "strategy", "type"}).as_string() == "Recreate";
  const std::int64_t replicas = at(*deployment, {"spec", "replicas"}).as_int(1);
  const auto pods = operator_model::pods_of(api_, name);
  std::int64_t current = 0;
  bool old_ones = false;
  for (const std::string& pod : pods) {
    if (operator_model::is_current(api_, name, pod) && current < replicas) {
      ++current;
      continue;
    }
    old_ones = true;
    api_.remove({Kind::kPod, "ns", pod, {}});
  }
  // Recreate waits until the old ones are gone, ending ones too.
  bool ending = false;
  for (const ObjectKey& key : api_.keys(Kind::kPod)) {
    if (!key.second.starts_with(name)) continue;
    const auto pod = parse_pod(*api_.find(key.first, key.second));
    ending |= pod && pod->workload() == name && pod->meta.deleting();
  }
  if (current == 0 && replicas > 0 && !(recreate && (old_ones || ending))) operator_model::make_pod(api_, name);
  operator_model::sync_deployment(api_, name);
}

void Simulation::run_controllers() {
  for (const ObjectKey& key : api_.keys(Kind::kDeployment))
    if (random_.chance(0.5)) run_deployment(key.second);
  if (random_.chance(0.7)) operator_model::collect_one(api_);
}

void Simulation::run_kubelet() {
  for (const ObjectKey& key : api_.keys(Kind::kPod)) {
    if (!random_.chance(0.4)) continue;
    const Value* object = api_.find(key.first, key.second);
    if (at(*object, {"metadata", "deletionTimestamp"}).is_nil() && at(*object, {"status", "phase"}).as_string() == "Running") continue;
    const auto pod = parse_pod(*object);
    if (!pod) continue;
    const std::string workload(pod->workload());
    if (pod->meta.deleting()) {
      for (const auto& [cluster, scheduler] : schedulers_) scheduler->remove_pod(key.second);
      for (const auto& [cluster, running] : scheduler_pods_)
        if (running == key.second) schedulers_[cluster]->stop();
      api_.drop(key.first, key.second);
    } else if (!pod->started) {
      if (broken_images_.contains(workload))
        operator_model::trouble_pod(api_, key.second, "ImagePullBackOff", "no such image");
      else
        operator_model::start_pod(api_, key.second);
      const std::string cluster(at(*object, {"metadata", "labels", kClusterLabel}).as_string());
      if (broken_images_.contains(workload) || workload != scheduler_name(cluster)) continue;
      auto& scheduler = schedulers_[cluster];
      if (!scheduler) scheduler = std::make_unique<SchedulerModel>(timeline_, random_);
      const std::string& other = scheduler_pods_[cluster];
      if (scheduler->runs() && other != key.second && api_.find(Kind::kPod, other)) fail("two schedulers of " + cluster + " run");
      scheduler->start();
      scheduler_pods_[cluster] = key.second;
    }
  }
}

// Workers that run tell the scheduler, each after a while.
void Simulation::register_workers() {
  for (const ObjectKey& key : api_.keys(Kind::kPod)) {
    if (!random_.chance(0.3)) continue;
    const Value* object = api_.find(key.first, key.second);
    SchedulerModel* scheduler = scheduler_of(std::string(at(*object, {"metadata", "labels", kClusterLabel}).as_string()));
    if (!scheduler || !scheduler->runs() || scheduler->knows_pod(key.second)) continue;
    const auto pod = parse_pod(*object);
    if (!pod || !pod->started || pod->ended() || pod->meta.deleting() || pod->meta.label(kComponentLabel) != "worker") continue;
    log(fmt::format("{} registers with the address {}", key.second, pod->ip));
    scheduler->register_worker(std::string(pod->workload()), key.second, pod->ip);
  }
}

}  // namespace dask::sim_operator
