// Caches: everything that the operator looks at, kept up to date by one Watcher per kind and namespace. A change names the key to plan
// again: a cluster's, a job's or an autoscaler's. Thread ownership: the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "operator/api/children.h"
#include "operator/api/dask.h"
#include "operator/kube/object_cache.h"
#include "operator/kube/watcher.h"
#include "operator/plan/observed.h"

namespace dask::kube {

// What is planned: clusters with all that belongs to them, jobs, autoscalers.
struct WorkKey {
  Kind kind = Kind::kDaskCluster;
  std::string ns;
  std::string name;
  std::string str() const;  // "DaskCluster/default/simple"
  static WorkKey parse(const std::string& text);
};

// What has happened to a key: somebody wants something else of it, or what was asked for gets on.
enum class Change { kWish, kProgress };

class Caches {
 public:
  using Dirty = std::function<void(const std::string& key, Change change)>;
  Caches(net::Loop& loop, const Clock& clock, KubeClient& client, std::vector<std::string> namespaces, Dirty dirty,
         std::function<void()> reached);
  ~Caches();

  void start();
  bool synced() const;
  // Watchers in trouble: what /healthz and the log say. Empty when all is well.
  std::vector<std::string> troubles() const;
  // The longest time that one of them has not reached the API server, in seconds.
  double failing_s() const;

  Observed observe(const std::string& ns, const std::string& cluster) const;
  std::shared_ptr<const DaskJob> job(const std::string& ns, const std::string& name) const;
  std::shared_ptr<const DaskAutoscaler> autoscaler(const std::string& ns, const std::string& name) const;
  std::shared_ptr<const DaskCluster> cluster(const std::string& ns, const std::string& name) const;

  // The answer to a write of ours: seen at once, before its event comes.
  void wrote(Kind kind, const Value& object);
  void deleted(const ObjectRef& object);

  // Calls with each cluster: for metrics.
  void for_each_cluster(const std::function<void(const DaskCluster&)>& visit) const;
  std::size_t objects(Kind kind) const;

 private:
  struct Store;
  std::unique_ptr<Store> store_;
};

}  // namespace dask::kube
