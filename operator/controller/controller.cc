// The queue's pump, what is done with an outcome, and the controller's metrics.
#include "operator/controller/controller.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/runtime/log.h"
#include "operator/plan/plan.h"

namespace dask::kube {

namespace {

const std::vector<double> kQueueBounds = {1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1000};
const std::vector<double> kReconcileBounds = {0.005, 0.01, 0.025, 0.05, 0.1,  0.15, 0.2,  0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6,
                                              0.7,   0.8,  0.9,   1.0,  1.25, 1.5,  1.75, 2.0,  2.5, 3.0,  3.5, 4.0,  4.5, 5,
                                              6,     7,    8,     9,    10,   15,   20,   25,   30,  40,   50,  60};
const std::vector<double> kStartBounds = {0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600};

// controller-runtime's label: the kind in lower case.
std::string controller_label(const std::string& key) {
  std::string kind = key.substr(0, key.find('/'));
  std::transform(kind.begin(), kind.end(), kind.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return kind;
}

// What plain numbers of the standard library would need a device for: spreads retries, nothing else.
double spread(std::uint64_t& seed) {
  seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
  return static_cast<double>(seed >> 11) / 9007199254740992.0;
}

}  // namespace

struct Controller::QueueMetrics final : WorkQueue::Observer {
  explicit QueueMetrics(Metrics& metrics)
      : adds(metrics.counter("workqueue_adds_total", "Total number of adds handled by workqueue", labels())),
        retries(metrics.counter("workqueue_retries_total", "Total number of retries handled by workqueue", labels())),
        waits(metrics.histogram("workqueue_queue_duration_seconds", "How long in seconds an item stays in workqueue before being requested",
                                kQueueBounds, labels())),
        works(metrics.histogram("workqueue_work_duration_seconds", "How long in seconds processing an item from workqueue takes.",
                                kQueueBounds, labels())) {}
  static MetricLabels labels() { return {{"name", "dask"}, {"controller", "dask"}}; }
  void added() override { adds.increment(); }
  void retried() override { retries.increment(); }
  void waited(double seconds) override { waits.observe(seconds); }
  void worked(double seconds) override { works.observe(seconds); }
  Counter adds, retries;
  Histogram waits, works;
};

Controller::Controller(net::Loop& loop, const Clock& clock, KubeClient& client, const OperatorOptions& options, Metrics& metrics,
                       std::string instance)
    : loop_(loop),
      clock_(clock),
      client_(client),
      options_(options),
      metrics_(metrics),
      queue_metrics_(std::make_unique<QueueMetrics>(metrics)),
      queue_(Backoff{0.005, kFailedKeyMostSeconds, 0.2}, queue_metrics_.get()),
      events_(loop, clock, client, std::move(instance), &metrics),
      schedulers_(
          loop, clock, options.scheduler_address_template,
          [this](const std::string& ns, const std::string& cluster) {
            dirty(WorkKey{Kind::kDaskCluster, ns, cluster}.str());
          },
          &metrics),
      caches_(
          loop, clock, client, options.namespaces, [this](const std::string& key, Change change) { dirty(key, change); },
          [this] {
            // The API server is back: who failed because it was not need not wait for a back-off that has grown meanwhile.
            for (const std::string& key : std::exchange(unreached_, {})) {
              queue_.forget(key);
              dirty(key);
            }
            pump();
          }),
      executor_(loop, client, caches_, events_, schedulers_, options.settings.field_manager),
      seed_(static_cast<std::uint64_t>(clock.wall() * 1e6)) {
  metrics_.before_expose([this] { refresh_metrics(); });
}

Controller::~Controller() = default;

void Controller::start() { caches_.start(); }

void Controller::lead() {
  leading_ = true;
  pump();
}

void Controller::abandon() {
  leading_ = false;
  executor_.stop();
}

void Controller::dirty(const std::string& key, Change change) {
  if (change == Change::kWish)
    queue_.add(key, now());
  else
    queue_.add_after(key, std::clamp(kSettleLatencies * client_.latency_s(), kSettleLeastSeconds, kSettleMostSeconds), now());
  if (std::exchange(pump_queued_, true)) return;
  // Not at once: all that one piece of a watch brings becomes one plan.
  loop_.at_end_of_turn([this] {
    pump_queued_ = false;
    pump();
  });
}

bool Controller::may_work() const {
  return leading_ && !stopping_ && caches_.synced() && active_ < static_cast<std::size_t>(options_.reconciles_max);
}

void Controller::pump() {
  while (may_work()) {
    auto key = queue_.take(now());
    if (!key) break;
    reconcile(*key);
  }
  arm();
}

void Controller::arm() {
  // When nothing may be begun, the end of something pumps: a timer for a key that is due would fire again and again until then.
  auto next = may_work() ? queue_.next_time() : std::nullopt;
  if (next == armed_for_) return;  // as after most pieces of a watch
  timer_.cancel();
  armed_for_ = next;
  if (!next) return;
  timer_ = loop_.after(std::chrono::nanoseconds(static_cast<std::int64_t>(std::max(0.0, *next - now()) * 1e9) + 1000), [this] {
    armed_for_.reset();
    pump();
  });
}

void Controller::reconcile(const std::string& text) {
  const WorkKey key = WorkKey::parse(text);
  const double begun = now();
  Actions actions;
  ObjectRef about{key.kind, key.ns, key.name, {}};
  if (key.kind == Kind::kDaskJob) {
    if (auto job = caches_.job(key.ns, key.name)) {
      about.uid = job->meta.uid;
      actions = plan_job(*job, options_.settings, now_ms());
    }
  } else if (key.kind == Kind::kDaskAutoscaler) {
    if (auto autoscaler = caches_.autoscaler(key.ns, key.name)) {
      about.uid = autoscaler->meta.uid;
      actions = plan_autoscaler(*autoscaler, options_.settings, now_ms());
    }
  } else {
    Observed observed = caches_.observe(key.ns, key.name);
    observed.scheduler = schedulers_.view(key.ns, key.name);
    if (auto refused = refusals_.find(text); refused != refusals_.end()) observed.refusals = refused->second;
    if (observed.cluster) {
      about.uid = observed.cluster->meta.uid;
      note_start(*observed.cluster);
    } else {
      schedulers_.forget(key.ns, key.name);
    }
    actions = plan_cluster(observed, options_.settings, now_ms());
  }
  ++active_;
  if (actions.empty()) return reconciled(text, begun, {});
  executor_.run(std::move(actions), std::move(about), [this, text, begun](Outcome outcome) {
    reconciled(text, begun, std::move(outcome));
    pump();
  });
}

void Controller::reconciled(const std::string& key, double begun, Outcome outcome) {
  const double time = now();
  --active_;
  const std::string controller = controller_label(key);
  std::string result = "success";
  if (outcome.error) {
    const KubeError& error = *outcome.error;
    result = "error";
    // Somebody else wrote meanwhile: no trouble, just look again.
    const bool conflict = error.status == 409;
    if (!conflict && std::exchange(failures_[key], outcome.failed) != outcome.failed) log_warning("{}: {}", key, outcome.failed);
    if (error.passing()) unreached_.insert(key);
    if (!outcome.refusals.empty()) refusals_[key] = std::move(outcome.refusals);
    const double least_s = error.passing() || conflict ? error.retry_after_s.value_or(0) : kRefusedKeyLeastSeconds;
    queue_.add_failed(key, time, spread(seed_), least_s);
    metrics_
        .counter("controller_runtime_reconcile_errors_total", "Total number of reconciliation errors per controller",
                 {{"controller", controller}})
        .increment();
  } else {
    if (failures_.erase(key) > 0) log_info("{}: works now", key);
    unreached_.erase(key);
    queue_.forget(key);
    if (refusals_.erase(key) > 0) dirty(key);  // everything was taken this time: the next plan may say so
    if (outcome.requeue_ms) {
      result = "requeue_after";
      queue_.add_after(key, static_cast<double>(*outcome.requeue_ms) / 1000, time);
    }
  }
  queue_.done(key, time);
  metrics_
      .counter("controller_runtime_reconcile_total", "Total number of reconciliations per controller",
               {{"controller", controller}, {"result", result}})
      .increment();
  metrics_
      .histogram("controller_runtime_reconcile_time_seconds", "Length of time per reconciliation per controller", kReconcileBounds,
                 {{"controller", controller}})
      .observe(time - begun);
  if (stopping_ && active_ == 0) finish_stop();
}

void Controller::stop(std::function<void()> done) {
  stopped_ = std::move(done);
  stopping_ = true;
  arm();
  if (active_ == 0) return finish_stop();
  log_info("Finishing what is under way for {} clusters", active_);
  stop_timer_ = loop_.after(kShutdownWait, [this] { finish_stop(); });
}

void Controller::finish_stop() {
  stop_timer_.cancel();
  if (auto done = std::exchange(stopped_, {})) events_.flush(std::move(done));
}

// ---- metrics ------------------------------------------------------------------------------------------------------------

void Controller::note_start(const DaskCluster& cluster) {
  const auto* ready = find_condition(cluster.status.conditions, "Ready");
  const int reached = (cluster.status.phase == "Running" ? 1 : 0) | (ready && ready->status ? 2 : 0);
  auto known = starting_.find(cluster.meta.uid);
  if (known == starting_.end()) {
    if (reached == 0) starting_.emplace(cluster.meta.uid, 0);  // one that was there before us tells nothing
    return;
  }
  const double age = static_cast<double>(now_ms() - cluster.meta.created_ms) / 1000;
  const auto observe = [&](int bit, const char* milestone) {
    if (!(reached & bit) || (known->second & bit)) return;
    metrics_
        .histogram("dask_operator_cluster_start_seconds", "Time from the creation of a DaskCluster to a milestone.", kStartBounds,
                   {{"milestone", milestone}})
        .observe(age);
    known->second |= bit;
  };
  observe(1, "running");
  observe(2, "ready");
  if (known->second == 3) starting_.erase(known);
}

void Controller::refresh_metrics() {
  const MetricLabels queue = QueueMetrics::labels();
  const double time = now();
  metrics_
      .gauge("workqueue_depth", "Current depth of workqueue by workqueue and priority",
             {{"name", "dask"}, {"controller", "dask"}, {"priority", "0"}})
      .set(static_cast<double>(queue_.depth()));
  metrics_
      .gauge("workqueue_unfinished_work_seconds",
             "How many seconds of work has been done that is in progress and hasn't been observed by work_duration.", queue)
      .set(queue_.unfinished_s(time));
  metrics_
      .gauge("workqueue_longest_running_processor_seconds",
             "How many seconds has the longest running processor for workqueue been running.", queue)
      .set(queue_.longest_s(time));
  metrics_.gauge("controller_runtime_active_workers", "Number of currently used workers per controller", {{"controller", "dask"}})
      .set(static_cast<double>(active_));
  metrics_
      .gauge("controller_runtime_max_concurrent_reconciles", "Maximum number of concurrent reconciles per controller",
             {{"controller", "dask"}})
      .set(options_.reconciles_max);
  std::map<std::string, int> phases{{"Created", 0}, {"Pending", 0}, {"Running", 0}, {"Error", 0}};
  WorkerCounts workers;
  caches_.for_each_cluster([&](const DaskCluster& cluster) {
    ++phases[cluster.status.phase.empty() ? "Created" : cluster.status.phase];
    workers.desired += cluster.status.workers.desired;
    workers.ready += cluster.status.workers.ready;
    workers.pending += cluster.status.workers.pending;
    workers.retiring += cluster.status.workers.retiring;
  });
  for (const auto& [phase, count] : phases)
    metrics_.gauge("dask_operator_clusters", "DaskClusters by phase.", {{"phase", phase}}).set(count);
  const auto set_workers = [&](const char* state, std::int64_t count) {
    metrics_.gauge("dask_operator_workers", "Workers of all clusters by state.", {{"state", state}}).set(static_cast<double>(count));
  };
  set_workers("desired", workers.desired);
  set_workers("ready", workers.ready);
  set_workers("pending", workers.pending);
  set_workers("retiring", workers.retiring);
  for (const Kind kind : kKinds) {
    metrics_.gauge("dask_operator_objects", "Objects in the caches by kind.", {{"kind", std::string(name_of(kind))}})
        .set(static_cast<double>(caches_.objects(kind)));
  }
  metrics_.counter("dask_operator_scheduler_polls_total", "Times that schedulers were asked for their workers.")
      .raise_to(static_cast<double>(schedulers_.polls()));
  metrics_.counter("dask_operator_events_dropped_total", "Events that were not written because there were too many.")
      .raise_to(static_cast<double>(events_.dropped()));
  metrics_.gauge("dask_operator_api_failing_seconds", "Since when the API server does not answer a watch; 0: it does.")
      .set(caches_.failing_s());
  metrics_.gauge("dask_operator_failing_keys", "Clusters, jobs and autoscalers whose last reconciliation failed.")
      .set(static_cast<double>(failures_.size()));
}

}  // namespace dask::kube
