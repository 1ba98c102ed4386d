// Operations that tell about the worker or end it, and those that are the executor's. Source: distributed/worker.py, core.py.
#include <algorithm>

#include "core/net/http.h"
#include "core/runtime/log.h"
#include "core/wire/pickle.h"
#include "worker/server/worker.h"

namespace dask::worker {
namespace {

using net::RpcCallPtr;

Value identity(Worker& worker) {
  const auto& options = worker.options();
  return Value(Value::Map{{"type", "Worker"},
                          {"id", worker.id()},
                          {"scheduler", options.scheduler_address},
                          {"nthreads", options.nthreads},
                          {"memory_limit", options.memory_limit_bytes ? Value(*options.memory_limit_bytes) : Value()}});
}

void get_story(Worker& worker, const RpcCallPtr& call) {
  std::vector<Key> keys = net::keys_of(call->msg["keys_or_stimuli"]);
  std::vector<std::string> stimuli = net::strings_of(call->msg["keys_or_stimuli"]);
  Value::Array story;
  if (!keys.empty() || !stimuli.empty())
    for (Value& record : worker.machine().story(keys, stimuli)) story.push_back(std::move(record));
  call->reply(Value(std::move(story)));
}

void get_monitor_info(Worker& worker, const RpcCallPtr& call) {
  const SystemMonitor& monitor = worker.monitor();
  const bool recent = call->msg["recent"].as_bool();
  call->reply(Value(Value::Map{{"range_query", recent ? monitor.recent() : monitor.range_query(call->msg["start"].as_int())},
                               {"count", monitor.count()},
                               {"last_time", monitor.last_time()}}));
}

// Our log and the executor's as one, newest first, in the form that Dask's get_logs has.
struct LogLine {
  double time = 0;
  std::string level, text;
};

void reply_logs(const RpcCallPtr& call, std::vector<LogLine> lines) {
  std::stable_sort(lines.begin(), lines.end(), [](const LogLine& a, const LogLine& b) { return a.time > b.time; });
  const auto start = static_cast<std::size_t>(std::max<std::int64_t>(call->msg["start"].as_int(0), 0));
  const std::size_t n = call->msg["n"].is_nil() ? SIZE_MAX : static_cast<std::size_t>(std::max<std::int64_t>(call->msg["n"].as_int(), 0));
  const bool timestamps = call->msg["timestamps"].as_bool();
  Value::Array answer;
  for (std::size_t i = start; i < lines.size() && answer.size() < n; ++i) {
    Value::Array line;
    if (timestamps) line.emplace_back(lines[i].time);
    line.emplace_back(std::move(lines[i].level));
    line.emplace_back(std::move(lines[i].text));
    answer.emplace_back(std::move(line));
  }
  call->reply(Value(std::move(answer)));
}

void get_logs(Worker& worker, const RpcCallPtr& call) {
  std::vector<LogLine> lines;
  for (LogRecord& record : log_records()) lines.push_back({record.time, std::string(log_level_name(record.level)), std::move(record.line)});
  worker.executor().call(
      Value(Value::Map{{"op", "get_logs"}, {"timestamps", true}}), [call, lines = std::move(lines)](Result<Value> got) mutable {
        if (got && got->array_if())
          for (const Value& line : *got->array_if()) {
            const Value::Array* parts = line.array_if();
            if (parts && parts->size() == 3)
              lines.push_back({(*parts)[0].as_double(), std::string((*parts)[1].as_string()), std::string((*parts)[2].as_string())});
          }
        reply_logs(call, std::move(lines));
      });
}

// What writes dumps knows no sets and no tuples as keys: lists and texts, as in Dask's.
void plain_containers(Value& value) {
  if (auto* set = std::get_if<Value::Set>(&value.variant())) value = Value(Value::Array(std::move(set->items)));
  if (auto* array = std::get_if<Value::Array>(&value.variant()))
    for (Value& item : *array) plain_containers(item);
  if (auto* map = std::get_if<Value::Map>(&value.variant()))
    for (auto& [name, item] : *map) {
      if (auto key = Key::from_value(name); name.is_array() && key) name = Value(key->str());
      plain_containers(item);
    }
}

// Worker._to_dict for Client.dump_cluster_state.
Value dump(Worker& worker, const Value& exclude) {
  Value::Array logs;
  for (const LogRecord& record : log_records()) logs.emplace_back(Value::Array{Value(log_level_name(record.level)), Value(record.line)});
  Value info = worker.machine().dump();
  const auto& options = worker.options();
  info.set("type", "Worker");
  info.set("id", worker.id());
  info.set("address", worker.address());
  info.set("status", name_of(worker.status()));
  info.set("logs", Value(std::move(logs)));
  info.set("config", worker.config().root());
  info.set("memory_limit", options.memory_limit_bytes ? Value(*options.memory_limit_bytes) : Value());
  plain_containers(info);
  Value kept = Value::map();
  const std::vector<std::string> left_out = net::strings_of(exclude);
  for (auto& [name, value] : std::get<Value::Map>(info.variant()))
    if (std::find(left_out.begin(), left_out.end(), name.as_string()) == left_out.end()) kept.set(name.as_string(), std::move(value));
  return kept;
}

// Known since the start; other packages are looked up in the executor.
void versions(Worker& worker, const RpcCallPtr& call) {
  const Value& packages = call->msg["packages"];
  if (packages.size() == 0) return call->reply(worker.versions());
  worker.executor().call(Value(Value::Map{{"op", "versions"}, {"packages", packages}}), [call](Result<Value> answer) {
    if (answer) return call->reply(*std::move(answer));
    call->raise("builtins.RuntimeError", "the worker's Python executor cannot tell its packages: " + answer.error().message);
  });
}

// The answer goes first: closing ends the caller's connection.
void terminate(Worker& worker, const RpcCallPtr& call) {
  const std::string reason(call->msg["reason"].as_string("worker-close"));
  const bool nanny = call->msg["nanny"].is_nil() || call->msg["nanny"].as_bool();
  call->reply("OK");
  worker.close(reason, !nanny);
}

}  // namespace

void add_info_operations(RpcTable& table) {
  table["identity"] = [](Worker& worker, const RpcCallPtr& call) { call->reply(identity(worker)); };
  table["echo"] = [](Worker&, const RpcCallPtr& call) { call->reply(call->msg["data"]); };
  table["ping"] = [](Worker&, const RpcCallPtr& call) { call->reply(Value(Bytes::literal("pong"))); };
  table["get_story"] = get_story;
  table["get_monitor_info"] = get_monitor_info;
  table["get_logs"] = get_logs;
  table["versions"] = versions;
  table["dump_state"] = [](Worker& worker, const RpcCallPtr& call) { call->reply(dump(worker, call->msg["exclude"])); };
  table["terminate"] = terminate;
}

bool Worker::take_over(const std::shared_ptr<net::Connection>& connection, std::string_view op, Value&) {
  if (op != "connection_stream") return false;
  connection->become_stream(
      [this](std::vector<StreamMsg> batch) {
        for (StreamMsg& msg : batch)
          if (auto* other = std::get_if<OtherMsg>(&msg); other && !end_) executor_->stream(std::move(other->fields));
      },
      nullptr);
  return true;
}

void Worker::serve(std::string_view op, net::RpcCallPtr call) {
  if (auto it = operations_.find(op); it != operations_.end()) return it->second(*this, std::move(call));
  if (executor_->handles(op)) {
    Value message = std::move(call->msg);
    call->msg = Value(Value::Map{{"op", op}});
    return executor_->call(std::move(message), [call, name = std::string(op)](Result<Value> answer) {
      if (answer) return call->reply(*std::move(answer));
      call->raise("builtins.RuntimeError", "the worker's Python executor cannot answer '" + name + "': " + answer.error().message);
    });
  }
  ++counters_.unknown_operations;
  log_warning("Operation '{}' of {} is not supported by this worker", op, call->comm->peer_address());
  call->raise("builtins.NotImplementedError", "dask-native's worker does not support the operation '" + std::string(op) +
                                                  "' yet; docs/compatibility.md lists what it supports");
}

void Worker::drop(net::Connection& connection) {
  const auto it = connections_.find(&connection);
  if (it == connections_.end()) return;
  const auto keep_alive = std::move(it->second);
  connections_.erase(it);
  keep_alive->close();
}

}  // namespace dask::worker
