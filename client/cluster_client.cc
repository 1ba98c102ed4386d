#include "client/cluster_client.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>

#include "client/native_graph.h"
#include "client/wire_values.h"
#include "core/base/msgpack.h"
#include "core/native/dask_node.h"
#include "core/native/inline_value.h"
#include "core/runtime/clock.h"
#include "core/wire/message.h"
#include "dask/errors.h"

namespace dask::client {
namespace {

constexpr auto kConnectRetryInterval = std::chrono::milliseconds(100);
constexpr auto kHeartbeatInterval = std::chrono::seconds(5);
// The release of a small result, for which nobody waits. That of a large one goes out before the next graph, which may need the memory.
constexpr auto kReleasePatience = std::chrono::milliseconds(2);
constexpr std::size_t kPatientReleasesMax = 1000;

double now() { return SystemClock().monotonic(); }

std::string unique_name() {
  std::random_device random;
  return fmt::format("Client-native-{:08x}{:08x}-{}", random(), random(), getpid());
}

std::string_view key_text(const Value& key) { return key.as_string(); }

}  // namespace

// ---- connecting, on the loop's thread ----------------------------------------------------------------------------------------

ClusterClient::ClusterClient(std::string address, bool direct_to_workers)
    : address_(std::move(address)),
      direct_to_workers_(direct_to_workers),
      name_(unique_name()),
      turns_(loop_, [this] { plan_releases(); }),
      rpc_(std::make_unique<net::RpcPool>(loop_)) {}

ClusterClient::~ClusterClient() {
  if (!thread_.joinable()) return;
  loop_.stop();
  if (thread_.get_id() == std::this_thread::get_id())
    thread_.detach();
  else
    thread_.join();
}

std::shared_ptr<ClusterClient> ClusterClient::connect(const std::string& text, double timeout_s, bool direct_to_workers) {
  const auto address = net::parse_address(text);
  if (!address) throw std::invalid_argument("the scheduler's address: " + address.error().message);
  if (address->scheme != "tcp") throw std::invalid_argument("the scheduler's address " + text + ": only tcp is supported yet");
  std::shared_ptr<ClusterClient> client(new ClusterClient(address->str(), direct_to_workers));
  ClusterClient* self = client.get();
  client->loop_.post([self, deadline = now() + timeout_s] { self->start(deadline); });
  client->thread_ = std::thread([self] { self->turns_.serve(); });
  client->turns_.wait(
      [self] {
        const std::lock_guard lock(self->mutex_);
        return self->open_ || self->closed_;
      },
      -1);
  if (client->closed()) {
    const std::string why = client->why_closed_;
    client->close();
    throw ConnectionError(why);
  }
  return client;
}

void ClusterClient::start(double deadline) {
  rpc_->call(address_, Value(Value::Map{{"op", "identity"}, {"n_workers", 0}}), [this, deadline](Result<Value> identity) {
    if (!identity) {
      if (now() > deadline) return end(fmt::format("cannot connect to the scheduler at {}: {}", address_, identity.error().message));
      retry_ = loop_.after(kConnectRetryInterval, [this, deadline] { start(deadline); });
      return;
    }
    const net::Address address = *net::parse_address(address_);
    if (const std::int64_t port = (*identity)["services"]["dashboard"].as_int(); port > 0)
      dashboard_link_ = fmt::format("http://{}:{}/status", address.host.empty() ? "127.0.0.1" : address.host, port);
    net::connect(loop_, address, [this](Result<net::CommPtr> comm) {
      if (!comm) return end(fmt::format("cannot connect to the scheduler at {}: {}", address_, comm.error().message));
      register_client(*std::move(comm));
    });
  });
}

// Dask compares versions of Python packages: a client without Python has none.
void ClusterClient::register_client(net::CommPtr comm) {
  comm_ = std::move(comm);
  comm_->on_message([this](wire::Frames frames) { receive(frames); });
  comm_->on_closed([this](Error error) { end("the connection to the scheduler at " + address_ + " ended: " + error.message); });
  comm_->send(
      wire::encode_message(Value(Value::Map{{"op", "register-client"}, {"client", name_}, {"reply", false}, {"versions", Value::map()}})));
  heartbeat_ = loop_.every(kHeartbeatInterval, [this] { send(Value(Value::Map{{"op", "heartbeat-client"}})); });
}

void ClusterClient::send(Value message) {
  if (!comm_) return;
  wire::BatchWriter batch;
  batch.message(message);
  comm_->send(batch.take());
}

void ClusterClient::receive(const wire::Frames& frames) {
  auto batch = wire::decode_message(frames);
  if (!batch) return end("the scheduler at " + address_ + " sent what cannot be read: " + batch.error().message);
  if (const Value::Array* messages = batch->array_if()) {
    for (const Value& message : *messages) handle(message);
  } else {
    handle(*batch);
  }
}

void ClusterClient::handle(const Value& message) {
  const std::string_view op = message["op"].as_string();
  if (op == "key-in-memory") {
    const Bytes* bytes = message["value"].bytes();  // copied: the frame that it is part of may be large
    auto value = bytes ? native::from_inline(Bytes::copy(*bytes)) : native::NativeValue();
    change(std::string(key_text(message["key"])), [&](FutureState& s) {
      s.status = FutureState::Status::kFinished;
      if (!bytes || !value || !s.value.empty() || inline_bytes_ + bytes->size() > kInlineBytesTotalMax) return;
      s.value = *std::move(value);
      inline_bytes_ += s.value_bytes = bytes->size();
    });
  } else if (op == "task-erred") {
    TaskFailure failure = failure_from_wire(message["exception"]);
    change(std::string(key_text(message["key"])), [&](FutureState& s) {
      s.status = FutureState::Status::kError;
      s.failure = std::move(failure);
    });
  } else if (op == "lost-data") {
    change(std::string(key_text(message["key"])), [](FutureState& s) { s.status = FutureState::Status::kLost; });
  } else if (op == "task-retried") {
    change(std::string(key_text(message["key"])), [](FutureState& s) { s.status = FutureState::Status::kPending; });
  } else if (op == "cancelled-keys") {
    const std::string why(message["reason"].as_string("it was cancelled"));
    if (const Value::Array* keys = message["keys"].array_if())
      for (const Value& key : *keys)
        change(std::string(key_text(key)), [&](FutureState& s) {
          s.status = FutureState::Status::kCancelled;
          s.why_cancelled = why;
        });
  } else if (op == "graph-refused-native") {
    const auto graph = static_cast<std::uint64_t>(message["id"].as_int());
    for (const FutureStatePtr& state : living_states())
      change(state, [&](FutureState& s) {
        if (s.graph != graph) return;
        s.status = FutureState::Status::kError;
        s.failure = {"dask::GraphRefused", "the scheduler refused the graph: " + std::string(message["message"].as_string()), false};
      });
  } else if (op == "stream-start") {
    if (const std::string_view error = message["error"].as_string(); !error.empty()) return end(std::string(error));
    const std::lock_guard lock(mutex_);
    open_ = true;
  }
}

// The connection is over: nothing that is pending will come.
void ClusterClient::end(const std::string& why) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
    why_closed_ = why;
  }
  for (const FutureStatePtr& state : living_states())
    change(state, [&](FutureState& s) {
      if (s.ended()) return;
      s.status = FutureState::Status::kCancelled;
      s.why_cancelled = why;
    });
  heartbeat_.cancel();
  release_timer_.cancel();
  retry_.cancel();
  if (comm_) std::exchange(comm_, nullptr)->close();
}

void ClusterClient::close() {
  if (!thread_.joinable()) return;
  bool was_open = false;
  {
    const std::lock_guard lock(mutex_);
    was_open = open_ && !closed_;
  }
  // Dask's goodbye; what is queued goes out before the loop ends.
  loop_.post([this, was_open] {
    if (was_open) send(Value(Value::Map{{"op", "close-client"}}));
    end("the client is closed");
    rpc_->close();
    loop_.at_end_of_turn([this] { loop_.post([this] { loop_.stop(); }); });
  });
  thread_.join();
}

bool ClusterClient::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void ClusterClient::require_open() const {
  const std::lock_guard lock(mutex_);
  if (closed_) throw ConnectionError(why_closed_);
}

// ---- what is known about keys ------------------------------------------------------------------------------------------------

FutureStatePtr ClusterClient::state_of(const std::string& key) {
  const std::lock_guard lock(mutex_);
  std::weak_ptr<FutureState>& slot = states_[key];
  FutureStatePtr state = slot.lock();
  if (!state) slot = state = std::make_shared<FutureState>(shared_from_this(), key);
  return state;
}

// A state may end with the vector, and then takes the mutex: never destroy one while it is held.
std::vector<FutureStatePtr> ClusterClient::living_states() const {
  std::vector<FutureStatePtr> states;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, weak] : states_)
    if (auto state = weak.lock()) states.push_back(std::move(state));
  return states;
}

template <class Change>
void ClusterClient::change(const std::string& key, Change&& apply) {
  FutureStatePtr state;
  {
    const std::lock_guard lock(mutex_);
    const auto it = states_.find(key);
    if (it != states_.end()) state = it->second.lock();
  }
  if (state) change(state, apply);
}

void ClusterClient::change(const FutureStatePtr& state, const std::function<void(FutureState&)>& apply) {
  std::vector<std::function<void()>> callbacks;
  {
    const std::lock_guard lock(mutex_);
    apply(*state);
    if (state->ended()) callbacks.swap(state->when_ended);
  }
  for (const auto& callback : callbacks) callback();
}

void ClusterClient::release(const std::string& key, std::size_t value_bytes) {
  {
    const std::lock_guard lock(mutex_);
    inline_bytes_ -= value_bytes;
    if (closed_) return;
    released_.push_back({key, last_graph_});
    release_now_ = release_now_ || value_bytes == 0 || released_.size() >= kPatientReleasesMax;
    if (released_.size() > 1) return;  // the one that is under way takes this along
  }
  // While nobody runs the loop whoever takes it will see to this.
  if (!turns_.idle()) loop_.post([this] { send_releases(); });
}

bool ClusterClient::releases_are_due() const {
  const std::lock_guard lock(mutex_);
  return release_now_;
}

void ClusterClient::plan_releases() {
  if (releases_are_due()) return send_releases();
  {
    const std::lock_guard lock(mutex_);
    if (released_.empty()) return;
  }
  if (std::exchange(release_planned_, true)) return;
  release_timer_ = loop_.after(kReleasePatience, [this] {
    release_planned_ = false;
    send_releases();
  });
}

void ClusterClient::send_releases() {
  Value::Array keys;
  {
    const std::lock_guard lock(mutex_);
    std::vector<Released> early;  // before a graph that was submitted has left: it may use the key, and its sending comes back here
    for (Released& released : released_) {
      if (!unsent_graphs_.empty() && *unsent_graphs_.begin() <= released.after_graph) {
        early.push_back(std::move(released));
        continue;
      }
      const auto it = states_.find(released.key);
      if (it == states_.end() || !it->second.expired()) continue;
      states_.erase(it);
      keys.emplace_back(std::move(released.key));
    }
    released_ = std::move(early);
    release_now_ = release_now_ && !released_.empty();
  }
  if (!keys.empty()) send(Value(Value::Map{{"op", "client-releases-keys"}, {"client", name_}, {"keys", Value(std::move(keys))}}));
}

void ClusterClient::when_ended(const FutureStatePtr& state, std::function<void()> ended) {
  {
    const std::lock_guard lock(mutex_);
    if (!state->ended()) return state->when_ended.push_back(std::move(ended));
  }
  ended();
}

std::string ClusterClient::status(const FutureState& state) const {
  const std::lock_guard lock(mutex_);
  switch (state.status) {
    case FutureState::Status::kPending: return "pending";
    case FutureState::Status::kFinished: return "finished";
    case FutureState::Status::kError: return "error";
    case FutureState::Status::kCancelled: return "cancelled";
    case FutureState::Status::kLost: return "lost";
  }
  return "pending";
}

void ClusterClient::throw_failure(const FutureState& state) const {
  const std::lock_guard lock(mutex_);
  if (state.status == FutureState::Status::kCancelled) throw CancelledError(state.key, state.why_cancelled);
  if (state.status != FutureState::Status::kError) return;
  const TaskFailure& failure = state.failure;
  if (failure.killed) throw KilledWorker(state.key, failure.type, failure.message);
  throw TaskError(state.key, failure.type, failure.message);
}

bool ClusterClient::wait_for(const std::vector<FutureStatePtr>& states, bool all, double timeout_s) {
  std::size_t next = 0;  // those before it have ended; one that is lost later is seen when its result is fetched
  const auto ready = [&] {
    const std::lock_guard lock(mutex_);
    if (!all) return states.empty() || std::any_of(states.begin(), states.end(), [](const auto& s) { return s->ended(); });
    while (next < states.size() && states[next]->ended()) ++next;
    return next == states.size();
  };
  return turns_.wait(ready, timeout_s);
}

// ---- operations --------------------------------------------------------------------------------------------------------------

Result<Value> ClusterClient::call(Value message, double timeout_s) { return call_at(address_, std::move(message), timeout_s, false); }

Result<Value> ClusterClient::call_at(const std::string& address, Value message, double timeout_s, bool acknowledge) {
  struct Answer {
    std::mutex mutex;
    std::optional<Result<Value>> value;
  };
  auto answer = std::make_shared<Answer>();
  require_open();
  turns_.run([this, answer, address, acknowledge, m = std::move(message)]() mutable {
    rpc_->call(
        address, std::move(m),
        [answer](Result<Value> value) {
          const std::lock_guard lock(answer->mutex);
          answer->value = std::move(value);
        },
        acknowledge);
  });
  const auto came = [&] {
    const std::lock_guard lock(answer->mutex);
    return answer->value.has_value();
  };
  // When the client is closed meanwhile no answer will come.
  turns_.wait([&] { return came() || closed(); }, timeout_s);
  if (!came()) {
    if (closed()) return fail(ErrorCode::kUnavailable, "the client was closed");
    return fail(ErrorCode::kTimeout, fmt::format("{} has not answered within {} s", address, timeout_s));
  }
  const std::lock_guard lock(answer->mutex);
  if (*answer->value && (**answer->value)["status"].as_string() == "uncaught-error") {
    const TaskFailure failure = failure_from_wire((**answer->value)["exception"]);
    return fail(ErrorCode::kUnavailable, failure.type + ": " + failure.message);
  }
  return *std::move(answer->value);
}

std::vector<NodePtr> ClusterClient::submit(std::span<const NodePtr> wanted) {
  require_open();
  const FlatGraph graph = flatten(wanted);
  auto bytes = encode_graph(
      graph, [&](const Node& node) { return node.future && node.future->client.get() == this; }, kInlineBytesMax);
  if (!bytes) throw std::invalid_argument(bytes.error().message);
  std::vector<NodePtr> nodes;
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    id = ++last_graph_;
    unsent_graphs_.insert(id);
  }
  for (const NodePtr& node : wanted) {
    auto made = std::make_shared<Node>();
    made->key = node->key;
    made->future = node->future && node->future->client.get() == this ? node->future : state_of(node->key);
    {
      const std::lock_guard lock(mutex_);
      made->future->graph = id;
      // Something that failed or was cancelled is tried again.
      if (made->future->status != FutureState::Status::kFinished) made->future->status = FutureState::Status::kPending;
    }
    nodes.push_back(std::move(made));
  }
  turns_.run([this, id, graph_bytes = Bytes::own(*std::move(bytes))] {
    if (releases_are_due()) send_releases();
    send(Value(Value::Map{{"op", "update-graph-native"}, {"client", name_}, {"id", id}, {"graph", graph_bytes}}));
    {
      const std::lock_guard lock(mutex_);
      unsent_graphs_.erase(id);
    }
    plan_releases();
  });
  return nodes;
}

NodePtr ClusterClient::scatter(native::NativeValue value, const ScatterOptions& options) {
  require_open();
  auto node_value = native::to_node(value);
  if (!node_value) throw std::invalid_argument("scatter: " + node_value.error().message);
  auto node = std::make_shared<Node>();
  node->key = graph::value({}, std::string(value.type_name()))->key;
  node->future = state_of(node->key);
  Value::Array workers;
  for (const std::string& worker : options.workers) workers.emplace_back(worker);
  const auto answer = call(Value(Value::Map{{"op", "scatter"},
                                            {"data", Value(Value::Map{{Value(node->key), Value(*std::move(node_value))}})},
                                            {"workers", workers.empty() ? Value() : Value(std::move(workers))},
                                            {"client", name_},
                                            {"broadcast", options.broadcast},
                                            {"timeout", 10}}));
  if (!answer) throw ConnectionError("scatter: " + answer.error().message);
  change(node->future, [](FutureState& s) { s.status = FutureState::Status::kFinished; });
  turns_.changed();
  return node;
}

void ClusterClient::cancel(const std::vector<FutureStatePtr>& states) {
  require_open();
  Value::Array keys;
  for (const FutureStatePtr& state : states) {
    keys.emplace_back(state->key);
    change(state, [](FutureState& s) {
      s.status = FutureState::Status::kCancelled;
      s.why_cancelled = "it was cancelled";
    });
  }
  turns_.changed();
  turns_.run([this, all = Value(std::move(keys))] {
    send(Value(Value::Map{
        {"op", "cancel-keys"}, {"client", name_}, {"keys", all}, {"force", false}, {"reason", "it was cancelled"}, {"msg", Value()}}));
  });
}

std::int64_t ClusterClient::unfinished_tasks() {
  const auto answer = call(Value(Value::Map{{"op", "get_task_prefix_states"}}), 5);
  const Value::Map* prefixes = answer ? answer->map_if() : nullptr;
  if (!prefixes) return -1;
  std::int64_t unfinished = 0;
  for (const auto& [name, states] : *prefixes)
    for (const char* state : {"waiting", "processing", "queued", "no-worker"}) unfinished += states[state].as_int();
  return unfinished;
}

// ---- results -----------------------------------------------------------------------------------------------------------------

void ClusterClient::take_data(const Value& answer, std::vector<std::string>& keys,
                              std::unordered_map<std::string, native::NativeValue>& into) {
  const Value::Map* data = answer["data"].map_if();
  if (!data) return;
  for (const auto& [key, value] : *data) {
    auto native = value_from_wire(value);
    if (!native) throw TaskError(std::string(key_text(key)), "dask::SerializationError", native.error().message);
    into[std::string(key_text(key))] = *std::move(native);
  }
  std::erase_if(keys, [&](const std::string& key) { return into.contains(key); });
}

void ClusterClient::fetch_from_workers(std::vector<std::string>& keys, std::unordered_map<std::string, native::NativeValue>& into) {
  Value::Array names;
  for (const std::string& key : keys) names.emplace_back(key);
  const auto who_has = call(Value(Value::Map{{"op", "who_has"}, {"keys", Value(std::move(names))}}));
  const Value::Map* holders = who_has ? who_has->map_if() : nullptr;
  if (!holders) return;
  std::unordered_map<std::string, Value::Array> by_worker;
  for (const auto& [key, addresses] : *holders)
    if (const Value::Array* list = addresses.array_if(); list && !list->empty())
      by_worker[std::string((*list)[0].as_string())].push_back(key);
  for (auto& [worker, wanted] : by_worker) {
    const auto answer =
        call_at(worker, Value(Value::Map{{"op", "get_data"}, {"keys", Value(std::move(wanted))}, {"who", name_}}), -1, true);
    if (answer && (*answer)["status"].as_string() == "OK") take_data(*answer, keys, into);
  }
}

void ClusterClient::fetch(std::vector<std::string>& keys, std::unordered_map<std::string, native::NativeValue>& into) {
  if (direct_to_workers_) fetch_from_workers(keys, into);
  if (keys.empty()) return;
  Value::Array names;
  for (const std::string& key : keys) names.emplace_back(key);
  const auto answer = call(Value(Value::Map{{"op", "gather"}, {"keys", Value(std::move(names))}}));
  if (!answer) throw ConnectionError("cannot fetch results: " + answer.error().message);
  take_data(*answer, keys, into);
}

std::vector<native::NativeValue> ClusterClient::values(const std::vector<FutureStatePtr>& states, double timeout_s) {
  const double deadline = timeout_s < 0 ? 0 : now() + timeout_s;
  const auto left = [&] { return timeout_s < 0 ? -1 : std::max(0.0, deadline - now()); };
  std::unordered_map<std::string, native::NativeValue> values;
  for (int round = 0; round < kGatherRoundsMax; ++round) {
    if (!wait_for(states, true, left())) {
      for (const FutureStatePtr& state : states) throw_failure(*state);
      throw TimeoutError(fmt::format("the result of {} has not come within {} s", states.empty() ? "" : states.front()->key, timeout_s));
    }
    for (const FutureStatePtr& state : states) throw_failure(*state);
    std::vector<std::string> wanted, missing;
    {
      const std::lock_guard lock(mutex_);
      for (const FutureStatePtr& state : states) {
        if (values.contains(state->key)) continue;
        if (state->value.empty())
          wanted.push_back(state->key);
        else
          values.emplace(state->key, state->value);
      }
    }
    std::sort(wanted.begin(), wanted.end());
    wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
    for (std::size_t at = 0; at < wanted.size(); at += kGatherKeysMax) {
      std::vector<std::string> part(wanted.begin() + static_cast<std::ptrdiff_t>(at),
                                    wanted.begin() + static_cast<std::ptrdiff_t>(std::min(at + kGatherKeysMax, wanted.size())));
      fetch(part, values);
      missing.insert(missing.end(), part.begin(), part.end());
    }
    if (missing.empty()) {
      std::vector<native::NativeValue> results;
      results.reserve(states.size());
      for (const FutureStatePtr& state : states) results.push_back(values[state->key]);
      return results;
    }
    // They were lost on the way: the scheduler says when they are there again.
    for (const std::string& key : missing) {
      change(key, [](FutureState& s) { s.status = FutureState::Status::kPending; });
      turns_.run([this, key] { send(Value(Value::Map{{"op", "report-key"}, {"key", key}})); });
    }
  }
  throw ConnectionError(fmt::format("results were lost {} times while they were fetched", kGatherRoundsMax));
}

}  // namespace dask::client
