// Operations on data: gather, scatter, and who has what. Source: distributed/scheduler.py, distributed/utils_comm.py.
#include <algorithm>
#include <unordered_map>

#include "core/runtime/log.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

constexpr int kBusyRetriesMax = 200;  // a worker that stays busy this often counts as gone (30 s)
constexpr auto kBusyDelay = std::chrono::milliseconds(150);
constexpr std::size_t kGetDataKeysMax = 50'000;  // of one request: more small values would not fit into the frames of one message

// One gather: asks one holder per key, tries other holders for what is missing, until nothing is left to try.
class Gather : public std::enable_shared_from_this<Gather> {
 public:
  Gather(Server& server, RpcCallPtr call) : server_(server), call_(std::move(call)) {}

  void start() {
    for (Key& key : keys_of(call_->msg["keys"])) ask_.push_back(std::move(key));
    round();
  }

 private:
  void round() {
    std::map<WorkerId, std::vector<Key>> requests;
    for (Key& key : std::exchange(ask_, {})) {
      const Task* ts = server_.state().find(key.msgpack());
      WorkerId holder;
      if (ts)
        for (const Holder& h : ts->who_has)
          if (!gone_.contains(h.worker) && !failed_at(key, h.worker)) {
            // Spread over the holders; any is right.
            if (!holder.valid() || (key.msgpack().size() + h.worker.value) % ts->who_has.size() == 0) holder = h.worker;
          }
      if (holder.valid())
        requests[holder].push_back(std::move(key));
      else
        failed_.push_back(std::move(key));
    }
    if (requests.empty()) return finish();
    for (const auto& [worker, keys] : requests) pending_ += (keys.size() + kGetDataKeysMax - 1) / kGetDataKeysMax;
    for (auto& [worker, keys] : requests) {
      for (; keys.size() > kGetDataKeysMax; keys.resize(keys.size() - kGetDataKeysMax))
        request(worker, std::vector<Key>(keys.end() - kGetDataKeysMax, keys.end()), 0);
      request(worker, std::move(keys), 0);
    }
  }

  void request(WorkerId worker, std::vector<Key> keys, int attempt) {
    Value::Array names;
    for (const Key& key : keys) names.push_back(key.value());
    Value message(Value::Map{{"op", "get_data"}, {"keys", Value(std::move(names))}, {"who", Value()}, {"reply", true}});
    if (!call_->msg["serializers"].is_nil()) message.set("serializers", call_->msg["serializers"]);
    const std::string address = server_.state().worker(worker).address;
    server_.rpc().call(
        address, std::move(message),
        [self = shared_from_this(), worker, keys = std::move(keys), attempt](Result<Value> answer) mutable {
          self->answered(worker, std::move(keys), attempt, std::move(answer));
        },
        true);
  }

  void answered(WorkerId worker, std::vector<Key> keys, int attempt, Result<Value> answer) {
    if (answer && (*answer)["status"].as_string() == "busy" && attempt < kBusyRetriesMax && server_.stream(worker)) {
      auto timer = std::make_shared<net::Loop::Timer>();
      *timer = server_.loop().after(kBusyDelay, [self = shared_from_this(), worker, keys = std::move(keys), attempt, timer]() mutable {
        self->request(worker, std::move(keys), attempt + 1);
        self->server_.loop().post([timer] {});
      });
      return;
    }
    if (!answer || (*answer)["status"].as_string() != "OK") {
      if (!answer) log_warning("Cannot gather from {}: {}", server_.state().worker(worker).address, answer.error().message);
      gone_.insert(worker);
      for (Key& key : keys) ask_.push_back(std::move(key));
    } else {
      std::vector<std::pair<Key, WorkerId>> missing;
      static const Value::Map kNothing;
      const Value::Map* data = (*answer)["data"].map_if();
      const Value::Map& got = data ? *data : kNothing;
      auto next = got.begin();  // workers answer in the order in which they were asked
      for (Key& key : keys) {
        const Value name = key.value();
        const auto is_it = [&](const auto& entry) { return entry.first == name; };
        const auto it = next != got.end() && is_it(*next) ? next : std::find_if(got.begin(), got.end(), is_it);
        if (it != got.end()) {
          next = std::next(it);
          data_.emplace_back(it->first, it->second);
        } else {
          missing.emplace_back(key, worker);
          tried_.emplace_back(key, worker);
          ask_.push_back(std::move(key));
        }
      }
      if (!missing.empty()) server_.apply(ReplicasMissing{std::move(missing)}, server_.stimulus("gather"));
    }
    if (--pending_ > 0) return;
    if (ask_.empty()) return finish();
    round();
  }

  bool failed_at(const Key& key, WorkerId worker) const {
    return std::any_of(tried_.begin(), tried_.end(), [&](const auto& t) { return t.second == worker && t.first == key; });
  }

  void finish() {
    server_.log_event({"all"}, Value(Value::Map{{"action", "gather"}, {"count", data_.size() + failed_.size()}}));
    if (failed_.empty()) return call_->reply(Value(Value::Map{{"status", "OK"}, {"data", Value(std::move(data_))}}));
    Value::Array names;
    for (const Key& key : failed_) {
      const Task* ts = server_.state().find(key.msgpack());
      log_error("Couldn't gather key {}: it is {}", key.repr(), ts ? name_of(ts->state) : "forgotten");
      names.push_back(key.value());
    }
    call_->reply(Value(Value::Map{{"status", "error"}, {"keys", Value(std::move(names))}}));
  }

  Server& server_;
  RpcCallPtr call_;
  std::vector<Key> ask_;
  std::vector<Key> failed_;
  std::set<WorkerId> gone_;
  std::vector<std::pair<Key, WorkerId>> tried_;
  Value::Map data_;
  std::size_t pending_ = 0;
};

// One scatter: deals the items out to workers in turn, by their threads, and tells the machine where they went.
class Scatter : public std::enable_shared_from_this<Scatter> {
 public:
  Scatter(Server& server, RpcCallPtr call) : server_(server), call_(std::move(call)) {}

  void start() {
    const double timeout = call_->msg["timeout"].as_double(2);
    deadline_ = server_.now() + timeout;
    try_start();
  }

 private:
  void try_start() {
    std::vector<WorkerId> workers;
    for (WorkerId id : server_.workers_of(call_->msg["workers"]))
      if (server_.state().worker(id).status == WorkerStatus::kRunning) workers.push_back(id);
    if (workers.empty()) {
      if (server_.now() > deadline_) return call_->raise("builtins.TimeoutError", "No valid workers found");
      auto timer = std::make_shared<net::Loop::Timer>();
      *timer = server_.loop().after(std::chrono::milliseconds(100), [self = shared_from_this(), timer] {
        self->try_start();
        self->server_.loop().post([timer] {});
      });
      return;
    }
    send(workers);
  }

  void send(const std::vector<WorkerId>& workers) {
    const Value::Map* data = call_->msg["data"].map_if();
    if (!data) return call_->raise("builtins.TypeError", "scatter needs a dict of keys and values under 'data'");
    const Value& broadcast = call_->msg["broadcast"];
    std::size_t copies = 1;
    if (broadcast.is_bool() && broadcast.as_bool())
      copies = workers.size();
    else if (broadcast.is_int())
      copies = std::clamp<std::size_t>(static_cast<std::size_t>(std::max<std::int64_t>(broadcast.as_int(), 1)), 1, workers.size());
    std::vector<WorkerId> turns;
    for (WorkerId id : workers)
      for (std::int64_t t = 0; t < server_.state().worker(id).nthreads; ++t) turns.push_back(id);
    std::map<WorkerId, Value::Map> parts;
    for (const auto& [name, value] : *data) {
      auto key = Key::from_value(name);
      if (!key) return call_->raise("builtins.TypeError", "scatter: a key must be str, int, float or a tuple of those, not " + name.repr());
      DataUpdated::Item item;
      item.key = *key;
      const std::size_t first = next_turn++ % turns.size();
      const auto first_worker = static_cast<std::size_t>(std::find(workers.begin(), workers.end(), turns[first]) - workers.begin());
      for (std::size_t c = 0; c < copies; ++c) {
        const WorkerId worker = workers[(first_worker + c) % workers.size()];
        parts[worker].emplace_back(name, value);
        item.workers.push_back(worker);
      }
      items_.push_back(std::move(item));
    }
    if (parts.empty()) return finish();
    pending_ = parts.size();
    for (auto& [worker, part] : parts) {
      Value message(Value::Map{{"op", "update_data"}, {"data", Value(std::move(part))}, {"reply", true}});
      server_.rpc().call(server_.state().worker(worker).address, std::move(message),
                         [self = shared_from_this(), worker](Result<Value> answer) { self->answered(worker, std::move(answer)); });
    }
  }

  void answered(WorkerId worker, Result<Value> answer) {
    const Value::Map* nbytes = answer ? (*answer)["nbytes"].map_if() : nullptr;
    if (!nbytes) {
      error_ = answer ? "worker " + server_.state().worker(worker).address + " did not take the data" : answer.error().message;
    } else {
      for (const auto& [name, size] : *nbytes)
        for (DataUpdated::Item& item : items_)
          if (item.key.value() == name) item.nbytes = size.as_int(-1);
    }
    if (--pending_ == 0) finish();
  }

  void finish() {
    if (!error_.empty()) return call_->raise("builtins.OSError", "scatter failed: " + error_);
    const std::string client(call_->msg["client"].as_string());
    DataUpdated updated;
    if (!client.empty()) updated.client = server_.machine().client_named(client);
    Value::Array names;
    for (const DataUpdated::Item& item : items_) names.push_back(item.key.value());
    server_.log_event({client, "all"}, Value(Value::Map{{"action", "scatter"}, {"client", client}, {"count", items_.size()}}));
    updated.items = std::move(items_);
    server_.apply(std::move(updated), server_.stimulus("scatter"));
    call_->reply(Value(std::move(names)));
  }

  static inline std::size_t next_turn = 0;
  Server& server_;
  RpcCallPtr call_;
  double deadline_ = 0;
  std::vector<DataUpdated::Item> items_;
  std::size_t pending_ = 0;
  std::string error_;
};

void update_data(Server& server, RpcCallPtr call) {
  DataUpdated updated;
  if (const std::string_view client = call->msg["client"].as_string(); !client.empty())
    updated.client = server.machine().client_named(std::string(client));
  if (const Value::Map* who_has = call->msg["who_has"].map_if())
    for (const auto& [name, addresses] : *who_has) {
      auto key = Key::from_value(name);
      if (!key) continue;
      DataUpdated::Item item;
      item.key = *std::move(key);
      for (const std::string& address : strings_of(addresses))
        if (const Worker* ws = server.state().find_worker(address)) item.workers.push_back(ws->id);
      if (const Value::Map* nbytes = call->msg["nbytes"].map_if())
        for (const auto& [other, size] : *nbytes)
          if (other == name) item.nbytes = size.as_int(-1);
      updated.items.push_back(std::move(item));
    }
  server.apply(std::move(updated), server.stimulus("update-data"));
  call->reply(Value());
}

Value addresses_of(Server& server, const Task& ts) {
  Value::Array addresses;
  for (const Holder& holder : ts.who_has) addresses.emplace_back(server.state().worker(holder.worker).address);
  return Value(std::move(addresses));
}

Value keys_in(Server& server, const std::vector<std::uint32_t>& slots) {
  Value::Array keys;
  for (std::uint32_t slot : slots) keys.push_back(server.state().task(slot).key.value());
  return Value(std::move(keys));
}

void who_has(Server& server, RpcCallPtr call) {
  Value::Map answer;
  if (call->msg["keys"].is_nil()) {
    server.state().for_each_task([&](const Task& ts) { answer.emplace_back(ts.key.value(), addresses_of(server, ts)); });
  } else {
    for (const Key& key : keys_of(call->msg["keys"])) {
      const Task* ts = server.state().find(key.msgpack());
      answer.emplace_back(key.value(), ts ? addresses_of(server, *ts) : Value::array());
    }
  }
  call->reply(Value(std::move(answer)));
}

// {address: f(worker)} for the workers asked for.
template <class F>
void per_worker(Server& server, RpcCallPtr call, F&& f) {
  Value::Map answer;
  for (WorkerId id : server.workers_of(call->msg["workers"]))
    answer.emplace_back(server.state().worker(id).address, f(server.state().worker(id)));
  call->reply(Value(std::move(answer)));
}

void nbytes(Server& server, RpcCallPtr call) {
  std::vector<const Task*> tasks;
  if (call->msg["keys"].is_nil()) {
    server.state().for_each_task([&](const Task& ts) {
      if (ts.nbytes >= 0) tasks.push_back(&ts);
    });
  } else {
    for (const Key& key : keys_of(call->msg["keys"]))
      if (const Task* ts = server.state().find(key.msgpack())) tasks.push_back(ts);
  }
  const bool summary = call->msg["summary"].as_bool();
  Value::Map answer;
  std::map<std::string, std::int64_t> sums;
  for (const Task* ts : tasks) {
    if (summary)
      sums[server.state().prefix(ts->prefix).name] += server.state().nbytes_of(*ts);
    else
      answer.emplace_back(ts->key.value(), server.state().nbytes_of(*ts));
  }
  for (const auto& [prefix, sum] : sums) answer.emplace_back(prefix, sum);
  call->reply(Value(std::move(answer)));
}

void task_status(Server& server, RpcCallPtr call) {
  Value::Map answer;
  for (const Key& key : keys_of(call->msg["keys"])) {
    const Task* ts = server.state().find(key.msgpack());
    answer.emplace_back(key.value(), ts ? Value(name_of(ts->state)) : Value());
  }
  call->reply(Value(std::move(answer)));
}

void retry(Server& server, RpcCallPtr call) {
  std::vector<Key> keys = keys_of(call->msg["keys"]);
  Value::Array names;
  for (const Key& key : keys) names.push_back(key.value());
  server.apply(RetryRequested{std::move(keys)}, server.stimulus("stimulus-retry"));
  call->reply(Value(std::move(names)));
}

}  // namespace

void add_data_operations(RpcTable& table) {
  table["gather"] = [](Server& s, RpcCallPtr call) { std::make_shared<Gather>(s, std::move(call))->start(); };
  table["scatter"] = [](Server& s, RpcCallPtr call) { std::make_shared<Scatter>(s, std::move(call))->start(); };
  table["update_data"] = update_data;
  table["who_has"] = who_has;
  table["has_what"] = [](Server& s, RpcCallPtr call) {
    per_worker(s, std::move(call), [&](const Worker& ws) { return keys_in(s, ws.has_what); });
  };
  table["processing"] = [](Server& s, RpcCallPtr call) {
    per_worker(s, std::move(call), [&](const Worker& ws) { return keys_in(s, ws.processing); });
  };
  table["ncores"] = [](Server& s, RpcCallPtr call) { per_worker(s, std::move(call), [](const Worker& ws) { return Value(ws.nthreads); }); };
  table["ncores_running"] = [](Server& s, RpcCallPtr call) {
    Value::Map answer;
    for (WorkerId id : s.workers_of(call->msg["workers"]))
      if (const Worker& ws = s.state().worker(id); ws.status == WorkerStatus::kRunning) answer.emplace_back(ws.address, ws.nthreads);
    call->reply(Value(std::move(answer)));
  };
  table["nbytes"] = nbytes;
  table["get_task_status"] = task_status;
  table["retry"] = retry;
}

}  // namespace dask::scheduler
