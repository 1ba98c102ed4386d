// The kinds of Kubernetes objects that the operator reads or writes, and where the API server keeps each of them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dask::kube {

enum class Kind {
  kDaskCluster,
  kDaskWorkerGroup,
  kDaskJob,
  kDaskAutoscaler,
  kDeployment,
  kService,
  kPod,
};

inline constexpr Kind kKinds[] = {Kind::kDaskCluster, Kind::kDaskWorkerGroup, Kind::kDaskJob, Kind::kDaskAutoscaler,
                                  Kind::kDeployment,  Kind::kService,         Kind::kPod};

inline constexpr std::string_view kDaskApiVersion = "kubernetes.dask.org/v1";

// "apps/v1", "v1", "kubernetes.dask.org/v1".
std::string_view api_version_of(Kind kind);
// "Deployment", as in an object's `kind`.
std::string_view name_of(Kind kind);
// "deployments", as in a path.
std::string_view plural_of(Kind kind);
std::optional<Kind> kind_named(std::string_view api_version, std::string_view name);

// "/apis/apps/v1/namespaces/ns/deployments/name"; without a name the collection, without a namespace that of all namespaces.
std::string path_of(Kind kind, std::string_view ns, std::string_view name = {});

// One object, by name: what a queue or a log line needs.
struct ObjectRef {
  Kind kind = Kind::kDaskCluster;
  std::string ns;
  std::string name;
  std::string uid;  // empty: whichever has the name
  friend bool operator==(const ObjectRef&, const ObjectRef&) = default;
};

}  // namespace dask::kube
