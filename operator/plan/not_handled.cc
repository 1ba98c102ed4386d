// Resources that this operator has the schema of and does not act on yet: they say so instead of being silent.
#include "operator/plan/migrate.h"

namespace dask::kube {
namespace {

constexpr const char* kText = "This operator does not handle {} yet";

std::string text_for(Kind kind) {
  std::string text = kText;
  return text.replace(text.find("{}"), 2, name_of(kind));
}

Observed nothing_of(const ObjectMeta& meta) {
  Observed observed;
  observed.ns = meta.ns;
  return observed;
}

}  // namespace

Actions plan_job(const DaskJob& job, const Settings& settings, TimeMs now_ms) {
  const Observed observed = nothing_of(job.meta);
  Draft draft(observed, settings, now_ms);
  migrate(draft, Kind::kDaskJob, job.meta);
  if (job.meta.deleting() || !job.meta.annotation(kNotHandledAnnotation).empty()) return draft.take();
  const ObjectRef about = ref_of(Kind::kDaskJob, job.meta);
  draft.event(about, true, "NotHandledYet", "Reconcile", text_for(Kind::kDaskJob));
  // The Event first: once the annotation is there it is not said again.
  Value body = body_of(about);
  Value metadata = body["metadata"];
  metadata.set("annotations", Value(Value::Map{{kNotHandledAnnotation, text_for(Kind::kDaskJob)}}));
  body.set("metadata", std::move(metadata));
  draft.add(kStageStatus, PatchObject{about, std::move(body)});
  return draft.take();
}

Actions plan_autoscaler(const DaskAutoscaler& autoscaler, const Settings& settings, TimeMs now_ms) {
  const Observed observed = nothing_of(autoscaler.meta);
  Draft draft(observed, settings, now_ms);
  migrate(draft, Kind::kDaskAutoscaler, autoscaler.meta);
  const Condition* ready = find_condition(autoscaler.conditions, "Ready");
  if (autoscaler.meta.deleting() || (ready && ready->reason == "NotHandledYet" && ready->observed_generation == autoscaler.meta.generation))
    return draft.take();
  const ObjectRef about = ref_of(Kind::kDaskAutoscaler, autoscaler.meta);
  if (!ready) draft.event(about, true, "NotHandledYet", "Reconcile", text_for(Kind::kDaskAutoscaler));
  const std::vector<Condition> conditions{Condition{"Ready", false, "NotHandledYet", text_for(Kind::kDaskAutoscaler),
                                                    autoscaler.meta.generation, ready ? ready->since_ms : now_ms / kSecondMs * kSecondMs}};
  Value body = body_of(about);
  body.set("status", Value(Value::Map{{"conditions", render(conditions)}}));
  draft.add(kStageStatus, PatchStatus{about, std::move(body)});
  return draft.take();
}

}  // namespace dask::kube
