// The rest of a model Kubernetes: what its controllers and kubelets do, one step at a time, as somebody else decides. And what an operator
// sees of it, from a cache.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api_server.h"

namespace dask::operator_model {

// A DaskCluster and a DaskWorkerGroup as users write them.
struct Wish {
  std::string name;
  std::int64_t replicas = 1;
  std::string image = "dask";
  Value spec_extra = Value::map();  // merged into spec
  std::string service_type = "ClusterIP";
};
Value cluster_object(const Wish& wish);
Value group_object(const Wish& wish, const std::string& cluster);

// ---- controllers ----

// A Deployment's newest pod for its template; made when there is none. Its name.
std::string make_pod(ApiServer& api, const std::string& deployment);
// Pods of a Deployment that are not being deleted.
std::vector<std::string> pods_of(const ApiServer& api, const std::string& deployment);
// Whether a pod was made from the Deployment's present template.
bool is_current(const ApiServer& api, const std::string& deployment, const std::string& pod);
// The pod's containers run and are ready; it gets an address.
void start_pod(ApiServer& api, const std::string& pod, bool ready = true);
// A container waits for this reason.
void trouble_pod(ApiServer& api, const std::string& pod, const std::string& reason, const std::string& message);
// Deployment statuses follow their pods.
void sync_deployment(ApiServer& api, const std::string& deployment);
// Sends one object away whose owners are all gone; false when there is none.
bool collect_one(ApiServer& api);

// ---- an operator's view ----

// What a plan for this cluster would see if these were the caches. What cannot be parsed is left out.
Observed observe(const std::map<ObjectKey, Value>& cache, const std::string& ns, const std::string& cluster);

}  // namespace dask::operator_model
