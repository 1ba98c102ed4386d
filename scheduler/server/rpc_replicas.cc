// Operations that place copies of results: replicate, rebalance. Source: distributed/scheduler.py.
#include <algorithm>

#include "core/runtime/log.h"
#include "scheduler/policy/memory.h"
#include "scheduler/policy/rebalance.h"
#include "scheduler/server/replicas.h"

namespace dask::scheduler {
namespace {

constexpr int kRoundsWithoutProgressMax = 3;  // a result that no worker can fetch is given up after so many tries

Value names_of(const std::vector<Key>& keys) {
  Value::Array names;
  for (const Key& key : keys) names.push_back(key.value());
  return Value(std::move(names));
}

Value partial_fail(const std::vector<Key>& keys) { return Value(Value::Map{{"status", "partial-fail"}, {"keys", names_of(keys)}}); }

std::vector<Key> without_data(Server& server, const std::vector<Key>& keys) {
  std::vector<Key> missing;
  for (const Key& key : keys)
    if (const Task* ts = server.state().find(key.msgpack()); !ts || ts->who_has.empty()) missing.push_back(key);
  return missing;
}

Value addresses_of(Server& server, const std::vector<WorkerId>& workers) {
  Value::Array addresses;
  for (WorkerId id : workers) addresses.emplace_back(server.state().worker(id).address);
  return Value(std::move(addresses));
}

// ---- replicate ----

// Brings each key to n copies: deletes what is too much, then copies in rounds, in each at most branching_factor × copies.
class Replicate : public std::enable_shared_from_this<Replicate> {
 public:
  Replicate(Server& server, RpcCallPtr call, std::function<void()> done)
      : server_(server), call_(std::move(call)), done_(std::move(done)) {}

  void start() {
    const Value& msg = call_->msg;
    branching_factor_ = msg["branching_factor"].as_int(2);
    if (branching_factor_ < 1) return fail("builtins.ValueError", "replicate: branching_factor must be at least 1");
    for (WorkerId id : server_.workers_of(msg["workers"]))
      if (server_.state().worker(id).status == WorkerStatus::kRunning) workers_.insert(id);
    n_ = std::min(msg["n"].as_int(static_cast<std::int64_t>(workers_.size())), static_cast<std::int64_t>(workers_.size()));
    if (n_ <= 0)
      return fail("builtins.ValueError",
                  workers_.empty() ? "replicate: none of the workers is running" : "Can not use replicate to delete data");
    for (Key& key : keys_of(msg["keys"])) {
      if (!server_.state().find(key.msgpack())) return fail("builtins.KeyError", key.str());
      if (std::find(keys_.begin(), keys_.end(), key) == keys_.end()) keys_.push_back(std::move(key));
    }
    key_count_ = keys_.size();
    stimulus_id_ = msg["stimulus_id"].as_string(server_.stimulus("replicate"));
    if (const std::vector<Key> missing = without_data(server_, keys_); !missing.empty()) return finish(partial_fail(missing));
    if (msg["delete"].is_nil() || msg["delete"].as_bool())
      delete_on_workers(server_, superfluous(), stimulus_id_, [self = shared_from_this()] { self->round(); });
    else
      round();
  }

 private:
  std::vector<WorkerId> holders_among_workers(const Task& ts) const {
    std::vector<WorkerId> holders;
    for (const Holder& holder : ts.who_has)
      if (workers_.contains(holder.worker)) holders.push_back(holder.worker);
    return holders;
  }

  // The copies beyond n, on the workers that hold most.
  std::map<WorkerId, std::vector<Key>> superfluous() const {
    std::map<WorkerId, std::vector<Key>> keys;
    for (const Key& key : keys_) {
      std::vector<WorkerId> holders = holders_among_workers(*server_.state().find(key.msgpack()));
      if (static_cast<std::int64_t>(holders.size()) <= n_) continue;
      std::stable_sort(holders.begin(), holders.end(),
                       [&](WorkerId a, WorkerId b) { return server_.state().worker(a).nbytes > server_.state().worker(b).nbytes; });
      holders.resize(holders.size() - static_cast<std::size_t>(n_));
      for (WorkerId id : holders) keys[id].push_back(key);
    }
    return keys;
  }

  void round() {
    std::map<WorkerId, std::int64_t> load;  // bytes held and on their way
    for (WorkerId id : std::vector<WorkerId>(workers_.begin(), workers_.end())) {
      const Worker& ws = server_.state().worker(id);
      if (ws.present && ws.status == WorkerStatus::kRunning)
        load[id] = ws.nbytes;
      else
        workers_.erase(id);
    }
    n_ = std::min(n_, static_cast<std::int64_t>(workers_.size()));
    Gathers gathers;
    std::vector<Key> open;
    std::int64_t missing_copies = 0;
    for (Key& key : keys_) {
      const Task* ts = server_.state().find(key.msgpack());
      if (!ts || ts->who_has.empty()) continue;  // nobody needs it any more, or it is lost
      const std::vector<WorkerId> holders = holders_among_workers(*ts);
      const std::int64_t missing = n_ - static_cast<std::int64_t>(holders.size());
      if (missing <= 0) continue;
      missing_copies += missing;
      std::vector<WorkerId> others;
      for (WorkerId id : workers_)
        if (std::find(holders.begin(), holders.end(), id) == holders.end()) others.push_back(id);
      std::stable_sort(others.begin(), others.end(), [&](WorkerId a, WorkerId b) { return load[a] < load[b]; });
      others.resize(static_cast<std::size_t>(std::min(missing, branching_factor_ * static_cast<std::int64_t>(ts->who_has.size()))));
      std::vector<std::string> addresses;
      for (const Holder& holder : ts->who_has) addresses.push_back(server_.state().worker(holder.worker).address);
      for (WorkerId id : others) {
        load[id] += server_.state().nbytes_of(*ts);
        gathers[id].emplace_back(key, addresses);
      }
      open.push_back(std::move(key));
    }
    keys_ = std::move(open);
    rounds_without_progress_ = missing_copies < missing_copies_ ? 0 : rounds_without_progress_ + 1;
    missing_copies_ = missing_copies;
    if (keys_.empty()) {
      server_.log_event({"all"}, Value(Value::Map{{"action", "replicate"},
                                                  {"workers", addresses_of(server_, {workers_.begin(), workers_.end()})},
                                                  {"key-count", key_count_},
                                                  {"branching-factor", branching_factor_}}));
      return finish(Value());
    }
    if (rounds_without_progress_ > kRoundsWithoutProgressMax) return finish(partial_fail(keys_));
    for (const auto& [id, wanted] : gathers) {
      Value::Map who_has;
      for (const auto& [key, addresses] : wanted)
        who_has.emplace_back(key.value(), Value(Value::Array(addresses.begin(), addresses.end())));
      server_.log_event({server_.state().worker(id).address},
                        Value(Value::Map{{"action", "replicate-add"}, {"who_has", Value(std::move(who_has))}}));
    }
    gather_on_workers(server_, gathers, [self = shared_from_this()](FailedGathers) { self->round(); });
  }

  void fail(std::string_view cls, const std::string& text) {
    call_->raise(cls, text);
    done_();
  }
  void finish(Value answer) {
    call_->reply(std::move(answer));
    done_();
  }

  Server& server_;
  RpcCallPtr call_;
  std::function<void()> done_;
  std::set<WorkerId> workers_;
  std::vector<Key> keys_;
  std::size_t key_count_ = 0;
  std::int64_t n_ = 0;
  std::int64_t branching_factor_ = 2;
  std::string stimulus_id_;
  std::int64_t missing_copies_ = INT64_MAX;  // after the last round
  int rounds_without_progress_ = 0;
};

// ---- rebalance ----

RebalanceSettings rebalance_settings(const Config& config) {
  RebalanceSettings settings;
  const auto read = [&](const char* name, double& value) {
    if (auto number = config.get_double(std::string("distributed.worker.memory.rebalance.") + name)) value = *number;
  };
  double gap = 2 * settings.half_gap;
  read("sender-min", settings.sender_min);
  read("recipient-max", settings.recipient_max);
  read("sender-recipient-gap", gap);
  settings.half_gap = gap / 2;
  if (auto measure = config.get_string("distributed.worker.memory.rebalance.measure")) settings.measure = *measure;
  return settings;
}

Value counts_of(Server& server, const std::map<WorkerId, std::size_t>& counts) {
  Value::Map map;
  for (const auto& [id, count] : counts) map.emplace_back(server.state().worker(id).address, Value(count));
  return Value(std::move(map));
}

void rebalance(Server& server, RpcCallPtr call, std::function<void()> done) {
  const auto finish = [call, done](Value answer) {
    call->reply(std::move(answer));
    done();
  };
  const Value ok(Value::Map{{"status", "OK"}});
  const Value& msg = call->msg;
  for (const std::string& name : strings_of(msg["workers"]))
    if (server.workers_of(Value(name)).empty()) {
      call->raise("builtins.KeyError", name);
      return done();
    }
  const std::vector<WorkerId> workers = server.workers_of(msg["workers"]);
  const std::vector<Key> keys = keys_of(msg["keys"]);
  if (workers.empty() || (!msg["keys"].is_nil() && keys.empty())) return finish(ok);
  std::optional<std::set<std::uint32_t>> allowed;
  if (!msg["keys"].is_nil()) {
    if (const std::vector<Key> missing = without_data(server, keys); !missing.empty()) return finish(partial_fail(missing));
    allowed.emplace();
    for (const Key& key : keys) allowed->insert(server.state().find(key.msgpack())->slot);
  }
  const RebalanceSettings settings = rebalance_settings(server.config());
  if (!MemoryState{}.measure(settings.measure)) {
    call->raise("builtins.ValueError",
                "distributed.worker.memory.rebalance.measure is '" + settings.measure + "', which is no measure of memory");
    return done();
  }
  const Rebalance plan = propose_rebalance(server.state(), workers, allowed, settings);
  if (plan.moves.empty()) {
    server.log_event(
        {"all"}, Value(Value::Map{{"action", "rebalance"}, {"senders", plan.senders}, {"recipients", plan.recipients}, {"moved_keys", 0}}));
    return finish(ok);
  }

  struct KeyMove {
    Key key;
    WorkerId sender, recipient;
  };
  auto moves = std::make_shared<std::vector<KeyMove>>();
  Gathers gathers;
  for (const Move& move : plan.moves) {
    const Key& key = server.state().task(move.task).key;
    moves->push_back(KeyMove{key, move.sender, move.recipient});
    auto& wanted = gathers[move.recipient];
    auto same = std::find_if(wanted.begin(), wanted.end(), [&](const auto& entry) { return entry.first == key; });
    if (same == wanted.end()) same = wanted.insert(wanted.end(), {key, {}});
    same->second.push_back(server.state().worker(move.sender).address);
  }
  const std::string stimulus_id(msg["stimulus_id"].as_string(server.stimulus("rebalance")));
  const bool asked_for_keys = allowed.has_value();
  gather_on_workers(server, gathers, [&server, moves, stimulus_id, asked_for_keys, finish, ok](FailedGathers failed) {
    std::map<WorkerId, std::vector<Key>> delivered;  // by sender
    std::map<WorkerId, std::size_t> sent, received;
    for (const auto& [key, sender, recipient] : *moves) {
      ++received[recipient];
      const auto it = failed.find(recipient);
      if (it != failed.end() && std::find(it->second.begin(), it->second.end(), key) != it->second.end()) continue;
      if (server.stream(sender)) delivered[sender].push_back(key);
      ++sent[sender];
    }
    server.log_event({"all"}, Value(Value::Map{{"action", "rebalance"},
                                               {"senders", counts_of(server, sent)},
                                               {"recipients", counts_of(server, received)},
                                               {"moved_keys", moves->size()}}));
    std::vector<Key> missing;
    for (const auto& [recipient, lost] : failed)
      for (const Key& key : lost)
        if (std::find(missing.begin(), missing.end(), key) == missing.end()) missing.push_back(key);
    // Which keys failed is only said to those who asked for keys.
    Value answer = missing.empty() || !asked_for_keys ? ok : partial_fail(missing);
    delete_on_workers(server, delivered, stimulus_id, [finish, answer] { finish(answer); });
  });
}

}  // namespace

void add_replica_operations(RpcTable& table) {
  auto turns = std::make_shared<Turns>();
  table["replicate"] = [turns](Server& server, RpcCallPtr call) {
    turns->run([&server, call](std::function<void()> done) { std::make_shared<Replicate>(server, call, std::move(done))->start(); });
  };
  table["rebalance"] = [turns](Server& server, RpcCallPtr call) {
    turns->run([&server, call](std::function<void()> done) { rebalance(server, call, std::move(done)); });
  };
}

}  // namespace dask::scheduler
