#include "core/runtime/log.h"
#include "scheduler/server/sessions.h"

namespace dask::scheduler {

void WorkerSession::receive(std::vector<StreamMsg> batch) {
  for (StreamMsg& msg : batch) {
    if (!server_.stream(id_)) return;  // removed by a message before
    if (auto* m = std::get_if<TaskFinishedMsg>(&msg)) {
      const std::string stimulus_id = m->stimulus_id;
      server_.apply(TaskFinished{id_, std::move(*m)}, stimulus_id);
    } else if (auto* erred = std::get_if<TaskErredMsg>(&msg)) {
      const std::string stimulus_id = erred->stimulus_id;
      server_.apply(TaskErred{id_, std::move(*erred)}, stimulus_id);
    } else if (auto* released = std::get_if<ReleaseWorkerDataMsg>(&msg)) {
      if (released->keys.empty() && !released->key.empty()) released->keys.push_back(std::move(released->key));
      server_.apply(WorkerDataReleased{id_, std::move(released->keys)}, released->stimulus_id);
    } else if (auto* added = std::get_if<AddKeysMsg>(&msg)) {
      server_.apply(ReplicasAdded{id_, std::move(added->keys)}, added->stimulus_id);
    } else if (auto* long_running = std::get_if<LongRunningMsg>(&msg)) {
      const std::string stimulus_id = long_running->stimulus_id;
      server_.apply(TaskLongRunning{id_, std::move(*long_running)}, stimulus_id);
    } else if (auto* reschedule = std::get_if<RescheduleMsg>(&msg)) {
      server_.apply(TaskRescheduled{id_, std::move(reschedule->key)}, reschedule->stimulus_id);
    } else if (auto* rest = std::get_if<OtherMsg>(&msg)) {
      other(std::move(*rest));
    } else {
      ++server_.counters().unknown_operations;
      log_warning("Skipping a message of worker {} that workers do not send", server_.state().worker(id_).address);
    }
  }
}

void WorkerSession::other(OtherMsg msg) {
  const Value& fields = msg.fields;
  const std::string stimulus_id(fields["stimulus_id"].as_string());
  if (msg.op == "keep-alive") return;
  if (msg.op == "worker-status-change") {
    return server_.apply(WorkerStatusChanged{id_, worker_status(fields["status"].as_string())}, stimulus_id);
  }
  if (msg.op == "request-refresh-who-has") return server_.apply(WhoHasRequested{id_, keys_of(fields["keys"])}, stimulus_id);
  if (msg.op == "log-event") {
    std::vector<std::string> topics = strings_of(fields["topic"]);
    Value event = fields["msg"];
    if (event.is_map()) event.set("worker", server_.state().worker(id_).address);
    return server_.log_event(topics, event);
  }
  if (msg.op == "tasks-finished-native") return native_finished(fields);
  if (msg.op == "tasks-erred-native") return native_erred(fields);
  if (msg.op == "steal-response") {
    auto key = Key::from_value(fields["key"]);
    if (key) server_.apply(StealAnswered{id_, *std::move(key), std::string(fields["state"].as_string()), stimulus_id}, stimulus_id);
    return;
  }
  if (msg.op == "close-stream") return server_.worker_stream_ended(id_);
  ++server_.counters().unknown_operations;
  log_warning("Skipping message '{}' of worker {}: not known to this scheduler", msg.op, server_.state().worker(id_).address);
}

}  // namespace dask::scheduler
