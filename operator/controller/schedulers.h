// Schedulers: what the operator knows of each cluster's scheduler, and the RPC that asks it: identity, processing, check_idle,
// retire_workers. Plain msgpack messages that stock schedulers and ours understand; nothing is pickled. All of it may be lost at any time.
// Thread ownership: the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "core/net/loop.h"
#include "core/net/rpc.h"
#include "core/obs/metrics.h"
#include "core/runtime/clock.h"
#include "operator/plan/actions.h"
#include "operator/plan/observed.h"

namespace dask::kube {

inline constexpr auto kPollTimeout = std::chrono::seconds(5);
// A scheduler moves data for as long as it takes; when it says nothing for this long it is asked again.
inline constexpr auto kRetireTimeout = std::chrono::seconds(300);
inline constexpr std::size_t kSchedulerConnectionsMax = 256;
inline constexpr std::size_t kProcessingWorkersMax = 2000;  // schedulers of more workers are asked only for the tasks of those that leave

class Schedulers {
 public:
  // `changed` names the cluster that should be planned again. `address_template`: OperatorOptions::scheduler_address_template.
  Schedulers(net::Loop& loop, const Clock& clock, std::string address_template,
             std::function<void(const std::string& ns, const std::string& cluster)> changed, Metrics* metrics);
  ~Schedulers();

  SchedulerView view(const std::string& ns, const std::string& cluster) const;
  void forget(const std::string& ns, const std::string& cluster);
  // As PollScheduler and AskSchedulerToRetire say.
  void poll(const SchedulerEndpoint& scheduler);
  void retire(const AskSchedulerToRetire& request);
  std::size_t size() const { return views_.size(); }
  std::size_t polls() const { return polls_; }

 private:
  struct Known {
    SchedulerView view;
    std::string address;
    std::string silent_id;    // the scheduler that did not answer `check_idle`
    std::uint64_t epoch = 0;  // of the entry: answers for one that was forgotten are dropped
  };
  using Key = std::pair<std::string, std::string>;

  std::string address_of(const SchedulerEndpoint& scheduler) const;
  Known& known(const SchedulerEndpoint& scheduler);
  Known* still(const Key& key, std::uint64_t epoch);
  TimeMs now_ms() const { return static_cast<TimeMs>(clock_.wall() * 1000); }
  void failed(const Key& key, std::uint64_t epoch, const std::string& why);
  void take_identity(const Key& key, std::uint64_t epoch, TimeMs sent_ms, const Value& identity);
  void take_rest(const Key& key, std::uint64_t epoch, TimeMs sent_ms, SchedulerView fresh, const Value& processing, const Value& idle);

  net::Loop& loop_;
  const Clock& clock_;
  std::string template_;
  std::function<void(const std::string&, const std::string&)> changed_;
  Metrics* metrics_;
  net::RpcPool quick_;
  net::RpcPool slow_;
  std::map<Key, Known> views_;
  std::uint64_t epochs_ = 0;
  std::size_t polls_ = 0;
};

// The error in an RPC's answer ("uncaught-error", "Scheduler" without such an operation), else empty.
std::string rpc_failure(const Value& reply);
// The workers of an `identity` answer.
std::vector<SchedulerWorker> workers_of_identity(const Value& identity);

}  // namespace dask::kube
