// /json/*: the scheduler in numbers. Shapes follow distributed/http/scheduler/json.py; identity.json never fails, whatever
// keys and numbers workers put into their metrics.
#include "scheduler/server/cluster_queries.h"
#include "scheduler/server/http_routes.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

// Counting the tasks that others wait for looks at every task; a large cluster's count may be this old.
constexpr std::size_t kExactCountTasks = 50'000;
constexpr double kCountAge_s = 5;

struct WaitingDataCount {
  double time = -kCountAge_s;
  std::int64_t count = 0;

  std::int64_t at(const State& state, double now) {
    if (state.task_count() > kExactCountTasks && now - time < kCountAge_s) return count;
    time = now;
    count = 0;
    state.for_each_task([&](const Task& ts) { count += ts.waiters > 0; });
    return count;
  }
};

Value counts(Server& server, WaitingDataCount& waiting_data) {
  const State& state = server.state();
  const auto tasks = tasks_by_state(state);
  const auto in = [&](TaskState s) { return tasks[static_cast<std::size_t>(s)]; };
  std::int64_t nbytes = 0, memory = 0, processing = 0;
  for (const auto& [address, id] : state.workers()) {
    const Worker& ws = state.worker(id);
    nbytes += ws.nbytes;
    memory += static_cast<std::int64_t>(ws.has_what.size());
    processing += static_cast<std::int64_t>(ws.processing.size());
  }
  return Value(Value::Map{{"bytes", nbytes},
                          {"clients", state.clients().size()},
                          {"cores", state.total_nthreads()},
                          {"erred", in(TaskState::kErred)},
                          {"hosts", state.hosts().size()},
                          {"idle", state.idle().size()},
                          {"memory", memory},
                          {"processing", processing},
                          {"released", in(TaskState::kReleased)},
                          {"saturated", state.saturated().size()},
                          {"tasks", state.task_count()},
                          {"unrunnable", state.unrunnable().size()},
                          {"waiting", in(TaskState::kWaiting)},
                          {"waiting_data", waiting_data.at(state, server.now())},
                          {"workers", state.workers().size()},
                          {"desired_workers", desired_workers(server)}});
}

constexpr const char* kIndex =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Index of JSON routes</title></head><body>\n"
    "<h1>Index of JSON routes</h1>\n<ul>\n<li><a href=\"counts.json\">counts.json</a></li>\n<li><a "
    "href=\"identity.json\">identity.json</a></li>\n"
    "<li><a href=\"status.json\">status.json</a></li>\n</ul>\n</body></html>\n";

}  // namespace

void add_json_routes(Server& server, Routes& routes) {
  routes.get("/json/counts.json",
             [&server, waiting_data = std::make_shared<WaitingDataCount>()](const net::HttpRequest&, net::HttpReply reply) {
               reply(json_response(counts(server, *waiting_data)));
             });
  routes.get("/json/identity.json",
             [&server](const net::HttpRequest&, net::HttpReply reply) { reply(json_response(server.identity(-1))); });
  routes.get("/json/index.html", [](const net::HttpRequest&, net::HttpReply reply) { reply(html_response(kIndex)); });
}

}  // namespace dask::scheduler
