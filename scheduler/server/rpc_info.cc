// Operations that tell: events, logs, metadata, stories, the task stream. Source: distributed/scheduler.py.
#include <algorithm>

#include "core/runtime/log.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

Value entries_of(const std::deque<Events::Entry>& entries) {
  Value::Array list;
  for (const Events::Entry& entry : entries) list.push_back(Value(Value::Array{entry.time, entry.msg}));
  return Value(std::move(list));
}

void events(Server& server, RpcCallPtr call) {
  if (const std::string* topic = call->msg["topic"].string()) {
    auto it = server.events().topics().find(*topic);
    return call->reply(it == server.events().topics().end() ? Value::array() : entries_of(it->second));
  }
  Value::Map all;
  for (const auto& [topic, entries] : server.events().topics()) all.emplace_back(topic, entries_of(entries));
  call->reply(Value(std::move(all)));
}

void logs(Server&, RpcCallPtr call) {
  const bool timestamps = call->msg["timestamps"].as_bool();
  const double start = call->msg["start"].as_double();
  const std::int64_t n = call->msg["n"].as_int(-1);
  std::vector<LogRecord> records = log_records(n >= 0 ? static_cast<std::size_t>(n) : SIZE_MAX);
  Value::Array lines;
  for (const LogRecord& record : records) {
    if (record.time < start) continue;
    if (timestamps)
      lines.push_back(Value(Value::Array{record.time, log_level_name(record.level), record.line}));
    else
      lines.push_back(Value(Value::Array{log_level_name(record.level), record.line}));
  }
  std::reverse(lines.begin(), lines.end());
  call->reply(Value(std::move(lines)));
}

// {address: answer of the worker}, unreachable workers left out.
void ask_workers(Server& server, RpcCallPtr call, const std::vector<WorkerId>& ids, const Value& message, bool nanny = false) {
  struct All {
    Value::Map answers;
    std::size_t pending = 0;
  };
  auto all = std::make_shared<All>();
  std::vector<std::pair<std::string, std::string>> peers;
  for (WorkerId id : ids) {
    const Worker& ws = server.state().worker(id);
    if (!nanny)
      peers.emplace_back(ws.address, ws.address);
    else if (ws.nanny.is_string())
      peers.emplace_back(ws.address, *ws.nanny.string());
  }
  all->pending = peers.size();
  if (peers.empty()) return call->reply(Value::map());
  for (const auto& peer : peers)
    server.rpc().call(peer.second, message, [all, call, name = peer.first](Result<Value> answer) {
      if (answer) all->answers.emplace_back(name, *std::move(answer));
      if (--all->pending == 0) call->reply(Value(std::move(all->answers)));
    });
}

void worker_logs(Server& server, RpcCallPtr call) {
  Value message(Value::Map{{"op", "get_logs"}, {"n", call->msg["n"]}, {"reply", true}});
  ask_workers(server, call, server.workers_of(call->msg["workers"]), message, call->msg["nanny"].as_bool());
}

// The worker that runs each key, asked for the stacks of its keys.
void call_stack(Server& server, RpcCallPtr call) {
  std::vector<WorkerId> ids;
  Value message(Value::Map{{"op", "call_stack"}, {"keys", Value()}, {"reply", true}});
  if (call->msg["keys"].is_nil()) {
    ids = server.workers_of(Value());
  } else {
    Value::Array keys;
    for (const Key& key : keys_of(call->msg["keys"])) {
      const Task* ts = server.state().find(key.msgpack());
      if (!ts || !ts->processing_on.valid()) continue;
      keys.push_back(key.value());
      if (std::find(ids.begin(), ids.end(), ts->processing_on) == ids.end()) ids.push_back(ts->processing_on);
    }
    message.set("keys", Value(std::move(keys)));
  }
  ask_workers(server, call, ids, message);
}

// Python's no_default, as a text or as the enum that travels as a map.
bool is_no_default(const Value& value) {
  return value.as_string() == "__no_default__" || (value["__Enum__"].as_bool() && value["name"].as_string() == "no_default");
}

void get_metadata(Server& server, RpcCallPtr call) {
  const Value::Array* path = call->msg["keys"].array_if();
  auto value = server.metadata().get(path ? *path : Value::Array{});
  if (value) return call->reply(**value);
  const Value* otherwise = call->msg.find("default");
  const bool missing = value.error().code == ErrorCode::kNotFound;
  if (missing && otherwise && !is_no_default(*otherwise)) return call->reply(*otherwise);
  call->raise(missing ? "builtins.KeyError" : "builtins.TypeError", value.error().message);
}

void set_metadata(Server& server, RpcCallPtr call) {
  const Value::Array* path = call->msg["keys"].array_if();
  if (!path || path->empty()) return call->raise("builtins.TypeError", "set_metadata needs a list of keys");
  server.metadata().set(*path, call->msg["value"]);
  call->reply(Value());
}

void get_story(Server& server, RpcCallPtr call) {
  std::vector<std::string> asked;
  for (const Key& key : keys_of(call->msg["keys_or_stimuli"])) {
    asked.emplace_back(key.msgpack());
    asked.push_back(key.str());
  }
  Value::Array story;
  for (const TransitionRecord& record : server.machine().story(asked)) {
    auto key = Key::from_msgpack(record.key);
    story.push_back(Value(Value::Array{key ? key->value() : Value(), name_of(record.start), name_of(record.finish), Value::map(),
                                       record.stimulus_id, record.time}));
  }
  call->reply(Value(std::move(story)));
}

Value stream_record(const TaskStreamRecord& record) {
  auto key = Key::from_msgpack(record.key);
  Value::Array startstops;
  for (const StartStop& s : record.startstops)
    startstops.push_back(Value(Value::Map{{"action", s.action}, {"start", s.start}, {"stop", s.stop}}));
  return Value(Value::Map{{"key", key ? key->value() : Value()},
                          {"worker", record.worker},
                          {"thread", record.thread},
                          {"nbytes", record.nbytes},
                          {"status", record.erred ? "error" : "OK"},
                          {"startstops", Value(std::move(startstops))}});
}

void get_task_stream(Server& server, RpcCallPtr call) {
  const TaskStream& stream = server.task_stream();
  const auto& records = stream.records();
  std::size_t first = 0, last = records.size();
  const std::uint64_t oldest = stream.index() - records.size();
  if (const Value& start_index = call->msg["start_index"]; start_index.is_int()) {
    const auto wanted = static_cast<std::uint64_t>(std::max<std::int64_t>(start_index.as_int(), 0));
    first = wanted > oldest ? std::min<std::size_t>(wanted - oldest, records.size()) : 0;
  }
  const auto time_of = [&](const Value& value) -> std::optional<double> {
    if (value.is_number()) return value.as_double();
    if (const std::string* text = value.string())
      if (auto seconds = parse_timedelta(*text)) return server.now() - *seconds;
    return std::nullopt;
  };
  const auto stop_of = [](const TaskStreamRecord& r) { return r.startstops.empty() ? 0.0 : r.startstops.back().stop; };
  if (auto start = time_of(call->msg["start"]))
    while (first < last && stop_of(records[first]) < *start) ++first;
  if (auto stop = time_of(call->msg["stop"]))
    while (last > first && !records[last - 1].startstops.empty() && records[last - 1].startstops.front().start > *stop) --last;
  if (const Value& count = call->msg["count"]; count.is_int() && count.as_int() >= 0)
    first = std::max(first, last - std::min<std::size_t>(last, static_cast<std::size_t>(count.as_int())));
  Value::Array list;
  for (std::size_t i = first; i < last; ++i) list.push_back(stream_record(records[i]));
  call->reply(Value(std::move(list)));
}

void prefix_states(Server& server, RpcCallPtr call) {
  Value answer = Value::map();
  for (const auto& [name, id] : server.state().prefixes()) {
    const TaskPrefix& tp = server.state().prefix(id);
    Value counts = Value::map();
    std::int64_t any = 0;
    for (TaskState s : {TaskState::kMemory, TaskState::kErred, TaskState::kReleased, TaskState::kProcessing, TaskState::kWaiting}) {
      counts.set(name_of(s), tp.states[static_cast<std::size_t>(s)]);
      any += tp.states[static_cast<std::size_t>(s)];
    }
    if (any > 0) answer.set(name, std::move(counts));
  }
  call->reply(std::move(answer));
}

void get_runspec(Server& server, RpcCallPtr call) {
  auto key = Key::from_value(call->msg["key"]);
  const Task* ts = key ? server.state().find(key->msgpack()) : nullptr;
  if (!ts || ts->spec != SpecKind::kPython || !ts->run_spec) return call->raise("builtins.KeyError", call->msg["key"].repr());
  call->reply(Value(ts->python_spec()));
}

void get_error_cause(Server& server, RpcCallPtr call) {
  for (const Key& key : keys_of(call->msg["keys"])) {
    const Task* ts = server.state().find(key.msgpack());
    if (!ts || !ts->extra || !ts->extra->exception_blame.valid()) continue;
    if (const Task* blame = server.state().get(ts->extra->exception_blame)) return call->reply(blame->key.value());
  }
  call->reply(Value());
}

}  // namespace

void add_info_operations(RpcTable& table) {
  table["events"] = events;
  table["log_event"] = [](Server& s, RpcCallPtr call) {
    s.log_event(strings_of(call->msg["topic"]), call->msg["msg"]);
    call->reply(Value());
  };
  table["logs"] = logs;
  table["get_logs"] = logs;
  table["worker_logs"] = worker_logs;
  table["call_stack"] = call_stack;
  table["versions"] = [](Server& s, RpcCallPtr call) { s.reply_versions(std::move(call)); };
  table["get_metadata"] = get_metadata;
  table["set_metadata"] = set_metadata;
  table["get_story"] = get_story;
  table["get_task_stream"] = get_task_stream;
  table["get_task_stream_index"] = [](Server& s, RpcCallPtr call) { call->reply(Value(s.task_stream().index())); };
  table["get_task_prefix_states"] = prefix_states;
  table["get_runspec"] = get_runspec;
  table["get_error_cause"] = get_error_cause;
}

}  // namespace dask::scheduler
