// The scheduler's answers over HTTP, without a network: shapes as Dask has them, and no request that breaks them.
#include <gmock/gmock.h>

#include "core/base/json.h"
#include "server_fixture.h"

namespace dask::scheduler::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class Routes : public ServerFixture {};

Value json_of(const net::HttpResponse& response) {
  EXPECT_EQ(response.content_type, "application/json");
  auto value = parse_json(response.body);
  EXPECT_TRUE(value.has_value()) << response.body;
  return value ? *value : Value();
}

TEST_F(Routes, a_scheduler_without_its_graph_helper_is_healthy_but_not_ready) {
  start();
  EXPECT_EQ(get("/health").body, "ok");
  const net::HttpResponse ready = get("/ready");
  EXPECT_EQ(ready.status, 503);
  EXPECT_THAT(ready.body, HasSubstr("/no/such/python"));
}

TEST_F(Routes, every_metric_family_of_Dask_is_there_at_the_first_scrape) {
  start();
  const net::HttpResponse metrics = get("/metrics");
  EXPECT_THAT(metrics.content_type, HasSubstr("version=0.0.4"));
  for (const char* family : {
           "dask_scheduler_clients gauge",
           "dask_scheduler_client_connections_added_total counter",
           "dask_scheduler_client_connections_removed_total counter",
           "dask_scheduler_desired_workers gauge",
           "dask_scheduler_workers gauge",
           "dask_scheduler_workers_added_total counter",
           "dask_scheduler_workers_removed_total counter",
           "dask_scheduler_gil_contention_seconds_total counter",
           "dask_scheduler_gc_collection_seconds_total counter",
           "dask_scheduler_last_time_total counter",
           "dask_scheduler_tasks_suspicious_total counter",
           "dask_scheduler_tasks_forgotten_total counter",
           "dask_scheduler_tasks gauge",
           "dask_scheduler_task_groups gauge",
           "dask_scheduler_tasks_compute_seconds_total counter",
           "dask_scheduler_tasks_transfer_seconds_total counter",
           "dask_scheduler_tasks_output_bytes gauge",
           "dask_scheduler_prefix_state_totals_total counter",
           "dask_scheduler_tick_duration_maximum_seconds gauge",
           "dask_scheduler_tick_count_total counter",
           "dask_semaphore_max_leases gauge",
           "dask_semaphore_active_leases gauge",
           "dask_semaphore_pending_leases gauge",
           "dask_semaphore_acquire_total counter",
           "dask_semaphore_release_total counter",
           "dask_semaphore_average_pending_lease_time_s gauge",
           "dask_stealing_request_count_total counter",
           "dask_stealing_request_cost_total counter",
           "process_cpu_seconds_total counter",
           "process_resident_memory_bytes gauge",
           "dask_native_graph_helper_ready gauge",
       }) {
    const std::string line = std::string("# TYPE ") + family + "\n";
    const std::size_t first = metrics.body.find(line);
    EXPECT_NE(first, std::string::npos) << family;
    EXPECT_EQ(metrics.body.find(line, first + 1), std::string::npos) << family << " is there twice";
  }
  EXPECT_THAT(metrics.body, HasSubstr("\ndask_scheduler_workers{state=\"retiring\"} 0\n"));
  EXPECT_THAT(metrics.body, HasSubstr("\ndask_scheduler_tasks{state=\"no-worker\"} 0\n"));
}

TEST_F(Routes, metrics_follow_the_state) {
  start();
  const WorkerId worker = add_worker("tcp://127.0.0.1:1", "a");
  add_data(Key::from_string("load-0123456789abcdef0123456789abcdef"), worker, 100);
  const std::string metrics = get("/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("\ndask_scheduler_workers{state=\"idle\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("\ndask_scheduler_clients 1\n"));
  EXPECT_THAT(metrics, HasSubstr("\ndask_scheduler_tasks{state=\"memory\"} 1\n"));
  EXPECT_THAT(metrics, HasSubstr("dask_scheduler_tasks_output_bytes{task_prefix_name=\"load\"} 100\n"));
}

TEST_F(Routes, counts_have_the_fields_that_Dask_has) {
  start();
  const WorkerId worker = add_worker("tcp://127.0.0.1:1", "a");
  add_data(Key::from_string("x"), worker, 100);
  const Value counts = json_of(get("/json/counts.json"));
  for (const char* field : {"bytes", "clients", "cores", "erred", "hosts", "idle", "memory", "processing", "released", "saturated", "tasks",
                            "unrunnable", "waiting", "waiting_data", "workers", "desired_workers"})
    EXPECT_TRUE(counts[field].is_int()) << field;
  EXPECT_EQ(counts["bytes"].as_int(), 100);
  EXPECT_EQ(counts["cores"].as_int(), 2);
  EXPECT_EQ(counts["memory"].as_int(), 1);
}

TEST_F(Routes, identity_never_fails_for_what_workers_put_into_their_metrics) {
  start();
  const WorkerId worker = add_worker("tcp://127.0.0.1:1", "a");
  server->apply(
      WorkerHeartbeat{
          worker, Value(Value::Map{{Value(Value::Array{"execute", 1}), std::nan("")}, {"bytes", Value(Bytes::literal("\xff"))}}), 0, {}},
      "test");
  const Value identity = json_of(get("/json/identity.json"));
  const Value& metrics = identity["workers"]["tcp://127.0.0.1:1"]["metrics"];
  EXPECT_TRUE(metrics.find("('execute', 1)") != nullptr);
  EXPECT_TRUE(metrics["('execute', 1)"].is_nil());
}

TEST_F(Routes, the_API_names_workers_and_targets) {
  start();
  EXPECT_EQ(get("/api/v1").body, "API V1");
  add_worker("tcp://127.0.0.1:1", "a");
  EXPECT_EQ(get("/api/v1/get_workers").body, R"({"num_workers":1,"workers":[{"name":"a","address":"tcp://127.0.0.1:1"}]})");
  EXPECT_EQ(get("/api/v1/adaptive_target").body, R"({"workers":0})");
  get("/api/v1/check_idle");  // notices what happened since the last call
  EXPECT_EQ(get("/api/v1/check_idle").body, R"({"idle_since":1000.0})");
}

TEST_F(Routes, retiring_workers_refuses_bodies_that_say_nothing) {
  start();
  for (const char* body :
       {"", "nope", "[]", "{\"n\": -1}", "{\"n\": \"two\"}", "{\"workers\": \"tcp://a:1\"}", "{\"workers\": {\"a\": 1}}"}) {
    const net::HttpResponse answer = post("/api/v1/retire_workers", body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_FALSE(json_of(answer)["Error"].as_string().empty()) << body;
  }
}

TEST_F(Routes, retiring_passes_over_workers_that_it_does_not_know) {
  start();
  EXPECT_EQ(post("/api/v1/retire_workers", R"({"workers": ["tcp://127.0.0.1:9"]})").body, "{}");
  EXPECT_EQ(post("/api/v1/retire_workers", R"({"n": 3})").body, "{}");
  EXPECT_EQ(post("/api/v1/retire_workers", R"({"workers": {}})").body, "{}");
}

TEST_F(Routes, info_pages_escape_names_and_find_tuple_keys) {
  start();
  const WorkerId worker = add_worker("tcp://127.0.0.1:1", "<script>");
  add_data(*Key::from_value(Value(Value::Array{"x<y", 0})), worker, 100);
  const std::string workers = get("/info/main/workers.html").body;
  EXPECT_THAT(workers, HasSubstr("&lt;script&gt;"));
  EXPECT_THAT(workers, Not(HasSubstr("<script>")));
  const net::HttpResponse task = get("/info/task/('x<y', 0).html", "/info/*");
  EXPECT_EQ(task.status, 200);
  EXPECT_THAT(task.body, HasSubstr("x&lt;y"));
  EXPECT_THAT(task.body, HasSubstr("<td>memory</td>"));
  EXPECT_EQ(get("/info/worker/tcp://127.0.0.1:1.html", "/info/*").status, 200);
  EXPECT_EQ(get("/info/task/nobody.html", "/info/*").status, 404);
  EXPECT_EQ(get("/info/worker/tcp://nobody:1.html", "/info/*").status, 404);
  EXPECT_EQ(get("/info/elsewhere", "/info/*").status, 404);
}

TEST_F(Routes, paths_are_served_with_and_without_the_dashboards_prefix) {
  ServerOptions options = default_options();
  options.dashboard_prefix = "/user/me/";
  start(std::move(options));
  for (const char* path : {"/health", "/user/me/health", "/user/me/status", "/user/me/api/v1", "/api/v1"})
    EXPECT_EQ(get(path).status, 200) << path;
  EXPECT_EQ(get("/user/me").headers["Location"], "me/status");
  EXPECT_EQ(get("/user/me/").headers["Location"], "status");
  EXPECT_EQ(get("/user/me/info/worker/x.html", "/user/me/info/*").status, 404);
  EXPECT_THAT(get("/user/me/info/task/x.html", "/user/me/info/*").body, HasSubstr("does not know a task x"));
}

TEST_F(Routes, without_a_dashboard_the_page_says_so_and_the_rest_stays) {
  ServerOptions options = default_options();
  options.dashboard = false;
  start(std::move(options));
  const net::HttpResponse page = get("/status");
  EXPECT_EQ(page.status, 404);
  EXPECT_THAT(page.body, HasSubstr("switched off"));
  EXPECT_EQ(get("/individual-plots.json").body, "{}");
  EXPECT_TRUE(http.websockets.empty());
  for (const char* path : {"/health", "/metrics", "/json/counts.json", "/api/v1", "/info/main/workers.html"})
    EXPECT_EQ(get(path).status, 200) << path;
}

TEST_F(Routes, every_individual_plot_and_every_entry_of_the_sitemap_exists) {
  start();
  const Value plots = json_of(get("/individual-plots.json"));
  ASSERT_TRUE(plots.map_if());
  for (const auto& [title, path] : *plots.map_if()) EXPECT_EQ(get(*path.string()).status, 200) << *path.string();
  EXPECT_EQ(plots["Individual Task Stream"].as_string(), "/individual-task-stream");
  const Value sitemap = json_of(get("/sitemap.json"));
  EXPECT_GT(sitemap["paths"].size(), 20u);
}

TEST_F(Routes, the_pages_files_are_served_and_others_are_not) {
  start();
  EXPECT_THAT(get("/status").body, HasSubstr("<html"));
  const net::HttpResponse script = get("/statics/main.js", "/statics/*");
  EXPECT_EQ(script.status, 200);
  EXPECT_THAT(script.content_type, HasSubstr("text/javascript"));
  EXPECT_EQ(get("/statics/nothing.js", "/statics/*").status, 404);
}

}  // namespace
}  // namespace dask::scheduler::test
