// /metrics: the scheduler under Dask's names (distributed/http/scheduler/prometheus), so that existing boards and alerts work,
// and what only this scheduler has as dask_native_*. Every family is there from the first scrape, with or without series.
#include <fmt/format.h>

#include <cmath>

#include "core/base/python_text.h"
#include "core/obs/metrics.h"
#include "scheduler/server/cluster_queries.h"
#include "scheduler/server/extensions.h"
#include "scheduler/server/http_routes.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

// Dask ticks every 20 ms (distributed.admin.tick.interval), to catch user code that holds the GIL. None runs here, and 50 wake-ups a
// second would be most of what an idle scheduler uses.
constexpr auto kTickInterval = std::chrono::milliseconds(100);

// How late the loop's turns are: a timer that should ring every kTickInterval.
class Ticks {
 public:
  explicit Ticks(Server& server) : server_(server), last_(server.monotonic()) {
    timer_ = server.loop().every(kTickInterval, [this] {
      const double now = server_.monotonic();
      longest_ = std::max(longest_, now - std::exchange(last_, now));
      ++count_;
    });
  }
  std::uint64_t count() const { return count_; }
  // Since the last call.
  double take_longest() { return std::max(std::exchange(longest_, 0), server_.monotonic() - last_); }

 private:
  Server& server_;
  net::Loop::Timer timer_;
  double last_;
  double longest_ = 0;
  std::uint64_t count_ = 0;
};

class SchedulerMetrics {
 public:
  explicit SchedulerMetrics(Server& server) : server_(server), ticks_(server) {
    if (auto configured = server.config().get_string("distributed.dashboard.prometheus.namespace")) namespace_ = *configured;
    add_process_metrics(metrics_);
  }

  std::string expose() {
    announced_.clear();
    scheduler();
    tasks();
    extensions();
    native();
    std::string text = metrics_.expose();
    // A family without series has no lines in the registry's text.
    for (const auto& [name, head] : announced_)
      if (text.find("# TYPE " + name + " ") == std::string::npos) text += head;
    return text;
  }

 private:
  using Labels = MetricLabels;

  std::string dask(const std::string& name) const { return namespace_.empty() ? name : namespace_ + "_" + name; }
  void gauge(const std::string& name, const std::string& help, double value, const Labels& labels = {}) {
    metrics_.gauge(name, help, labels).set(value);
  }
  void counter(const std::string& name, const std::string& help, double total, const Labels& labels = {}) {
    metrics_.counter(name, help, labels).raise_to(total);
  }
  void announce(const std::string& name, const char* kind, const std::string& help) {
    announced_.emplace_back(name, fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, kind));
  }

  void scheduler() {
    const State& state = server_.state();
    const auto n = [&](const char* name) { return dask(std::string("scheduler_") + name); };
    double clients = 0, paused = 0;
    for (const auto& [name, id] : state.clients()) clients += name != "fire-and-forget";
    for (const auto& [address, id] : state.workers()) paused += state.worker(id).status == WorkerStatus::kPaused;
    const auto size = [](const auto& container) { return static_cast<double>(container.size()); };
    gauge(n("clients"), "Number of clients connected", clients);
    counter(n("client_connections_added_total"), "Total number of client connections added", static_cast<double>(state.clients_added));
    counter(n("client_connections_removed_total"), "Total number of client connections removed",
            static_cast<double>(state.clients_removed));
    gauge(n("desired_workers"), "Number of workers scheduler needs for task graph", static_cast<double>(desired_workers(server_)));
    const std::string workers = n("workers"), help = "Number of workers known by scheduler";
    gauge(workers, help, size(state.idle()), {{"state", "idle"}});
    gauge(workers, help, size(state.running()) - size(state.idle()) - size(state.saturated()), {{"state", "partially_saturated"}});
    gauge(workers, help, size(state.saturated()), {{"state", "saturated"}});
    gauge(workers, help, paused, {{"state", "paused"}});
    gauge(workers, help, size(state.workers()) - paused - size(state.running()), {{"state", "retiring"}});
    counter(n("workers_added_total"), "Total number of workers added", static_cast<double>(state.workers_added));
    counter(n("workers_removed_total"), "Total number of workers removed", static_cast<double>(state.workers_removed));
    counter(n("gil_contention_seconds_total"), "GIL contention metric (this scheduler has no GIL)", 0);
    counter(n("gc_collection_seconds_total"), "Total time spent on garbage collection (this scheduler has none)", 0);
    counter(n("last_time_total"), "SystemMonitor last time", server_.now());
    gauge(n("tick_duration_maximum_seconds"), "Maximum tick duration observed since Prometheus last scraped metrics",
          ticks_.take_longest());
    counter(n("tick_count_total"), "Total number of ticks observed since the server started", static_cast<double>(ticks_.count()));
  }

  void tasks() {
    const State& state = server_.state();
    const auto n = [&](const char* name) { return dask(std::string("scheduler_") + name); };
    const auto by_state = tasks_by_state(state);
    for (std::size_t i = 0; i < kTaskStates; ++i)
      if (static_cast<TaskState>(i) != TaskState::kForgotten)
        gauge(n("tasks"), "Number of tasks known by scheduler", static_cast<double>(by_state[i]),
              {{"state", std::string(name_of(static_cast<TaskState>(i)))}});
    gauge(n("task_groups"), "Number of task groups known by scheduler", static_cast<double>(state.groups().size()));
    counter(n("tasks_forgotten_total"),
            "Total number of processed tasks no longer in memory and already removed from the scheduler job queue",
            static_cast<double>(state.tasks_forgotten));

    const std::string suspicious = n("tasks_suspicious_total"), compute = n("tasks_compute_seconds_total"),
                      transfer = n("tasks_transfer_seconds_total"), output = n("tasks_output_bytes"),
                      totals = n("prefix_state_totals_total");
    const std::string suspicious_help = "Total number of times a task has been marked suspicious",
                      compute_help = "Total amount of compute time spent in each prefix",
                      transfer_help = "Total amount of transfer time spent in each prefix",
                      output_help = "Current number of bytes in memory (without duplicates) for each prefix",
                      totals_help = "Accumulated count of task prefix in each state";
    announce(suspicious, "counter", suspicious_help);
    announce(compute, "counter", compute_help);
    announce(transfer, "counter", transfer_help);
    announce(output, "gauge", output_help);
    announce(totals, "counter", totals_help);
    const auto seconds = [](const TaskPrefix& tp, const char* action) {
      auto it = tp.all_durations_us.find(action);
      return it == tp.all_durations_us.end() ? 0.0 : static_cast<double>(it->second) / 1e6;
    };
    for (const auto& [name, id] : state.prefixes()) {
      const TaskPrefix& tp = state.prefix(id);
      const Labels prefix{{"task_prefix_name", name}};
      counter(suspicious, suspicious_help, static_cast<double>(tp.suspicious), prefix);
      counter(compute, compute_help, seconds(tp, "compute"), prefix);
      counter(transfer, transfer_help, seconds(tp, "transfer"), prefix);
      gauge(output, output_help, static_cast<double>(tp.nbytes_total), prefix);
      for (std::size_t i = 0; i < kTaskStates; ++i)
        if (tp.state_counts[i] > 0)
          counter(totals, totals_help, static_cast<double>(tp.state_counts[i]),
                  {{"task_prefix_name", name}, {"state", std::string(name_of(static_cast<TaskState>(i)))}});
    }
  }

  void extensions() {
    const std::string n = dask("semaphore_");
    const std::string max_help = "Maximum leases allowed per semaphore", active_help = "Amount of currently active leases per semaphore",
                      pending_help = "Amount of currently pending leases per semaphore",
                      acquire_help = "Total number of leases acquired per semaphore",
                      release_help = "Total number of leases released per semaphore",
                      average_help = "Exponential moving average of the time it took to acquire a lease per semaphore";
    announce(n + "max_leases", "gauge", max_help);
    announce(n + "active_leases", "gauge", active_help);
    announce(n + "pending_leases", "gauge", pending_help);
    announce(n + "acquire_total", "counter", acquire_help);
    announce(n + "release_total", "counter", release_help);
    announce(n + "average_pending_lease_time_s", "gauge", average_help);
    // Semaphores come and go; what is gone is not shown any more.
    for (const char* name :
         {"max_leases", "active_leases", "pending_leases", "acquire_total", "release_total", "average_pending_lease_time_s"})
      metrics_.clear(n + name);
    for (const auto& [key, semaphore] : server_.extensions().semaphores().all()) {
      const Labels name{{"name", python::to_utf8(semaphore.text)}};
      gauge(n + "max_leases", max_help, static_cast<double>(semaphore.max_leases), name);
      gauge(n + "active_leases", active_help, static_cast<double>(semaphore.leases.size()), name);
      gauge(n + "pending_leases", pending_help, static_cast<double>(semaphore.pending.size()), name);
      counter(n + "acquire_total", acquire_help, static_cast<double>(semaphore.acquire_total), name);
      counter(n + "release_total", release_help, static_cast<double>(semaphore.release_total), name);
      gauge(n + "average_pending_lease_time_s", average_help, semaphore.average_pending_lease_time, name);
    }
    // The machine does not count steals by cost yet.
    announce(dask("stealing_request_count_total"), "counter", "Total number of stealing requests per cost multiplier.");
    announce(dask("stealing_request_cost_total"), "counter", "Total cost of stealing requests per cost multiplier.");
  }

  void native() {
    const GraphService::Counters& graphs = server_.graphs().counters();
    const std::string g = "dask_native_graph_helper_";
    gauge(g + "ready", "1 when a graph helper can take graphs", server_.graphs().ready());
    gauge(g + "graphs_waiting", "Graphs that wait for a helper or are being lowered",
          static_cast<double>(server_.graphs().graphs_waiting()));
    counter(g + "graphs_total", "Graphs that were lowered to tasks", static_cast<double>(graphs.graphs));
    counter(g + "tasks_total", "Tasks that graphs were lowered to", static_cast<double>(graphs.tasks));
    counter(g + "failures_total", "Graphs that could not be lowered", static_cast<double>(graphs.failures));
    counter(g + "restarts_total", "Times a helper process was started again", static_cast<double>(graphs.restarts));
    const std::string help =
        "Time spent on graphs: unpickle, materialize and pickle in the helper's Python, decode and order in the scheduler";
    const std::pair<const char*, double> steps[] = {{"unpickle", graphs.unpickle_seconds},
                                                    {"materialize", graphs.materialize_seconds},
                                                    {"pickle", graphs.pickle_seconds},
                                                    {"decode", graphs.decode_seconds},
                                                    {"order", graphs.order_seconds}};
    for (const auto& [step, s] : steps) counter(g + "seconds_total", help, s, {{"step", step}});

    const ServerCounters& counters = server_.counters();
    const std::string c = "dask_native_scheduler_";
    counter(c + "unknown_operations_total", "Messages whose operation this scheduler does not know",
            static_cast<double>(counters.unknown_operations));
    counter(c + "malformed_messages_total", "Messages that could not be read; their connections were ended",
            static_cast<double>(counters.malformed_messages));
    counter(c + "rpc_calls_total", "Requests that were answered one by one", static_cast<double>(counters.rpc_calls));
    counter(c + "stream_messages_total", "Messages of workers and clients that arrived in batches",
            static_cast<double>(counters.stream_messages));
    counter(c + "transitions_total", "Changes of state of tasks", static_cast<double>(server_.state().transition_counter));
    gauge(c + "queued_tasks", "Root-ish tasks that wait on the scheduler for a free thread",
          static_cast<double>(server_.state().queue_size()));
    gauge(c + "occupancy_seconds", "Expected run time of the tasks that workers have been given", server_.state().total_occupancy());
    counter(c + "task_stream_records_total", "Tasks that ended with a record of what they did",
            static_cast<double>(server_.task_stream().index()));
  }

  Server& server_;
  Ticks ticks_;
  std::string namespace_ = "dask";
  Metrics metrics_;
  std::vector<std::pair<std::string, std::string>> announced_;
};

}  // namespace

void add_metrics_routes(Server& server, Routes& routes) {
  routes.get("/metrics", [metrics = std::make_shared<SchedulerMetrics>(server)](const net::HttpRequest&, net::HttpReply reply) {
    net::HttpResponse response = text_response(metrics->expose());
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    reply(std::move(response));
  });
}

}  // namespace dask::scheduler
