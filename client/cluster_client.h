// ClusterClient: one client on one scheduler: a loop that talks, and what is known about the keys that somebody has futures for.
// Public members may be called from any thread and block it; the thread that runs the loop (LoopTurns) owns the connections and nothing
// else.
//
// Invariants: (1) a key's state is in states_ before its graph is sent; (2) a key is released on the loop's thread, and only when no state
// of it lives, so that a release never overtakes a later submission of the same key, nor a graph that was submitted before it; (3) mutex_
// is never held while user code or a callback runs.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "client/future_state.h"
#include "client/loop_turns.h"
#include "core/base/value.h"
#include "core/native/value.h"
#include "core/net/comm.h"
#include "core/net/loop.h"
#include "core/net/rpc.h"
#include "dask/client.h"

namespace dask::client {

using detail::FutureState;
using detail::FutureStatePtr;

// Named limits.
inline constexpr int kGatherRoundsMax = 100;         // a result that gets lost this often while it is fetched
inline constexpr std::size_t kGatherKeysMax = 1000;  // keys fetched by one request
inline constexpr double kProgressIntervalSeconds = 0.1;
inline constexpr std::uint32_t kInlineBytesMax = 1024;         // of a result that comes with the report that it is there
inline constexpr std::size_t kInlineBytesTotalMax = 64 << 20;  // of all that are kept in futures; beyond, results are fetched

class ClusterClient : public std::enable_shared_from_this<ClusterClient> {
 public:
  // Throws ConnectionError, TimeoutError.
  static std::shared_ptr<ClusterClient> connect(const std::string& address, double timeout_s, bool direct_to_workers);
  ~ClusterClient();

  std::vector<NodePtr> submit(std::span<const NodePtr> wanted);
  NodePtr scatter(native::NativeValue value, const ScatterOptions& options);
  void cancel(const std::vector<FutureStatePtr>& states);
  // Waits for all (or the first) to end. False when that takes longer than `timeout_s` (< 0: no limit).
  bool wait_for(const std::vector<FutureStatePtr>& states, bool all, double timeout_s);
  std::vector<native::NativeValue> values(const std::vector<FutureStatePtr>& states, double timeout_s);
  // Waits until `done`, which whoever calls back on the loop may make true.
  void wait_until(const std::function<bool()>& done) { turns_.wait(done, -1); }
  // Calls `ended` once on the loop's thread, or at once when it has ended already.
  void when_ended(const FutureStatePtr& state, std::function<void()> ended);
  std::string status(const FutureState& state) const;
  // Throws what a task failed with; nothing for one that did not.
  void throw_failure(const FutureState& state) const;
  // Tasks that the scheduler has not finished; -1 when it does not answer.
  std::int64_t unfinished_tasks();

  // One operation of the scheduler's.
  Result<Value> call(Value message, double timeout_s = -1);
  // Called by the last holder of a state.
  void release(const std::string& key, std::size_t value_bytes);
  void close();
  bool closed() const;

  const std::string& address() const { return address_; }
  const std::string& dashboard_link() const { return dashboard_link_; }

 private:
  ClusterClient(std::string address, bool direct_to_workers);

  // ---- on the loop's thread ----
  void start(double deadline);
  void register_client(net::CommPtr comm);
  void receive(const wire::Frames& frames);
  void handle(const Value& message);
  void end(const std::string& why);
  void send(Value message);
  void send_releases();
  void plan_releases();
  bool releases_are_due() const;  // any thread

  // ---- on any thread ----
  FutureStatePtr state_of(const std::string& key);  // the living one, or a new one
  std::vector<FutureStatePtr> living_states() const;
  template <class Change>
  void change(const std::string& key, Change&& apply);
  void change(const FutureStatePtr& state, const std::function<void(FutureState&)>& apply);
  Result<Value> call_at(const std::string& address, Value message, double timeout_s, bool acknowledge);
  // Fetches what it can; the keys that could not be fetched stay in `keys`.
  void fetch(std::vector<std::string>& keys, std::unordered_map<std::string, native::NativeValue>& into);
  void fetch_from_workers(std::vector<std::string>& keys, std::unordered_map<std::string, native::NativeValue>& into);
  void take_data(const Value& answer, std::vector<std::string>& keys, std::unordered_map<std::string, native::NativeValue>& into);
  void require_open() const;

  const std::string address_;
  const bool direct_to_workers_;
  std::string name_;
  std::string dashboard_link_;

  net::Loop loop_;
  LoopTurns turns_;
  std::unique_ptr<net::RpcPool> rpc_;
  net::CommPtr comm_;
  net::Loop::Timer heartbeat_, retry_, release_timer_;
  bool release_planned_ = false;

  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::weak_ptr<FutureState>> states_;
  struct Released {
    std::string key;
    std::uint64_t after_graph = 0;  // the newest graph by then: that one may still need the key
  };
  std::vector<Released> released_;
  std::set<std::uint64_t> unsent_graphs_;  // submitted, and the loop has not come to them yet
  bool release_now_ = false;               // some of them are not for waiting
  std::size_t inline_bytes_ = 0;           // of small results in living states
  std::uint64_t last_graph_ = 0;
  bool open_ = false;
  bool closed_ = false;
  std::string why_closed_;

  std::thread thread_;
};

// The newest client that lives, of those that were made the default.
std::shared_ptr<ClusterClient> current_client();
void add_current_client(const std::shared_ptr<ClusterClient>& client);
void remove_current_client(const std::shared_ptr<ClusterClient>& client);

}  // namespace dask::client
