#include "operator/plan/migrate.h"

namespace dask::kube {
namespace {
constexpr std::string_view kFinalizer = "kopf.zalando.org/KopfFinalizerMarker";
constexpr std::string_view kAnnotationPrefix = "kopf.zalando.org/";
}  // namespace

Value migration_of(Kind kind, const ObjectMeta& meta) {
  Value annotations = Value::map();
  for (const auto& [name, value] : meta.annotations)
    if (name.starts_with(kAnnotationPrefix)) annotations.set(name, Value());
  const bool held = std::find(meta.finalizers.begin(), meta.finalizers.end(), kFinalizer) != meta.finalizers.end();
  if (!held && annotations.map_if()->empty()) return {};
  Value body = body_of(ref_of(kind, meta));
  Value metadata = body["metadata"];
  metadata.set("resourceVersion", meta.resource_version);
  if (!annotations.map_if()->empty()) metadata.set("annotations", std::move(annotations));
  if (held) {
    Value rest = Value::array();
    for (const std::string& finalizer : meta.finalizers)
      if (finalizer != kFinalizer) rest.push_back(finalizer);
    metadata.set("finalizers", std::move(rest));
  }
  body.set("metadata", std::move(metadata));
  return body;
}

void migrate(Draft& draft, Kind kind, const ObjectMeta& meta) {
  if (Value body = migration_of(kind, meta); !body.is_nil()) draft.add(kStageMend, PatchObject{ref_of(kind, meta), std::move(body)});
}

}  // namespace dask::kube
