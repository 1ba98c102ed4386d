// Actions as requests, and what their answers mean.
#include "operator/controller/executor.h"

#include <fmt/format.h>

#include "core/base/json.h"
#include "core/runtime/log.h"
#include "operator/controller/schedulers.h"

namespace dask::kube {

namespace {

const ObjectRef* object_of(const ActionVariant& what) {
  return std::visit(
      [](const auto& action) -> const ObjectRef* {
        if constexpr (requires { action.object; })
          return &action.object;
        else
          return nullptr;
      },
      what);
}

std::string_view verb_of(const ActionVariant& what) {
  if (std::holds_alternative<CreateObject>(what)) return "create";
  if (std::holds_alternative<DeleteObject>(what)) return "delete";
  if (std::holds_alternative<PatchStatus>(what)) return "write the status of";
  return std::holds_alternative<ApplyObject>(what) ? "apply" : "patch";
}

// Failures that mean: done already, or out of date and planned again when the cache says so.
bool is_no_failure(const ActionVariant& what, const KubeError& error) {
  if (std::holds_alternative<CreateObject>(what)) return error.status == 409 && error.reason == "AlreadyExists";
  // 409: another object has the name now; the one that was meant is gone.
  if (std::holds_alternative<DeleteObject>(what)) return error.status == 404 || error.status == 409;
  if (std::holds_alternative<PatchObject>(what) || std::holds_alternative<PatchStatus>(what)) return error.status == 404;
  return false;
}

bool is_refusal(const KubeError& error) { return error.status == 400 || error.status == 403 || error.status == 422; }

}  // namespace

struct Executor::Run {
  Actions actions;
  ObjectRef about;
  std::function<void(Outcome)> done;
  Outcome outcome;
  std::size_t next = 0;
  std::size_t under_way = 0;
};

std::optional<KubeRequest> Executor::request_of(const ActionVariant& what) const {
  KubeRequest request;
  if (const auto* create = std::get_if<CreateObject>(&what)) {
    request.method = "POST";
    request.path = fmt::format("{}?fieldManager={}", path_of(create->object.kind, create->object.ns), field_manager_);
    request.body = to_json(create->body);
  } else if (const auto* apply = std::get_if<ApplyObject>(&what)) {
    request.method = "PATCH";
    request.path =
        fmt::format("{}?fieldManager={}&force=true", path_of(apply->object.kind, apply->object.ns, apply->object.name), field_manager_);
    request.content_type = kApplyPatch;
    request.body = to_json(apply->body);
  } else if (const auto* patch = std::get_if<PatchObject>(&what)) {
    request.method = "PATCH";
    request.path = fmt::format("{}?fieldManager={}", path_of(patch->object.kind, patch->object.ns, patch->object.name), field_manager_);
    request.content_type = kMergePatch;
    request.body = to_json(patch->body);
  } else if (const auto* status = std::get_if<PatchStatus>(&what)) {
    request.method = "PATCH";
    request.path =
        fmt::format("{}/status?fieldManager={}", path_of(status->object.kind, status->object.ns, status->object.name), field_manager_);
    request.content_type = kMergePatch;
    request.body = to_json(status->body);
  } else if (const auto* remove = std::get_if<DeleteObject>(&what)) {
    request.method = "DELETE";
    request.path = path_of(remove->object.kind, remove->object.ns, remove->object.name);
    JsonWriter json;
    json.begin_object().key("apiVersion").string("v1").key("kind").string("DeleteOptions");
    json.key("propagationPolicy").string(remove->foreground ? "Foreground" : "Background");
    if (!remove->object.uid.empty()) json.key("preconditions").begin_object().key("uid").string(remove->object.uid).end_object();
    json.end_object();
    request.body = json.take();
  } else {
    return std::nullopt;
  }
  return request;
}

void Executor::run(Actions actions, ObjectRef about, std::function<void(Outcome)> done) {
  auto run = std::make_shared<Run>();
  run->actions = std::move(actions);
  run->about = std::move(about);
  run->done = std::move(done);
  loop_.post([this, run] { next_stage(run); });
}

void Executor::next_stage(const std::shared_ptr<Run>& run) {
  if (run->next >= run->actions.size() || run->outcome.error) return run->done(std::move(run->outcome));
  const int stage = run->actions[run->next].stage;
  ++run->under_way;  // this function, so that the stage does not end before all of it has begun
  for (; run->next < run->actions.size() && run->actions[run->next].stage == stage; ++run->next) {
    const Action& action = run->actions[run->next];
    if (const auto* event = std::get_if<EmitEvent>(&action.what)) {
      events_.emit(*event);
    } else if (const auto* poll = std::get_if<PollScheduler>(&action.what)) {
      schedulers_.poll(poll->scheduler);
    } else if (const auto* ask = std::get_if<AskSchedulerToRetire>(&action.what)) {
      schedulers_.retire(*ask);
    } else if (const auto* again = std::get_if<RequeueAfter>(&action.what)) {
      run->outcome.requeue_ms = std::min(again->delay_ms, run->outcome.requeue_ms.value_or(again->delay_ms));
    } else if (auto request = request_of(action.what)) {
      if (const auto* remove = std::get_if<DeleteObject>(&action.what))
        log_info("Deleting {} {}/{}: {}", name_of(remove->object.kind), remove->object.ns, remove->object.name, remove->why);
      ++run->under_way;
      ++run->outcome.writes;
      if (stopped_) {
        loop_.post([this, run, &action] {
          answered(run, action, tl::unexpected(KubeError{0, "NotLeading", "this operator no longer leads", {}}));
        });
        continue;
      }
      client_.send(*std::move(request), [this, run, &action](KubeReply reply) { answered(run, action, std::move(reply)); });
    }
  }
  if (--run->under_way == 0) loop_.post([this, run] { next_stage(run); });
}

void Executor::answered(const std::shared_ptr<Run>& run, const Action& action, KubeReply reply) {
  const ObjectRef& object = *object_of(action.what);
  const bool is_delete = std::holds_alternative<DeleteObject>(action.what);
  if (reply) {
    // A DELETE answers with a Status when the object is gone, with the object when it ends later.
    if (is_delete && (*reply)["kind"].as_string() == "Status")
      caches_.deleted(object);
    else
      caches_.wrote(object.kind, *reply);
  } else if (is_no_failure(action.what, reply.error())) {
    if (is_delete) caches_.deleted(object);
  } else {
    const KubeError& error = reply.error();
    std::string what =
        fmt::format("cannot {} {} {}/{}: {}", verb_of(action.what), name_of(object.kind), object.ns, object.name, error.str());
    if (is_refusal(error)) {
      run->outcome.refusals.push_back({object, error.status, error.message});
      // Plans say what is wrong with the objects that a cluster is made of; the rest is said here.
      const bool planned = object.kind == Kind::kDeployment || object.kind == Kind::kService || object.kind == Kind::kPod;
      if (!planned) events_.emit({run->about, true, "FailedReconcile", "Reconcile", what});
    }
    if (!run->outcome.error) {
      run->outcome.error = error;
      run->outcome.failed = std::move(what);
    }
  }
  if (--run->under_way == 0) loop_.post([this, run] { next_stage(run); });
}

}  // namespace dask::kube
