// Client and Future as users see them: thin handles to ClusterClient. Also which client is the default, and computing there.
#include "dask/client.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <stdexcept>

#include "client/cluster_client.h"
#include "client/cluster_compute.h"
#include "client/flat_graph.h"
#include "client/progress.h"
#include "client/settings.h"

namespace dask {
namespace client {
namespace {

struct Currents {
  std::mutex mutex;
  std::vector<std::shared_ptr<ClusterClient>> list;  // the newest last
};
Currents& currents() {
  static Currents all;
  return all;
}

std::shared_ptr<ClusterClient> require_current_client() {
  auto client = current_client();
  if (!client) throw std::invalid_argument("the scheduler \"distributed\" needs a client: make a dask::Client first");
  return client;
}

std::vector<FutureStatePtr> states_of(const std::vector<NodePtr>& nodes) {
  std::vector<FutureStatePtr> states;
  for (const NodePtr& node : nodes) states.push_back(node->future);
  return states;
}

double connect_timeout_s(const ClientOptions& options) {
  if (options.timeout_s) return *options.timeout_s;
  const auto configured = current_config().get_seconds("distributed.comm.timeouts.connect");
  return configured && *configured ? **configured : 30;
}

}  // namespace

std::shared_ptr<ClusterClient> current_client() {
  const std::lock_guard lock(currents().mutex);
  return currents().list.empty() ? nullptr : currents().list.back();
}
void add_current_client(const std::shared_ptr<ClusterClient>& client) {
  const std::lock_guard lock(currents().mutex);
  currents().list.push_back(client);
}
void remove_current_client(const std::shared_ptr<ClusterClient>& client) {
  const std::lock_guard lock(currents().mutex);
  std::erase(currents().list, client);
}

bool has_current_client() { return current_client() != nullptr; }

std::vector<NodePtr> persist_on_cluster(std::span<const NodePtr> wanted) { return require_current_client()->submit(wanted); }

std::vector<native::NativeValue> compute_on_cluster(std::span<const NodePtr> wanted) {
  const auto client = require_current_client();
  const FlatGraph graph = flatten(wanted);
  Progress progress(graph.size());
  const std::vector<FutureStatePtr> states = states_of(client->submit(wanted));
  // The scheduler tells only of the wanted keys; for a bar it is asked how much is left.
  while (progress.watched() && !client->wait_for(states, true, kProgressIntervalSeconds)) {
    const std::int64_t left = client->unfinished_tasks();
    if (left >= 0 && left <= static_cast<std::int64_t>(graph.size())) progress.set_done(graph.size() - static_cast<std::size_t>(left));
  }
  auto values = client->values(states, -1);
  progress.set_done(graph.size());
  return values;
}

native::NativeValue leaf_value(const Node& node) {
  if (node.future) return node.future->client->values({node.future}, -1).front();
  return node.value;
}

}  // namespace client

namespace detail {

FutureState::~FutureState() { client->release(key, value_bytes); }

native::NativeValue future_value(FutureState& state, double timeout_s) {
  // The caller's node keeps the state alive: a pointer that owns nothing will do.
  return state.client->values({FutureStatePtr(FutureStatePtr(), &state)}, timeout_s).front();
}

std::vector<native::NativeValue> future_values(const std::vector<FutureStatePtr>& states, double timeout_s) {
  if (states.empty()) return {};
  const bool one_client = std::all_of(states.begin(), states.end(), [&](const auto& s) { return s->client == states.front()->client; });
  if (one_client) return states.front()->client->values(states, timeout_s);
  std::vector<native::NativeValue> values;
  for (const FutureStatePtr& state : states) values.push_back(state->client->values({state}, timeout_s).front());
  return values;
}

std::string future_status(const FutureState& state) { return state.client->status(state); }
void throw_failure(const FutureState& state) { state.client->throw_failure(state); }

void cancel_futures(const std::vector<FutureStatePtr>& states) {
  for (const FutureStatePtr& state : states) state->client->cancel({state});
}

bool wait_for(const std::vector<FutureStatePtr>& states, bool all, double timeout_s) {
  return states.empty() || states.front()->client->wait_for(states, all, timeout_s);
}

struct Completions::Impl {
  std::mutex mutex;
  std::condition_variable came;
  std::deque<std::size_t> ended;
  std::shared_ptr<client::ClusterClient> client;  // of all futures; null: they have several
  bool any() {
    const std::lock_guard lock(mutex);
    return !ended.empty();
  }
};

Completions::Completions(const std::vector<FutureStatePtr>& states) : impl_(std::make_shared<Impl>()) {
  const auto is_same = [&](const auto& state) { return state->client == states.front()->client; };
  if (!states.empty() && std::all_of(states.begin(), states.end(), is_same)) impl_->client = states.front()->client;
  for (std::size_t i = 0; i < states.size(); ++i)
    states[i]->client->when_ended(states[i], [impl = impl_, i] {
      const std::lock_guard lock(impl->mutex);
      impl->ended.push_back(i);
      impl->came.notify_all();
    });
}
Completions::~Completions() = default;

std::size_t Completions::next() {
  // Whoever waits for a client runs its loop.
  if (impl_->client) impl_->client->wait_until([this] { return impl_->any(); });
  std::unique_lock lock(impl_->mutex);
  impl_->came.wait(lock, [&] { return !impl_->ended.empty(); });
  const std::size_t index = impl_->ended.front();
  impl_->ended.pop_front();
  return index;
}

}  // namespace detail

// ---- Client ------------------------------------------------------------------------------------------------------------------

Client::Client(const std::string& address, const ClientOptions& options)
    : impl_(client::ClusterClient::connect(address, client::connect_timeout_s(options), options.direct_to_workers)) {
  if (options.set_as_default) client::add_current_client(impl_);
}
Client::Client(const LocalCluster& cluster, const ClientOptions& options) : Client(cluster.scheduler_address(), options) {}
Client::Client(const LocalClusterOptions& cluster, const ClientOptions& options) : cluster_(std::make_unique<LocalCluster>(cluster)) {
  *this = [&] {
    Client connected(cluster_->scheduler_address(), options);
    connected.cluster_ = std::move(cluster_);
    return connected;
  }();
}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&& other) noexcept {
  if (this == &other) return *this;
  close();
  cluster_ = std::move(other.cluster_);
  impl_ = std::move(other.impl_);
  return *this;
}
Client::~Client() { close(); }

void Client::close() {
  if (impl_) {
    client::remove_current_client(impl_);
    impl_->close();
    impl_.reset();
  }
  cluster_.reset();
}

void Client::shutdown() {
  if (!impl_) return;
  // A cluster of ours ends in order with close(); another one is asked to.
  if (!cluster_) (void)impl_->call(Value(Value::Map{{"op", "terminate"}}), 10);
  close();
}

namespace {
client::ClusterClient& require(const std::shared_ptr<client::ClusterClient>& client) {
  if (!client) throw std::logic_error("the client is closed");
  return *client;
}
}  // namespace

std::vector<NodePtr> Client::submit_nodes(std::span<const NodePtr> nodes) { return require(impl_).submit(nodes); }
NodePtr Client::scatter_value(native::NativeValue value, const ScatterOptions& options) {
  return require(impl_).scatter(std::move(value), options);
}

Value Client::scheduler_info() const {
  auto answer = require(impl_).call(Value(Value::Map{{"op", "identity"}, {"n_workers", -1}}));
  if (!answer) throw ConnectionError(answer.error().message);
  return *std::move(answer);
}

void Client::wait_for_workers(int n_workers, std::optional<double> timeout_s) const {
  const auto began = std::chrono::steady_clock::now();
  const auto count = [](const Value& info) { return static_cast<int>(info["workers"].size()); };
  std::mutex mutex;
  std::condition_variable never;
  for (;;) {
    const int workers = count(scheduler_info());
    if (workers >= n_workers) return;
    if (timeout_s && std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count() > *timeout_s)
      throw TimeoutError("only " + std::to_string(workers) + " of " + std::to_string(n_workers) + " workers have come within " +
                         std::to_string(*timeout_s) + " s");
    // Asks again, as Dask does: the scheduler has no message for it.
    std::unique_lock lock(mutex);
    never.wait_for(lock, std::chrono::milliseconds(20));
  }
}

const std::string& Client::scheduler_address() const { return require(impl_).address(); }
const std::string& Client::dashboard_link() const { return require(impl_).dashboard_link(); }

std::string Client::repr() const {
  if (!impl_) return "<Client: closed>";
  std::int64_t threads = 0;
  const Value info = scheduler_info();
  if (const Value::Map* workers = info["workers"].map_if())
    for (const auto& [address, worker] : *workers) threads += worker["nthreads"].as_int();
  return "<Client: '" + impl_->address() + "' workers=" + std::to_string(info["workers"].size()) + " threads=" + std::to_string(threads) +
         ">";
}

}  // namespace dask
