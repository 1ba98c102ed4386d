// Operations of Dask's coordination primitives: Lock, Semaphore, MultiLock, Event, Queue, Variable and published datasets.
// Here arguments are read; what they mean is in scheduler/extensions.
// Source: distributed/{semaphore,multi_lock,event,queues,variable,publish}.py.
#include <cmath>

#include "scheduler/server/extensions.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {

// ---- arguments ----

std::optional<Key> Extensions::name_in(RequestId request, const Value& msg, const char* argument) {
  auto key = Key::from_value(msg[argument]);
  if (key) return *std::move(key);
  effects_.raise(request, "builtins.TypeError",
                 std::string("'") + argument + "' must be a string, a number or a tuple of those: " + key.error().message);
  return {};
}

bool Extensions::deadline_in(RequestId request, const Value& msg, Deadline& deadline) {
  const Value& timeout = msg["timeout"];
  if (timeout.is_nil()) return true;
  double seconds = timeout.as_double();
  if (const std::string* text = timeout.string()) {
    auto parsed = parse_timedelta(*text);
    if (!parsed) return effects_.raise(request, "builtins.ValueError", parsed.error().message), false;
    seconds = *parsed;
  } else if (!timeout.is_number()) {
    return effects_.raise(request, "builtins.TypeError", "timeout must be a number of seconds, text such as \"200ms\", or None"), false;
  }
  if (std::isnan(seconds)) return effects_.raise(request, "builtins.ValueError", "timeout must be a number of seconds, not nan"), false;
  if (std::isfinite(seconds) || seconds < 0) deadline = now() + std::max(seconds, 0.0);
  return true;
}

// ---- Semaphore, Lock ----

void Extensions::semaphore_register(RequestId request, const Value& msg) {
  const auto name = name_in(request, msg);
  if (!name) return;
  if (!msg["max_leases"].is_int())
    return effects_.raise(request, "builtins.TypeError", "max_leases must be an integer, got " + msg["max_leases"].repr());
  Deadline lease_timeout;
  if (msg["lease_timeout"].as_double() > 0) lease_timeout = msg["lease_timeout"].as_double();
  semaphores_.create(request, *name, msg["max_leases"].as_int(), lease_timeout, effects_);
}

void Extensions::semaphore_acquire(RequestId request, const Value& msg) {
  Deadline deadline;
  const auto name = name_in(request, msg);
  const auto lease = name ? name_in(request, msg, "lease_id") : std::nullopt;
  if (lease && deadline_in(request, msg, deadline)) semaphores_.acquire(request, *name, *lease, now(), deadline, effects_);
}

void Extensions::semaphore_release(RequestId request, const Value& msg) {
  const auto name = name_in(request, msg);
  const auto lease = name ? name_in(request, msg, "lease_id") : std::nullopt;
  if (!lease) return;
  semaphores_.release(*name, *lease, now(), effects_);
  effects_.answer(request, Value());
}

void Extensions::semaphore_refresh_leases(RequestId request, const Value& msg) {
  const auto name = name_in(request, msg);
  if (!name) return;
  semaphores_.refresh(*name, keys_of(msg["lease_ids"]), now(), effects_);
  effects_.answer(request, Value());
}

void Extensions::semaphore_value(RequestId request, const Value& msg) {
  if (const auto name = name_in(request, msg)) effects_.answer(request, Value(semaphores_.value(*name)));
}

void Extensions::semaphore_close(RequestId request, const Value& msg) {
  const auto name = name_in(request, msg);
  if (!name) return;
  semaphores_.close(*name, effects_);
  effects_.answer(request, Value());
}

// ---- MultiLock ----

void Extensions::multi_lock_acquire(RequestId request, const Value& msg) {
  Deadline deadline;
  const auto user = name_in(request, msg, "id");
  if (!user || !deadline_in(request, msg, deadline)) return;
  const std::vector<Key> locks = keys_of(msg["locks"]);
  multi_locks_.acquire(request, locks, *user, msg["num_locks"].as_int(static_cast<std::int64_t>(locks.size())), now(), deadline, effects_);
}

void Extensions::multi_lock_release(RequestId request, const Value& msg) {
  if (const auto user = name_in(request, msg, "id")) multi_locks_.release(request, *user, effects_);
}

// ---- Event ----

void Extensions::event_wait(RequestId request, const Value& msg) {
  Deadline deadline;
  const auto name = name_in(request, msg);
  if (name && deadline_in(request, msg, deadline)) flags_.wait(request, *name, now(), deadline, effects_);
}

void Extensions::event_set(RequestId request, const Value& msg) {
  const auto name = name_in(request, msg);
  if (!name) return;
  flags_.set(*name, effects_);
  effects_.answer(request, Value());
}

void Extensions::event_clear(RequestId request, const Value& msg) {
  const auto name = name_in(request, msg);
  if (!name) return;
  flags_.clear(*name);
  effects_.answer(request, Value());
}

void Extensions::event_is_set(RequestId request, const Value& msg) {
  if (const auto name = name_in(request, msg)) effects_.answer(request, Value(flags_.is_set(*name)));
}

// ---- Queue ----

void Extensions::queue_create(RequestId request, const Value& msg) {
  const auto name = name_in(request, msg);
  if (!name) return;
  queues_.create(*name, msg["maxsize"].as_int());
  effects_.answer(request, Value());
}

void Extensions::queue_put(RequestId request, const Value& msg) {
  Deadline deadline;
  const auto name = name_in(request, msg);
  if (!name || !deadline_in(request, msg, deadline)) return;
  if (msg["key"].is_nil()) return queues_.put(request, *name, {std::nullopt, msg["data"]}, now(), deadline, effects_);
  const auto key = name_in(request, msg, "key");
  if (!key) return;
  when_known(request, *key, deadline, [this, request, name = *name, key = *key, deadline] {
    queues_.put(request, name, {key, {}}, now(), deadline, effects_);
  });
}

void Extensions::queue_get(RequestId request, const Value& msg) {
  Deadline deadline;
  const auto name = name_in(request, msg);
  if (!name || !deadline_in(request, msg, deadline)) return;
  Queues::Batch batch;
  const Value& asked = msg["batch"];
  if (asked.as_bool()) {
    if (asked.is_bool()) {
      batch.kind = Queues::Batch::Kind::kAvailable;
    } else if (!asked.is_int()) {
      return effects_.raise(request, "builtins.TypeError", "batch must be a bool or an integer, got " + asked.repr());
    } else if (deadline) {
      return effects_.raise(request, "builtins.NotImplementedError",
                            "Dask queues don't support simultaneous use of integer batch sizes and timeouts");
    } else {
      batch = {Queues::Batch::Kind::kCount, asked.as_int()};
    }
  }
  queues_.get(request, *name, batch, now(), deadline, effects_);
}

void Extensions::queue_qsize(RequestId request, const Value& msg) {
  if (const auto name = name_in(request, msg)) queues_.qsize(request, *name, effects_);
}

// ---- Variable ----

void Extensions::variable_set(RequestId request, const Value& msg) {
  Deadline deadline;
  const auto name = name_in(request, msg);
  if (!name || !deadline_in(request, msg, deadline)) return;
  if (msg["key"].is_nil()) return variables_.set(request, *name, {std::nullopt, msg["data"]}, effects_);
  const auto key = name_in(request, msg, "key");
  if (!key) return;
  when_known(request, *key, deadline, [this, request, name = *name, key = *key] { variables_.set(request, name, {key, {}}, effects_); });
}

void Extensions::variable_get(RequestId request, const Value& msg) {
  Deadline deadline;
  const auto name = name_in(request, msg);
  if (name && deadline_in(request, msg, deadline))
    variables_.get(request, *name, std::string(msg["client"].as_string()), now(), deadline, effects_);
}

// ---- published datasets ----

Datasets::Caller Extensions::publisher_in(RequestId request, const Value& msg, Key flush) const {
  Datasets::Caller caller{request, std::string(msg["client"].as_string()), false, std::move(flush)};
  const Client* cs = server_.state().find_client(caller.client);
  caller.connected = cs && cs->connected;
  return caller;
}

void Extensions::publish_put(RequestId request, const Value& msg) {
  const Value::Array* names = msg["names"].array_if();
  const Value::Array* keys = msg["keys"].array_if();
  const Value::Array* data = msg["data"].array_if();
  if (!names || !keys || !data || names->size() != keys->size() || names->size() != data->size())
    return effects_.raise(request, "builtins.ValueError", "publish_put needs names, keys and data: lists of the same length");
  const auto flush = name_in(request, msg, "uid");
  if (!flush) return;
  std::vector<Datasets::Entry> entries;
  for (std::size_t i = 0; i < names->size(); ++i) {
    auto name = Key::from_value((*names)[i]);
    if (!name)
      return effects_.raise(request, "builtins.TypeError",
                            "a dataset's name must be a string, a number or a tuple of those: " + name.error().message);
    entries.push_back(Datasets::Entry{*std::move(name), keys_of((*keys)[i]), (*keys)[i], (*data)[i]});
  }
  datasets_.put(publisher_in(request, msg, *flush), std::move(entries), msg["override"].as_bool(), now(), effects_);
}

void Extensions::publish_delete(RequestId request, const Value& msg) {
  if (const auto flush = name_in(request, msg, "uid"))
    datasets_.remove(publisher_in(request, msg, *flush), keys_of(msg["names"]), now(), effects_);
}

void Extensions::publish_list(RequestId request, const Value&) { datasets_.list(request, effects_); }

void Extensions::publish_get(RequestId request, const Value& msg) { datasets_.get(request, keys_of(msg["names"]), effects_); }

// ---- on a client's stream ----

bool Extensions::client_message(const std::string& client, const std::string& op, const Value& fields) {
  if (op == "publish_flush_batched_send") {
    if (auto flush = Key::from_value(fields["uid"])) datasets_.flushed(*flush, client, effects_);
  } else if (op == "queue-future-release" || op == "variable-future-received-confirm") {
    auto name = Key::from_value(fields["name"]), key = Key::from_value(fields["key"]);
    if (name && key && op == "queue-future-release")
      queues_.future_received(*name, *key, client, effects_);
    else if (name && key)
      variables_.future_received(*name, *key, fields["token"], client, effects_);
  } else if (op == "queue_release") {
    if (auto name = Key::from_value(fields["name"])) queues_.release(*name, effects_);
  } else if (op == "variable_delete") {
    if (auto name = Key::from_value(fields["name"])) variables_.remove(*name, effects_);
  } else {
    return false;
  }
  carry_out();
  return true;
}

void add_extension_operations(RpcTable& table) {
  const auto add = [&](const char* op, Extensions::Operation operation) {
    table[op] = [operation](Server& server, RpcCallPtr call) { server.extensions().call(operation, std::move(call)); };
  };
  add("semaphore_register", &Extensions::semaphore_register);
  add("semaphore_acquire", &Extensions::semaphore_acquire);
  add("semaphore_release", &Extensions::semaphore_release);
  add("semaphore_refresh_leases", &Extensions::semaphore_refresh_leases);
  add("semaphore_value", &Extensions::semaphore_value);
  add("semaphore_close", &Extensions::semaphore_close);
  add("multi_lock_acquire", &Extensions::multi_lock_acquire);
  add("multi_lock_release", &Extensions::multi_lock_release);
  add("event_wait", &Extensions::event_wait);
  add("event_set", &Extensions::event_set);
  add("event_clear", &Extensions::event_clear);
  add("event_is_set", &Extensions::event_is_set);
  add("queue_create", &Extensions::queue_create);
  add("queue_put", &Extensions::queue_put);
  add("queue_get", &Extensions::queue_get);
  add("queue_qsize", &Extensions::queue_qsize);
  add("variable_set", &Extensions::variable_set);
  add("variable_get", &Extensions::variable_get);
  add("publish_put", &Extensions::publish_put);
  add("publish_delete", &Extensions::publish_delete);
  add("publish_list", &Extensions::publish_list);
  add("publish_get", &Extensions::publish_get);
}

}  // namespace dask::scheduler
