#include "operator/api/kind.h"

#include <fmt/format.h>

#include "core/base/check.h"

namespace dask::kube {
namespace {

struct Row {
  Kind kind;
  std::string_view api_version;
  std::string_view name;
  std::string_view plural;
};

constexpr Row kRows[] = {
    {Kind::kDaskCluster, kDaskApiVersion, "DaskCluster", "daskclusters"},
    {Kind::kDaskWorkerGroup, kDaskApiVersion, "DaskWorkerGroup", "daskworkergroups"},
    {Kind::kDaskJob, kDaskApiVersion, "DaskJob", "daskjobs"},
    {Kind::kDaskAutoscaler, kDaskApiVersion, "DaskAutoscaler", "daskautoscalers"},
    {Kind::kDeployment, "apps/v1", "Deployment", "deployments"},
    {Kind::kService, "v1", "Service", "services"},
    {Kind::kPod, "v1", "Pod", "pods"},
};

const Row& row_of(Kind kind) {
  for (const Row& row : kRows)
    if (row.kind == kind) return row;
  DASK_CHECK(false, "a kind without a row: {}", static_cast<int>(kind));
  return kRows[0];
}

}  // namespace

std::string_view api_version_of(Kind kind) { return row_of(kind).api_version; }
std::string_view name_of(Kind kind) { return row_of(kind).name; }
std::string_view plural_of(Kind kind) { return row_of(kind).plural; }

std::optional<Kind> kind_named(std::string_view api_version, std::string_view name) {
  for (const Row& row : kRows)
    if (row.api_version == api_version && row.name == name) return row.kind;
  return std::nullopt;
}

std::string path_of(Kind kind, std::string_view ns, std::string_view name) {
  const Row& row = row_of(kind);
  // The core group, "v1", has a path of its own.
  std::string path = fmt::format("/{}/{}", row.api_version.find('/') == row.api_version.npos ? "api" : "apis", row.api_version);
  if (!ns.empty()) path += fmt::format("/namespaces/{}", ns);
  path += fmt::format("/{}", row.plural);
  if (!name.empty()) path += fmt::format("/{}", name);
  return path;
}

}  // namespace dask::kube
