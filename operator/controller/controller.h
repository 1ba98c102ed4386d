// Controller: the loop around the pure plan. A changed object puts its key into the queue, at once when somebody wants something, a little
// later when something gets on; a key is planned from what the caches hold, the plan's actions are carried out, and a key whose actions
// failed comes back later. Nothing else decides here.
// Thread ownership: the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/net/loop.h"
#include "core/obs/metrics.h"
#include "core/runtime/clock.h"
#include "operator/controller/caches.h"
#include "operator/controller/executor.h"
#include "operator/controller/options.h"
#include "operator/controller/schedulers.h"
#include "operator/kube/client.h"
#include "operator/kube/event_recorder.h"
#include "operator/kube/work_queue.h"

namespace dask::kube {

inline constexpr double kFailedKeyMostSeconds = 300;  // between two tries of a key that fails
inline constexpr double kRefusedKeyLeastSeconds = 1;  // of a key whose write the API server refuses for good
inline constexpr auto kShutdownWait = std::chrono::seconds(30);
// How long a key whose Deployments, Services or pods get on waits for more of them, so that one plan and one status tell of all: so many
// times as long as the API server takes for a request. One that is busy, because it is making what we asked for, is told less often.
inline constexpr double kSettleLatencies = 20;
inline constexpr double kSettleLeastSeconds = 0.05;
inline constexpr double kSettleMostSeconds = 1;

class Controller {
 public:
  Controller(net::Loop& loop, const Clock& clock, KubeClient& client, const OperatorOptions& options, Metrics& metrics,
             std::string instance);
  ~Controller();

  // Fills the caches; a standby does this too.
  void start();
  // Works from now on, once the caches are full.
  void lead();
  // Writes nothing any more: another leads.
  void abandon();
  // Finishes what is under way (at most kShutdownWait) and writes the Events that wait, then calls `done`.
  void stop(std::function<void()> done);

  bool synced() const { return caches_.synced(); }
  const Caches& caches() const { return caches_; }

 private:
  struct QueueMetrics;

  void dirty(const std::string& key, Change change = Change::kWish);
  bool may_work() const;
  void pump();
  void reconcile(const std::string& key);
  void reconciled(const std::string& key, double begun, Outcome outcome);
  void arm();
  void finish_stop();
  void note_start(const DaskCluster& cluster);
  void refresh_metrics();
  double now() const { return clock_.monotonic(); }
  TimeMs now_ms() const { return static_cast<TimeMs>(clock_.wall() * 1000); }

  net::Loop& loop_;
  const Clock& clock_;
  KubeClient& client_;
  OperatorOptions options_;
  Metrics& metrics_;
  std::unique_ptr<QueueMetrics> queue_metrics_;
  WorkQueue queue_;
  EventRecorder events_;
  Schedulers schedulers_;
  Caches caches_;
  Executor executor_;
  net::Loop::Timer timer_;
  std::optional<double> armed_for_;  // the queue's time that timer_ waits for
  net::Loop::Timer stop_timer_;
  std::function<void()> stopped_;
  std::map<std::string, std::string> failures_;  // by key: what was logged last
  std::map<std::string, std::vector<Refusal>> refusals_;
  std::set<std::string> unreached_;      // keys that failed because the API server could not be reached
  std::map<std::string, int> starting_;  // cluster's uid -> milestones that were seen
  std::uint64_t seed_ = 0;
  std::size_t active_ = 0;
  bool leading_ = false;
  bool stopping_ = false;
  bool pump_queued_ = false;
};

}  // namespace dask::kube
