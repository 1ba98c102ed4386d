// Operations on data: get_data, gather, update_data, free_keys, keys. Source: distributed/worker.py.
#include "core/runtime/log.h"
#include "core/wire/pickle.h"
#include "worker/server/worker.h"

namespace dask::worker {
namespace {

std::int64_t frame_bytes(const Opaque& data) {
  std::int64_t bytes = 0;
  for (const Bytes& frame : data.frames) bytes += static_cast<std::int64_t>(frame.size());
  return bytes;
}

// Scattered data: stored as it came, measured by the executor, then told to the machine.
void update_data(Worker& worker, const net::RpcCallPtr& call) {
  std::vector<std::pair<Key, OpaquePtr>> data;
  const Value::Map* given = call->msg["data"].map_if();
  if (!given) return call->raise("builtins.TypeError", "update_data needs a map under 'data'");
  for (const auto& [name, value] : *given) {
    auto key = Key::from_value(name);
    OpaquePtr payload = value.opaque();
    if (!key || !payload)
      return call->raise("builtins.TypeError", "update_data: " + name.repr() + " is no key, or its value is not serialised");
    data.emplace_back(*std::move(key), std::move(payload));
  }
  std::string stimulus_id(call->msg["stimulus_id"].as_string());
  if (stimulus_id.empty()) stimulus_id = worker.stimulus("update-data");
  for (const auto& [key, payload] : data) worker.store().add_frames(key, payload, frame_bytes(*payload));
  worker.executor().put(data, [&worker, call, data, stimulus_id](Result<std::vector<PythonData>> measured) {
    if (!measured)
      return call->raise("builtins.RuntimeError", "the worker's Python executor ended while it took the data: " + measured.error().message);
    UpdateData update;
    Value::Map nbytes;
    for (PythonData& one : *measured) {
      if (one.failure) {
        for (const auto& [key, payload] : data) worker.store().drop(key);
        return call->reply(Value(Value::Map{{"status", "uncaught-error"},
                                            {"exception", one.failure->exception},
                                            {"traceback", one.failure->traceback ? Value(*one.failure->traceback) : Value()},
                                            {"exception_text", one.failure->exception_text},
                                            {"traceback_text", one.failure->traceback_text}}));
      }
      worker.store().became_live(one.key);
      worker.store().resize(one.key, one.nbytes);
      nbytes.emplace_back(one.key.value(), one.nbytes);
      update.data.push_back({std::move(one.key), one.nbytes, Value(std::move(one.type)), std::move(one.typename_)});
    }
    worker.refused_data().clear();
    worker.apply(std::move(update), stimulus_id);
    const auto refused = std::exchange(worker.refused_data(), {});
    if (!refused.empty()) return call->raise("builtins.RuntimeError", refused.front().second);
    call->reply(Value(Value::Map{{"nbytes", Value(std::move(nbytes))}, {"status", "OK"}}));
  });
}

void gather(Worker& worker, const net::RpcCallPtr& call) {
  Incoming::WhoHas who_has;
  if (const Value::Map* given = call->msg["who_has"].map_if())
    for (const auto& [name, holders] : *given)
      if (auto key = Key::from_value(name); key && !worker.store().contains(*key))
        who_has.emplace_back(*std::move(key), net::strings_of(holders));
  const std::string stimulus_id = worker.stimulus("gather");
  worker.incoming().gather(
      std::move(who_has),
      [&worker, stimulus_id](std::vector<std::pair<Key, OpaquePtr>> data) {
        UpdateData update;
        for (auto& [key, payload] : data) {
          const std::int64_t nbytes = frame_bytes(*payload);
          worker.store_received(key, std::move(payload), nbytes);
          update.data.push_back({std::move(key), nbytes, Value(), ""});
        }
        if (!update.data.empty()) worker.apply(std::move(update), stimulus_id);
      },
      [call](const std::vector<Key>& failed) {
        if (failed.empty()) return call->reply(Value(Value::Map{{"status", "OK"}}));
        Value::Array keys;
        for (const Key& key : failed) keys.push_back(key.value());
        log_error("Could not find data: {}", Value(keys).repr());
        call->reply(Value(Value::Map{{"status", "partial-fail"}, {"keys", Value(std::move(keys))}}));
      });
}

void free_keys(Worker& worker, const net::RpcCallPtr& call) {
  worker.apply(FreeKeys{net::keys_of(call->msg["keys"])}, std::string(call->msg["stimulus_id"].as_string("free-keys")));
  call->reply(Value());
}

void keys(Worker& worker, const net::RpcCallPtr& call) {
  Value::Array names;
  for (const Key& key : worker.store().keys()) names.push_back(key.value());
  call->reply(Value(std::move(names)));
}

}  // namespace

void add_data_operations(RpcTable& table) {
  table["get_data"] = [](Worker& worker, const net::RpcCallPtr& call) { worker.outgoing().get_data(call); };
  table["gather"] = gather;
  table["update_data"] = update_data;
  table["free_keys"] = free_keys;
  table["keys"] = keys;
}

}  // namespace dask::worker
