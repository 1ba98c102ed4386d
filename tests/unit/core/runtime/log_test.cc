// The log's lines, levels and records.
#include "core/runtime/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "core/runtime/config.h"

namespace dask {

using testing::HasSubstr;
using testing::MatchesRegex;

struct Log : testing::Test {
  void SetUp() override {
    set_log_name("distributed.scheduler");
    ASSERT_TRUE(configure_log(Config()));
  }
  void TearDown() override { ASSERT_TRUE(configure_log(Config())); }
  std::string last() {
    auto records = log_records(1);
    return records.empty() ? "" : records[0].line;
  }
};

TEST_F(Log, lines_look_like_dasks) {
  testing::internal::CaptureStderr();
  log_info("Scheduler at: {:>25}", "tcp://127.0.0.1:8786");
  std::string out = testing::internal::GetCapturedStderr();
  EXPECT_THAT(out, MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2},[0-9]{3} - distributed.scheduler - INFO - Scheduler "
                                "at:      tcp://127.0.0.1:8786\n"));
  EXPECT_EQ(last() + "\n", out);
  EXPECT_EQ(log_records(1)[0].level, LogLevel::kInfo);
  EXPECT_GT(log_records(1)[0].time, 1.7e9);
}

TEST_F(Log, levels_come_from_the_configuration_and_go_by_name) {
  log_debug("unseen");
  EXPECT_THAT(last(), testing::Not(HasSubstr("unseen")));
  Config config;
  ASSERT_TRUE(config.add_yaml("logging: {distributed: warning, distributed.graph: debug}", "a"));
  ASSERT_TRUE(configure_log(config));
  EXPECT_FALSE(log_enabled(LogLevel::kInfo));
  EXPECT_TRUE(log_enabled(LogLevel::kWarning));
  log_line(LogLevel::kDebug, "distributed.graph.helper", "seen");
  EXPECT_THAT(last(), HasSubstr(" - distributed.graph.helper - DEBUG - seen"));
  log_line(LogLevel::kInfo, "other", "unseen");
  EXPECT_THAT(last(), HasSubstr("seen"));
}

TEST_F(Log, braces_and_percents_in_a_text_are_text) {
  log_warning("{}", "100% {} %(name)s");
  EXPECT_THAT(last(), HasSubstr("- WARNING - 100% {} %(name)s"));
}

TEST_F(Log, a_wrong_level_is_named) {
  Config config;
  ASSERT_TRUE(config.add_yaml("distributed: {logging: {distributed: loud}}", "a"));
  auto result = configure_log(config);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message,
            "configuration distributed.logging.distributed: 'loud' is no log level; use debug, info, warning, error or critical");
}

TEST_F(Log, keeps_as_many_records_as_configured) {
  Config config;
  config.set("distributed.admin.log-length", 3);
  ASSERT_TRUE(configure_log(config));
  for (int i = 0; i < 10; ++i) log_info("line {}", i);
  auto records = log_records();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_THAT(records[0].line, HasSubstr("line 7"));
  EXPECT_EQ(log_records(2).size(), 2u);
}

TEST_F(Log, the_format_can_be_changed) {
  Config config;
  config.set("distributed.admin.log-format", "%(levelname)s|%(message)s|%(thread)d|100%%");
  ASSERT_TRUE(configure_log(config));
  log_error("oh");
  EXPECT_EQ(last(), "ERROR|oh|%(thread)d|100%");
}

TEST_F(Log, threads_may_log_together) {
  testing::internal::CaptureStderr();
  std::thread other([] {
    for (int i = 0; i < 100; ++i) log_info("from the other");
  });
  for (int i = 0; i < 100; ++i) log_info("from this");
  other.join();
  std::string out = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(out.begin(), out.end(), '\n'), 200);
}

}  // namespace dask
