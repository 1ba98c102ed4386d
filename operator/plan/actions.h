// What a plan wants done, in the imperative. The shell carries actions out in their order and stops at the first that fails (the key is
// planned again, with back-off); neighbours with the same `stage` may run at the same time.
// Every action is right to repeat. 404 of a DeleteObject and 409 of a CreateObject mean: done already.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/base/value.h"
#include "operator/api/kind.h"
#include "operator/api/time.h"

namespace dask::kube {

// POST. Only for what must never be overwritten (a default worker group: its replicas belong to the user from then on).
struct CreateObject {
  ObjectRef object;
  Value body;
};

// Server-side apply (application/apply-patch+yaml) with Settings::field_manager and force=true: the whole object as we want it.
// With `uid` in the reference: metadata.uid is in the body too, so that another object of that name answers 409.
struct ApplyObject {
  ObjectRef object;
  Value body;
};

// JSON merge patch of the main resource: marks, finalizers, owners, replicas. `body` holds metadata.uid (409 when another object has the
// name now) and, where lists are replaced, metadata.resourceVersion (409 when it has changed since).
// 404: the object is gone, the plan is out of date; plan again when the cache says so. No failure.
struct PatchObject {
  ObjectRef object;
  Value body;
};

// JSON merge patch of .../status, {"status": {...}}; same rules. With metadata.resourceVersion, what follows rests on that version: it is
// sent although it may change nothing.
struct PatchStatus {
  ObjectRef object;
  Value body;
};

// DELETE with preconditions.uid and the given propagation.
struct DeleteObject {
  ObjectRef object;         // with its uid, always
  bool foreground = false;  // propagationPolicy; else Background
  std::string why;          // for the log
};

// An Event about `regarding` (events.k8s.io/v1). The shell joins repetitions and limits the rate; a failure to write one is only logged.
struct EmitEvent {
  ObjectRef regarding;
  bool warning = false;
  std::string reason;  // CamelCase, stable
  std::string action;  // CamelCase, what was done or tried: "Reconcile", "Drain", ...
  std::string message;
};

// Where a scheduler listens, as a Service's name and, where known, its IP: the shell dials `ip` when it is not empty.
struct SchedulerEndpoint {
  std::string ns;
  std::string cluster;
  std::string host;  // {cluster}-scheduler.{ns}.svc.{domain}
  std::string ip;
  std::int64_t port = 8786;
  std::int64_t dashboard_port = 8787;
  friend bool operator==(const SchedulerEndpoint&, const SchedulerEndpoint&) = default;
};

// Starts to ask for id, workers (with status, stored bytes, processing) and idle_since. Does not wait for the answer: it goes into the
// SchedulerView (`polling` is true until then), and the key is planned again. No new poll while one is under way.
struct PollScheduler {
  SchedulerEndpoint scheduler;
};

// Starts RPC retire_workers(workers=addresses + also, close_workers=False, remove=False). Does not wait: each of `addresses` gets a
// Retirement with outcome kAsked, `asked_ms` and `quiet` at once, its outcome with the answer: kRetired for those in it, kStays for those
// that are not; and the key is planned again (scheduler_view.h).
struct AskSchedulerToRetire {
  SchedulerEndpoint scheduler;
  std::vector<std::string> addresses;
  bool quiet = false;             // they were retiring and had no task any more when this was asked: the answer is final
  std::vector<std::string> also;  // who else is closing: copies there must not count
};

// Plan this key again after so long, whatever happens. At most one per plan, the soonest.
struct RequeueAfter {
  TimeMs delay_ms = 0;
};

using ActionVariant = std::variant<CreateObject, ApplyObject, PatchObject, PatchStatus, DeleteObject, EmitEvent, PollScheduler,
                                   AskSchedulerToRetire, RequeueAfter>;

struct Action {
  int stage = 0;  // never falls from one action to the next
  ActionVariant what;
};

using Actions = std::vector<Action>;

}  // namespace dask::kube
