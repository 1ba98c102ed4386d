// What the scheduler says on the stream, as events of the machine. Source: distributed/worker.py (stream_handlers).
#include "core/runtime/log.h"
#include "worker/server/worker.h"

namespace dask::worker {
namespace {

// who_has and nbytes of a message: dependencies in the order of who_has.
std::vector<Dependency> dependencies_of(const Value& fields) {
  std::vector<Dependency> dependencies;
  const Value::Map* who_has = fields["who_has"].map_if();
  const Value::Map* nbytes = fields["nbytes"].map_if();
  if (!who_has) return dependencies;
  dependencies.reserve(who_has->size());
  for (std::size_t i = 0; i < who_has->size(); ++i) {
    const auto& [name, holders] = (*who_has)[i];
    auto key = Key::from_value(name);
    if (!key) continue;
    Dependency& dependency = dependencies.emplace_back();
    dependency.who_has = net::strings_of(holders);
    if (nbytes && i < nbytes->size() && (*nbytes)[i].first == name) {  // as a rule both come in one order
      dependency.nbytes = (*nbytes)[i].second.as_int(-1);
    } else if (nbytes) {
      for (const auto& [other, size] : *nbytes)
        if (other == name) dependency.nbytes = size.as_int(-1);
    }
    dependency.key = *std::move(key);
  }
  return dependencies;
}

ComputeTask compute_task(Key key, const Value& fields) {
  ComputeTask task;
  task.key = std::move(key);
  task.run_id = fields["run_id"].as_int();
  task.dependencies = dependencies_of(fields);
  if (const Value::Array* priority = fields["priority"].array_if())
    for (const Value& number : *priority) task.priority.append(number.as_double());
  task.run_spec = PythonRunSpec{fields["run_spec"]};
  if (const Value::Map* restrictions = fields["resource_restrictions"].map_if())
    for (const auto& [resource, quantity] : *restrictions)
      task.resource_restrictions.emplace_back(std::string(resource.as_string()), quantity.as_double());
  task.actor = fields["actor"].as_bool();
  task.annotations = fields["annotations"];
  task.span_id = fields["span_id"].as_string();
  return task;
}

}  // namespace

void Worker::receive(std::vector<StreamMsg> batch) {
  for (StreamMsg& msg : batch) {
    if (ended_) return;
    if (auto* free = std::get_if<FreeKeysMsg>(&msg))
      apply(FreeKeys{std::move(free->keys)}, std::move(free->stimulus_id));
    else if (auto* other = std::get_if<OtherMsg>(&msg))
      stream_operation(other->op, other->fields);
  }
}

void Worker::stream_operation(const std::string& op, const Value& fields) {
  const std::string stimulus_id(fields["stimulus_id"].as_string());
  const auto with_key = [&](auto&& use) {
    if (auto key = Key::from_value(fields["key"]))
      use(*std::move(key));
    else
      log_warning("Skipping message '{}' of the scheduler: {}", op, key.error().message);
  };
  if (op == "compute-task") return with_key([&](Key key) { apply(compute_task(std::move(key), fields), stimulus_id); });
  if (op == kComputeTasksNative) return compute_native(fields);
  if (op == "acquire-replicas") return apply(AcquireReplicas{dependencies_of(fields)}, stimulus_id);
  if (op == "remove-replicas") return apply(RemoveReplicas{net::keys_of(fields["keys"])}, stimulus_id);
  if (op == "steal-request") return with_key([&](Key key) { apply(StealRequest{std::move(key)}, stimulus_id); });
  if (op == "cancel-compute") return with_key([&](Key key) { apply(CancelCompute{std::move(key)}, stimulus_id); });
  if (op == "refresh-who-has") {
    RefreshWhoHas refresh;
    for (Dependency& one : dependencies_of(fields)) refresh.who_has.push_back({std::move(one.key), std::move(one.who_has)});
    return apply(std::move(refresh), stimulus_id);
  }
  if (op == "remove-worker") {
    const std::string peer(fields["worker"].as_string());
    rpc_.forget(peer);
    return apply(RemoveWorker{peer}, stimulus_id);
  }
  if (op == "worker-status-change") {
    if (end_) return;
    const std::string_view status = fields["status"].as_string();
    if (status == "running") return set_status(Status::kRunning, stimulus_id);
    if (status == "paused") return set_status(Status::kPaused, stimulus_id);
    if (status == "closing_gracefully") {
      if (status_ == Status::kRunning || status_ == Status::kPaused) return set_status(Status::kClosingGracefully, stimulus_id);
      log_error("Invalid Worker.status transition: {} -> {}", name_of(status_), status);
      return set_status(status_, stimulus_id);  // says again what it is
    }
    return log_warning("Skipping the status '{}' that the scheduler sent: it is none of running, paused, closing_gracefully", status);
  }
  if (op == "close") {
    const bool nanny = fields["nanny"].is_nil() || fields["nanny"].as_bool();
    return close(std::string(fields["reason"].as_string("scheduler-close")), !nanny);
  }
  if (op == "close-stream" || op == "stream-closed") return close("worker-handle-scheduler-connection-broken");
  if (op.empty()) return log_warning("Skipping a message of the scheduler that names no operation");
  executor_->stream(fields);
}

}  // namespace dask::worker
