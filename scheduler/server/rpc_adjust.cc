// Operations that change what tasks and workers are: set_restrictions, set_resources; and the collection of task metadata.
// Source: distributed/scheduler.py.
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

void set_restrictions(Server& server, RpcCallPtr call) {
  const Value::Map* by_key = call->msg["worker"].map_if();
  if (!by_key) return call->raise("builtins.TypeError", "set_restrictions needs worker={key: addresses or None}");
  RestrictionsSet restrictions;
  for (const auto& [name, workers] : *by_key) {
    auto key = Key::from_value(name);
    if (!key || !server.state().find(key->msgpack())) return call->raise("builtins.KeyError", name.repr());
    restrictions.workers.emplace_back(*std::move(key), strings_of(workers));
  }
  server.apply(std::move(restrictions), server.stimulus("set-restrictions"));
  call->reply(Value());
}

void set_resources(Server& server, RpcCallPtr call) {
  const Worker* ws = server.state().find_worker(call->msg["worker"].as_string());
  if (!ws) return call->raise("builtins.KeyError", std::string(call->msg["worker"].as_string()));
  ResourcesSet resources{ws->id, {}};
  if (const Value::Map* map = call->msg["resources"].map_if())
    for (const auto& [resource, quantity] : *map) resources.resources.emplace(std::string(resource.as_string()), quantity.as_double());
  server.apply(std::move(resources), server.stimulus("set-resources"));
  call->reply(Value("OK"));
}

void stop_task_metadata(Server& server, RpcCallPtr call) {
  const std::string name(call->msg["name"].as_string());
  std::optional<Value> collected = server.task_metadata().stop(name, [&server](const Key& key) -> std::optional<TaskMetadata::Ended> {
    const Task* ts = server.state().find(key.msgpack());
    if (!ts || (ts->state != TaskState::kMemory && ts->state != TaskState::kErred)) return std::nullopt;
    return TaskMetadata::Ended{name_of(ts->state), ts->extra ? ts->extra->metadata : Value()};
  });
  if (!collected) return call->raise("builtins.ValueError", "No collection of task metadata with the name '" + name + "' was started");
  call->reply(*std::move(collected));
}

}  // namespace

void add_adjust_operations(RpcTable& table) {
  table["set_restrictions"] = set_restrictions;
  table["set_resources"] = set_resources;
  table["start_task_metadata"] = [](Server& server, RpcCallPtr call) {
    server.task_metadata().start(std::string(call->msg["name"].as_string()));
    call->reply(Value());
  };
  table["stop_task_metadata"] = stop_task_metadata;
}

}  // namespace dask::scheduler
