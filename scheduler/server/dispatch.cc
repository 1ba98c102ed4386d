// Actions of the machine become messages on the streams of workers and clients.
#include <cmath>

#include "core/runtime/log.h"
#include "core/wire/pickle.h"
#include "scheduler/server/server.h"
#include "scheduler/server/sessions.h"
#include "scheduler/server/shuffle_manager.h"

namespace dask::scheduler {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(2);  // Dask's BatchedSend holds everything back that long

void pack_number(wire::Packer& w, double v) {
  if (std::nearbyint(v) == v && std::abs(v) < 1e15)
    w.integer(static_cast<std::int64_t>(v));
  else
    w.real(v);
}

void log_action(const Say& say) {
  static constexpr LogLevel levels[] = {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError};
  log_line(levels[static_cast<std::size_t>(say.severity)], say.text);
}

}  // namespace

Value exception_of(const Failure& failure) {
  if (failure.error_class.empty()) return failure.exception;
  const std::size_t dot = failure.error_class.rfind('.');
  const std::string module = failure.error_class.substr(0, dot), cls = failure.error_class.substr(dot + 1);
  const Value::Array& arguments = failure.error_arguments;
  if (cls == "KilledWorker" && arguments.size() == 3)
    return Value(Bytes::own(wire::pickle_killed_worker(arguments[0], arguments[1].as_string(), static_cast<int>(arguments[2].as_int()))));
  if (!arguments.empty()) return Value(Bytes::own(wire::pickle_call(module, cls, arguments)));
  return Value(Bytes::own(wire::pickle_exception(module, cls, failure.exception_text)));
}

void Server::apply(Event event, const std::string& stimulus_id) {
  if (task_metadata_.active())
    if (const auto* graph = std::get_if<GraphSubmitted>(&event)) task_metadata_.submitted(graph->wanted);
  machine_.state().record_forgotten = !metadata_.empty();
  const Actions& actions = machine_.handle(std::move(event), now(), stimulus_id);
  for (const Key& key : std::exchange(machine_.state().forgotten, {})) metadata_.forget(key);
  if (scheduling_stopped_) return;
  dispatch(actions, stimulus_id);
  shuffles_->carry_out(stimulus_id);
}

void Server::dispatch(const Actions& actions, const std::string& stimulus_id) {
  const State& s = machine_.state();
  const auto key_of = [&](TaskId id) { return s.task(id.index).key.msgpack(); };
  const auto locations = [&](wire::MessageWriter& w, std::uint32_t begin, std::uint32_t end) {
    w.string("who_has");
    w.map(end - begin);
    for (std::uint32_t d = begin; d < end; ++d) {
      const DependencyLocation& dependency = actions.dependencies[d];
      w.raw(key_of(dependency.task));
      w.array(dependency.holders_end - dependency.holders_begin);
      for (std::uint32_t h = dependency.holders_begin; h < dependency.holders_end; ++h) w.string(s.worker(actions.holders[h]).address);
    }
  };
  const auto sizes = [&](wire::MessageWriter& w, std::uint32_t begin, std::uint32_t end) {
    w.string("nbytes");
    w.map(end - begin);
    for (std::uint32_t d = begin; d < end; ++d) {
      w.raw(key_of(actions.dependencies[d].task));
      w.integer(actions.dependencies[d].nbytes);
    }
  };
  const auto report = [&](ClientId client, std::string_view op, std::size_t fields, std::string_view key,
                          bool urgent = true) -> wire::MessageWriter* {
    Stream* out = stream(client);
    if (!out) return nullptr;
    wire::MessageWriter& w = out->begin(urgent);
    w.map(fields);
    w.string("op");
    w.string(op);
    w.string("key");
    w.raw(key);
    wrote_to(*out);
    return &w;
  };

  for (const Action& action : actions.list) {
    if (const auto* compute = std::get_if<SendComputeTask>(&action)) {
      if (Stream* out = stream(compute->worker)) {
        send_compute(actions, *compute, *out);
        wrote_to(*out);
      }
    } else if (const auto* free = std::get_if<SendFreeKey>(&action)) {
      if (Stream* out = stream(free->worker)) {
        out->free_key(free->task.valid() ? key_of(free->task) : free->key.msgpack(), stimulus_id, free->task.index);
        wrote_to(*out);
      }
    } else if (const auto* memory = std::get_if<ReportKeyInMemory>(&action)) {
      const bool valued = !memory->value.empty() && takes_values(memory->client);
      const std::size_t fields = 2 + !memory->type.is_nil() + !memory->workers.empty() + valued;
      // While tasks queue, the client waits for many: reading a message for each would take the processor from them.
      const bool urgent = s.queue_size() == 0;
      if (wire::MessageWriter* w = report(memory->client, "key-in-memory", fields, key_of(memory->task), urgent)) {
        if (!memory->type.is_nil()) {
          w->string("type");
          w->value(memory->type);
        }
        if (!memory->workers.empty()) {
          w->string("workers");
          w->array(memory->workers.size());
          for (WorkerId id : memory->workers) w->string(s.worker(id).address);
        }
        if (valued) {
          w->string("value");
          w->binary(memory->value);
        }
      }
    } else if (const auto* lost = std::get_if<ReportLostData>(&action)) {
      report(lost->client, "lost-data", 2, key_of(lost->task));
    } else if (const auto* retried = std::get_if<ReportTaskRetried>(&action)) {
      report(retried->client, "task-retried", 2, key_of(retried->task));
    } else if (const auto* erred = std::get_if<ReportTaskErred>(&action)) {
      if (wire::MessageWriter* w =
              report(erred->client, "task-erred", 4, erred->task.valid() ? key_of(erred->task) : erred->key.msgpack())) {
        w->string("exception");
        w->value(exception_of(*erred->failure));
        w->string("traceback");
        w->value(erred->failure->traceback);
      }
    } else if (const auto* cancelled = std::get_if<ReportCancelledKeys>(&action)) {
      Value::Array keys;
      for (const Key& key : cancelled->keys) keys.push_back(key.value());
      Value message(Value::Map{{"op", "cancelled-keys"}, {"keys", Value(std::move(keys))}});
      if (!cancelled->reason.empty()) message.set("reason", cancelled->reason);
      if (!cancelled->msg.empty()) message.set("msg", cancelled->msg);
      if (cancelled->client.valid()) {
        send(cancelled->client, message);
      } else {
        for (const auto& session : client_sessions_)
          if (session) {
            session->stream.message(message);
            wrote_to(session->stream);
          }
      }
    } else if (const auto* remove = std::get_if<SendRemoveReplica>(&action)) {
      if (Stream* out = stream(remove->worker)) {
        out->remove_replica(remove->key.msgpack(), stimulus_id);
        wrote_to(*out);
      }
    } else if (const auto* acquire = std::get_if<SendAcquireReplicas>(&action)) {
      if (Stream* out = stream(acquire->worker)) {
        wire::MessageWriter& w = out->begin();
        w.map(4);
        w.string("op");
        w.string("acquire-replicas");
        locations(w, acquire->dependencies_begin, acquire->dependencies_end);
        sizes(w, acquire->dependencies_begin, acquire->dependencies_end);
        w.string("stimulus_id");
        w.string(stimulus_id);
        wrote_to(*out);
      }
    } else if (const auto* refresh = std::get_if<SendRefreshWhoHas>(&action)) {
      if (Stream* out = stream(refresh->worker)) {
        wire::MessageWriter& w = out->begin();
        w.map(3);
        w.string("op");
        w.string("refresh-who-has");
        locations(w, refresh->dependencies_begin, refresh->dependencies_end);
        w.string("stimulus_id");
        w.string(stimulus_id);
        wrote_to(*out);
      }
    } else if (const auto* steal = std::get_if<SendStealRequest>(&action)) {
      if (Stream* out = stream(steal->worker)) {
        wire::MessageWriter& w = out->begin();
        w.map(3);
        w.string("op");
        w.string("steal-request");
        w.string("key");
        w.raw(key_of(steal->task));
        w.string("stimulus_id");
        w.string(steal->stimulus_id);
        wrote_to(*out);
      }
    } else if (const auto* close = std::get_if<CloseWorker>(&action)) {
      send(close->worker, Value(Value::Map{{"op", "close"}, {"reason", close->reason}}));
    } else if (const auto* record = std::get_if<RecordTaskStream>(&action)) {
      const Task& ts = s.task(record->task.index);
      task_stream_.add(TaskStreamRecord{std::string(ts.key.msgpack()), s.prefix(ts.prefix).name, s.worker(record->worker).address,
                                        record->thread, record->nbytes, record->startstops, record->erred});
      if (task_metadata_.active())
        task_metadata_.ended(ts.key, {record->erred ? "erred" : "memory", ts.extra ? ts.extra->metadata : Value()});
    } else if (const auto* event = std::get_if<LogEvent>(&action)) {
      log_event(event->topics, event->msg);
    } else if (const auto* stopped = std::get_if<BarrierStopped>(&action)) {
      shuffles_->on(*stopped, stimulus_id);
    } else if (const auto* failed = std::get_if<ShuffleTaskErred>(&action)) {
      shuffles_->on(*failed, stimulus_id);
    } else if (const auto* say = std::get_if<Say>(&action)) {
      log_action(*say);
    }
  }
}

void Server::send_compute(const Actions& actions, const SendComputeTask& action, Stream& stream) {
  const State& s = machine_.state();
  const Task& ts = s.task(action.task.index);
  if (ts.spec == SpecKind::kNative) {
    ComputeBatchWriter& batch = stream.native(ts, action.run_id, !ts.who_wants.empty());
    for (std::uint32_t d = action.dependencies_begin; d < action.dependencies_end; ++d) {
      const DependencyLocation& dependency = actions.dependencies[d];
      batch.dependency(s.task(dependency.task.index).key, dependency.nbytes);
      for (std::uint32_t h = dependency.holders_begin; h < dependency.holders_end; ++h)
        batch.holder(actions.holders[h], s.worker(actions.holders[h]).address);
    }
    return;
  }
  wire::MessageWriter& w = stream.begin();
  w.map(12);
  w.string("op");
  w.string("compute-task");
  w.string("key");
  w.raw(ts.key.msgpack());
  w.string("run_id");
  w.integer(action.run_id);
  w.string("priority");
  w.array(3);
  pack_number(w, ts.priority.user);
  pack_number(w, ts.priority.generation);
  pack_number(w, ts.priority.order);
  w.string("stimulus_id");
  w.string("compute-task");
  const std::uint32_t begin = action.dependencies_begin, end = action.dependencies_end;
  w.string("who_has");
  w.map(end - begin);
  for (std::uint32_t d = begin; d < end; ++d) {
    const DependencyLocation& dependency = actions.dependencies[d];
    w.raw(s.task(dependency.task.index).key.msgpack());
    w.array(dependency.holders_end - dependency.holders_begin);
    for (std::uint32_t h = dependency.holders_begin; h < dependency.holders_end; ++h) w.string(s.worker(actions.holders[h]).address);
  }
  w.string("nbytes");
  w.map(end - begin);
  for (std::uint32_t d = begin; d < end; ++d) {
    w.raw(s.task(actions.dependencies[d].task.index).key.msgpack());
    w.integer(std::max<std::int64_t>(actions.dependencies[d].nbytes, 0));
  }
  w.string("run_spec");
  w.opaque(*static_cast<const Opaque*>(ts.run_spec.get()));
  w.string("resource_restrictions");
  if (ts.annotations && !ts.annotations->resources.empty()) {
    w.map(ts.annotations->resources.size());
    for (const auto& [resource, quantity] : ts.annotations->resources) {
      w.string(resource);
      pack_number(w, quantity);
    }
  } else {
    w.nil();
  }
  w.string("actor");
  w.boolean(ts.actor);
  w.string("annotations");
  if (ts.annotations && ts.annotations->wire.is_map())
    w.value(ts.annotations->wire);
  else
    w.map(0);
  w.string("span_id");
  w.nil();
}

void Server::wrote_to(Stream& stream) {
  if (stream.large()) stream.flush();
  if (!std::exchange(stream.dirty, true)) dirty_.push_back(&stream);
  if (std::exchange(flush_planned_, true)) return;
  loop_.at_end_of_turn([this] { flush_urgent(); });
}

// Waking a worker only to free memory would cost the two processors' time that the tasks of this turn want.
void Server::flush_urgent() {
  flush_planned_ = false;
  std::erase_if(dirty_, [](Stream* stream) {
    if (stream->patient()) return false;
    stream->dirty = false;
    stream->flush();
    return true;
  });
  if (dirty_.empty() || std::exchange(patience_armed_, true)) return;
  patience_timer_ = loop_.after(kPatience, [this] {
    patience_armed_ = false;
    flush();
  });
}

void Server::flush() {
  for (Stream* stream : std::exchange(dirty_, {})) {
    stream->dirty = false;
    stream->flush();
  }
}

void Server::forget_stream(Stream& stream) {
  stream.flush();
  if (stream.dirty) std::erase(dirty_, &stream);
}

}  // namespace dask::scheduler
