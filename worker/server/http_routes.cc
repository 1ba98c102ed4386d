// /health and /metrics: the worker under Dask's names (distributed/http/worker/prometheus), so that existing boards and alerts work.
#include "worker/server/http_routes.h"

#include <algorithm>

#include "core/base/json.h"
#include "core/obs/metrics.h"
#include "worker/server/worker.h"

namespace dask::worker {
namespace {

constexpr auto kTickInterval = std::chrono::milliseconds(20);  // distributed.admin.tick.interval

class WorkerMetrics {
 public:
  explicit WorkerMetrics(Worker& worker) : worker_(worker), last_tick_(worker.monotonic()) {
    if (auto configured = worker.config().get_string("distributed.dashboard.prometheus.namespace")) prefix_ = *configured;
    prefix_ += "_worker_";
    add_process_metrics(metrics_);
    ticks_ = worker.loop().every(kTickInterval, [this] {
      const double now = worker_.monotonic();
      longest_tick_ = std::max(longest_tick_, now - std::exchange(last_tick_, now));
      ++tick_count_;
    });
  }

  std::string expose() {
    tasks();
    memory();
    transfers();
    native();
    spilling();
    lending();
    gauge("threads", "Number of worker threads", worker_.options().nthreads);
    gauge("latency_seconds", "Latency of worker connection", worker_.latency());
    gauge("tick_duration_maximum_seconds", "Maximum tick duration observed since Prometheus last scraped metrics",
          std::max(std::exchange(longest_tick_, 0), worker_.monotonic() - last_tick_));
    counter("tick_count_total", "Total number of ticks observed since the server started", static_cast<double>(tick_count_));
    return metrics_.expose();
  }

 private:
  void gauge(const std::string& name, const std::string& help, double value, const MetricLabels& labels = {}) {
    metrics_.gauge(prefix_ + name, help, labels).set(value);
  }
  void counter(const std::string& name, const std::string& help, double total, const MetricLabels& labels = {}) {
    metrics_.counter(prefix_ + name, help, labels).raise_to(total);
  }

  void tasks() {
    metrics_.clear(prefix_ + "tasks");
    const Machine& machine = worker_.machine();
    const std::size_t on_disk = worker_.store().spilled_count();
    for (std::size_t i = 0; i < kTaskStates; ++i) {
      const auto state = static_cast<TaskState>(i);
      std::size_t n = machine.count(state);
      if (state == TaskState::kMemory) n -= std::min(n, on_disk);
      if (n > 0) gauge("tasks", "Number of tasks at worker.", static_cast<double>(n), {{"state", std::string(name_of(state))}});
    }
    if (on_disk > 0 || machine.n_tasks() == 0)
      gauge("tasks", "Number of tasks at worker.", static_cast<double>(on_disk), {{"state", "disk"}});
  }

  void memory() {
    const auto process = static_cast<double>(worker_.memory_bytes());
    const double managed = std::min(
        process, std::max(0.0, static_cast<double>(worker_.machine().nbytes()) - static_cast<double>(worker_.store().spilled_memory())));
    const std::string help = "Memory breakdown";
    gauge("memory_bytes", help, managed, {{"type", "managed"}});
    gauge("memory_bytes", help, process - managed, {{"type", "unmanaged"}});
    gauge("memory_bytes", help, static_cast<double>(worker_.store().spilled_disk()), {{"type", "spilled"}});
  }

  void transfers() {
    const Machine& machine = worker_.machine();
    const Outgoing& outgoing = worker_.outgoing();
    gauge("transfer_incoming_bytes", "Total size of open data transfers from other workers",
          static_cast<double>(machine.transfer_incoming_bytes()));
    gauge("transfer_incoming_count", "Number of open data transfers from other workers",
          static_cast<double>(machine.transfer_incoming_count()));
    counter("transfer_incoming_count_total", "Total number of data transfers from other workers since the worker was started",
            static_cast<double>(machine.transfer_incoming_count_total()));
    gauge("transfer_outgoing_bytes", "Total size of open data transfers to other workers", static_cast<double>(outgoing.bytes()));
    gauge("transfer_outgoing_count", "Number of open data transfers to other workers", static_cast<double>(outgoing.count()));
    counter("transfer_outgoing_bytes_total",
            "Total size of data transfers to other workers since the worker was started (including in-progress and failed transfers)",
            static_cast<double>(outgoing.bytes_total()));
    counter("transfer_outgoing_count_total", "Total number of data transfers to other workers since the worker was started",
            static_cast<double>(outgoing.count_total()));
  }

  void native() {
    const Machine& machine = worker_.machine();
    gauge("native_functions", "Native functions whose durations are remembered", static_cast<double>(machine.native_functions()));
    counter("native_functions_over_limit_total", "Executions of native functions beyond the limit of those that are remembered",
            static_cast<double>(machine.native_functions_over_limit()));
  }

  void lending() {
    const LentTotals lent = worker_.executor().lent();
    const std::string help = "Bytes of large data that one process read in the other's memory, instead of having them sent";
    counter("executor_lent_bytes_total", help, static_cast<double>(lent.to_executor), {{"by", "worker"}});
    counter("executor_lent_bytes_total", help, static_cast<double>(lent.from_executor), {{"by", "executor"}});
    counter("executor_sent_bytes_total", "Bytes that went from the executor's memory straight to a peer's socket",
            static_cast<double>(lent.sent));
    counter("executor_received_bytes_total", "Bytes that came from a peer's socket straight into the executor's memory",
            static_cast<double>(lent.received));
    counter("executor_transfers_refused_total", "Transfers that went the longer way because the executor's courier had its most under way",
            static_cast<double>(lent.refused));
  }

  void spilling() {
    const SpillTotals& t = worker_.store().totals();
    const std::string bytes = "Total size of memory and disk accesses caused by managed data since the latest worker restart";
    const std::string count = "Total number of memory and disk accesses caused by managed data since the latest worker restart";
    const std::string time = "Total time spent spilling/unspilling since the latest worker restart";
    const auto three = [&](const std::string& activity, std::uint64_t n_bytes, std::uint64_t n) {
      counter("spill_bytes_total", bytes, static_cast<double>(n_bytes), {{"activity", activity}});
      counter("spill_count_total", count, static_cast<double>(n), {{"activity", activity}});
    };
    three("memory_read", t.memory_read_bytes, t.memory_read_count);
    three("disk_read", t.disk_read_bytes, t.disk_read_count);
    three("disk_write", t.disk_write_bytes, t.disk_write_count);
    counter("spill_time_seconds_total", time, t.pickle_seconds, {{"activity", "pickle"}});
    counter("spill_time_seconds_total", time, t.disk_write_seconds, {{"activity", "disk_write"}});
    counter("spill_time_seconds_total", time, t.disk_read_seconds, {{"activity", "disk_read"}});
  }

  Worker& worker_;
  std::string prefix_ = "dask";
  Metrics metrics_;
  net::Loop::Timer ticks_;
  double last_tick_;
  double longest_tick_ = 0;
  std::uint64_t tick_count_ = 0;
};

net::HttpResponse text(std::string body, std::string content_type = "text/plain; charset=utf-8") {
  net::HttpResponse response;
  response.body = std::move(body);
  response.content_type = std::move(content_type);
  return response;
}

}  // namespace

void add_routes(Worker& worker, net::HttpServer& http) {
  auto metrics = std::make_shared<WorkerMetrics>(worker);
  http.route("GET", "/health", [](const net::HttpRequest&, net::HttpReply reply) { reply(text("ok")); });
  http.route("GET", "/ready", [&worker](const net::HttpRequest&, net::HttpReply reply) {
    net::HttpResponse response = text("ready");
    if (worker.status() != Status::kRunning && worker.status() != Status::kPaused) {
      response = text("not ready: the worker is " + std::string(name_of(worker.status())) + "\n");
      response.status = 503;
    }
    reply(std::move(response));
  });
  http.route("GET", "/metrics",
             [metrics](const net::HttpRequest&, net::HttpReply reply) { reply(text(metrics->expose(), "text/plain; version=0.0.4")); });
  http.route("GET", "/sitemap.json", [](const net::HttpRequest&, net::HttpReply reply) {
    reply(text(to_json(Value(Value::Map{{"paths", Value(Value::Array{"/health", "/metrics", "/ready", "/sitemap.json"})}})),
               "application/json"));
  });
}

}  // namespace dask::worker
