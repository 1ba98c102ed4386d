// What Prometheus would read: exact names, labels, kinds.
#include "core/obs/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ctime>

namespace dask {

using testing::HasSubstr;
using testing::Not;

TEST(Metrics, are_exposed_under_exactly_their_names) {
  Metrics metrics;
  metrics.gauge("dask_scheduler_tasks", "Number of tasks known by scheduler", {{"state", "waiting"}}).set(3);
  metrics.gauge("dask_scheduler_tasks", "Number of tasks known by scheduler", {{"state", "memory"}}).set(4.5);
  metrics.counter("dask_scheduler_workers_added_total", "Workers\nadded").increment(2);
  std::string text = metrics.expose();
  EXPECT_THAT(text, HasSubstr("# HELP dask_scheduler_tasks Number of tasks known by scheduler\n# TYPE dask_scheduler_tasks gauge\n"));
  EXPECT_THAT(text, HasSubstr("dask_scheduler_tasks{state=\"waiting\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("dask_scheduler_tasks{state=\"memory\"} 4.5\n"));
  EXPECT_THAT(text, HasSubstr("# HELP dask_scheduler_workers_added_total Workers added\n# TYPE dask_scheduler_workers_added_total counter\n"
                              "dask_scheduler_workers_added_total 2\n"));
}

TEST(Metrics, labels_with_quotes_and_line_breaks_stay_on_their_line) {
  Metrics metrics;
  metrics.gauge("g", "", {{"task_prefix_name", "a\"b\\c\nd"}}).set(1);
  EXPECT_THAT(metrics.expose(), HasSubstr(R"(g{task_prefix_name="a\"b\\c\nd"} 1)"));
}

TEST(Metrics, the_same_name_and_labels_are_the_same_metric) {
  Metrics metrics;
  metrics.counter("c_total", "", {{"a", "1"}}).increment();
  metrics.counter("c_total", "", {{"a", "1"}}).increment();
  EXPECT_EQ(metrics.counter("c_total", "", {{"a", "1"}}).value(), 2);
}

TEST(Metrics, raise_to_never_lowers_a_counter) {
  Metrics metrics;
  Counter counter = metrics.counter("c_total", "");
  counter.raise_to(5);
  counter.raise_to(3);
  EXPECT_EQ(counter.value(), 5);
}

TEST(Metrics, histograms_count_into_their_bounds) {
  Metrics metrics;
  Histogram histogram = metrics.histogram("h_seconds", "", {0.1, 1});
  histogram.observe(0.5);
  histogram.observe(5);
  EXPECT_THAT(metrics.expose(), HasSubstr("h_seconds_bucket{le=\"1\"} 1\n"));
  EXPECT_THAT(metrics.expose(), HasSubstr("h_seconds_bucket{le=\"+Inf\"} 2\n"));
}

TEST(Metrics, clear_forgets_series_and_allows_new_ones) {
  Metrics metrics;
  metrics.gauge("g", "", {{"name", "old"}}).set(1);
  metrics.clear("g");
  metrics.clear("unknown");
  metrics.gauge("g", "", {{"name", "new"}}).set(2);
  metrics.counter("c", "", {{"name", "old"}}).increment(5);
  metrics.clear("c");
  EXPECT_EQ(metrics.counter("c", "", {{"name", "next"}}).value(), 0);
  EXPECT_THAT(metrics.expose(), Not(HasSubstr("old")));
  EXPECT_THAT(metrics.expose(), HasSubstr("g{name=\"new\"} 2\n"));
}

TEST(Metrics, the_process_describes_itself) {
  Metrics metrics;
  add_process_metrics(metrics);
  metrics.expose();
  EXPECT_GT(metrics.gauge("process_resident_memory_bytes", "").value(), 1e5);
  EXPECT_GT(metrics.gauge("process_virtual_memory_bytes", "").value(), 1e5);
  EXPECT_GE(metrics.gauge("process_open_fds", "").value(), 3);
  EXPECT_LT(metrics.gauge("process_open_fds", "").value(), 1000);
  EXPECT_GT(metrics.gauge("process_max_fds", "").value(), 10);
  double started = metrics.gauge("process_start_time_seconds", "").value();
  EXPECT_GT(started, static_cast<double>(std::time(nullptr)) - 600);
  EXPECT_LT(started, static_cast<double>(std::time(nullptr)) + 5);
  EXPECT_GE(metrics.counter("process_cpu_seconds_total", "").value(), 0);
}

}  // namespace dask
