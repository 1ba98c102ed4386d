// Lazy graphs give the same answers on every scheduler of one program, compute what is shared once, and tell failures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <mutex>
#include <set>
#include <thread>

#include "dask/config.h"
#include "dask/delayed.h"
#include "tests/unit/client/functions.h"

namespace dask {
namespace {

using namespace testing_functions;

std::atomic<int> calls{0};
int counted(int x) {
  ++calls;
  return x;
}
int process_id(int) { return getpid(); }
int die(int) {
  raise(SIGKILL);
  return 0;
}
int first_of(const std::vector<int>& values) { return values.empty() ? 0 : values.front(); }
int total_of(const std::map<std::string, std::vector<int>>& values) {
  int all = 0;
  for (const auto& [name, list] : values) all += sum(list);
  return all;
}
int compute_inside(int x) { return delayed<add>(delayed<inc>(x), 1).compute({.scheduler = "threads"}); }

class Schedulers : public testing::TestWithParam<const char*> {
 protected:
  ComputeOptions options() const { return {.scheduler = GetParam(), .num_workers = 3}; }
};
INSTANTIATE_TEST_SUITE_P(Names, Schedulers,
                         testing::Values("sync", "synchronous", "single-threaded", "threads", "threading", "threaded", "processes",
                                         "multiprocessing"),
                         [](const auto& one) {
                           std::string name = one.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(Schedulers, compute_a_nested_graph) {
  const auto total = delayed<add>(delayed<inc>(1), delayed<add>(delayed<inc>(2), 10));
  EXPECT_EQ(total.compute(options()), 15);
}

TEST_P(Schedulers, lists_and_maps_of_lazy_values_are_arguments) {
  std::vector<Delayed<int>> parts;
  for (int i = 0; i < 40; ++i) parts.push_back(delayed<inc>(i));
  EXPECT_EQ(delayed<sum>(parts).compute(options()), 820);
  const std::map<std::string, std::vector<Delayed<int>>> by_name{{"a", {parts[0], parts[1]}}, {"b", {parts[1]}}};
  EXPECT_EQ(delayed<total_of>(by_name).compute(options()), 5);
}

TEST_P(Schedulers, lazy_values_are_shared) {
  const auto numbers = delayed(std::vector<int>{1, 2, 3});
  const auto [a, b] = compute(options(), delayed<sum>(numbers), delayed<first_of>(numbers));
  EXPECT_EQ(a, 6);
  EXPECT_EQ(b, 1);
}

TEST_P(Schedulers, numbers_convert_between_tasks) { EXPECT_EQ(delayed<total>(std::vector{delayed<inc>(1)}).compute(options()), 2.0); }

TEST_P(Schedulers, persist_keeps_results) {
  const auto kept = delayed<inc>(1).persist(options());
  EXPECT_EQ(delayed<add>(kept, kept).compute(options()), 4);
}

TEST_P(Schedulers, a_failure_says_type_and_words) {
  const auto failing = delayed<add>(delayed<look_up>(7), delayed<inc>(1));
  try {
    failing.compute(options());
    FAIL() << "nothing was thrown";
  } catch (const NoSuchAirport& error) {
    EXPECT_STREQ(error.what(), "no airport 7");
  } catch (const TaskError& error) {
    EXPECT_EQ(error.type(), "dask::testing_functions::NoSuchAirport");
    EXPECT_STREQ(error.what(), "no airport 7");
    EXPECT_THAT(error.key(), testing::StartsWith("look_up-"));
  }
}

TEST_P(Schedulers, a_wide_graph_is_computed) {
  std::vector<Delayed<int>> leaves;
  for (int i = 0; i < 2000; ++i) leaves.push_back(delayed<inc>(i));
  while (leaves.size() > 1) {
    std::vector<Delayed<int>> next;
    for (std::size_t i = 0; i + 1 < leaves.size(); i += 2) next.push_back(delayed<add>(leaves[i], leaves[i + 1]));
    if (leaves.size() % 2) next.push_back(leaves.back());
    leaves = std::move(next);
  }
  EXPECT_EQ(leaves[0].compute(options()), 2000 * 2001 / 2);
}

TEST_P(Schedulers, a_task_may_compute_a_graph) { EXPECT_EQ(delayed<compute_inside>(1).compute(options()), 3); }

TEST(SyncAndThreads, compute_what_is_shared_once) {
  for (const char* scheduler : {"sync", "threads"}) {
    calls = 0;
    const auto shared = delayed<counted>(5);
    EXPECT_EQ(delayed<add>(shared, shared).compute({.scheduler = scheduler}), 10);
    EXPECT_EQ(calls, 1);
    const auto [a, b] = compute({.scheduler = scheduler}, delayed<inc>(shared), delayed<add>(shared, 1));
    EXPECT_EQ(a + b, 12);
    EXPECT_EQ(calls, 2);
  }
}

TEST(Threads, computes_a_long_chain_and_takes_it_apart) {
  auto chain = delayed<inc>(0);
  for (int i = 1; i < 200'000; ++i) chain = delayed<inc>(chain);
  EXPECT_EQ(chain.compute({.scheduler = "threads", .num_workers = 4}), 200'000);
}

TEST(Threads, nothing_more_is_started_after_a_failure) {
  calls = 0;
  auto chain = delayed<add>(delayed<look_up>(1), 0);
  for (int i = 0; i < 100; ++i) chain = delayed<counted>(chain);
  EXPECT_THROW(chain.compute({.scheduler = "threads"}), NoSuchAirport);
  EXPECT_EQ(calls, 0);
}

TEST(Processes, run_elsewhere) {
  EXPECT_NE(delayed<process_id>(0).compute({.scheduler = "processes"}), getpid());
  EXPECT_EQ(delayed<process_id>(0).compute({.scheduler = "threads"}), getpid());
}

TEST(Processes, a_task_that_dies_is_a_KilledWorker_and_says_how) {
  try {
    delayed<die>(0).compute({.scheduler = "processes"});
    FAIL() << "nothing was thrown";
  } catch (const KilledWorker& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("killed by signal 9"));
  }
}

TEST(Processes, large_values_pass) { EXPECT_EQ(delayed<total>(delayed<many>(1'000'000)).compute({.scheduler = "processes"}), 1.5e6); }

TEST(Choice, unknown_names_are_refused_with_the_known_ones) {
  try {
    delayed<inc>(1).compute({.scheduler = "celery"});
    FAIL() << "nothing was thrown";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("unknown scheduler \"celery\": expected one of sync, "));
  }
}

TEST(Choice, distributed_needs_a_client) { EXPECT_THROW(delayed<inc>(1).compute({.scheduler = "distributed"}), std::invalid_argument); }

TEST(Choice, the_configuration_chooses_for_a_block_and_for_good) {
  {
    const config::Scope scope = config::set({{"scheduler", "processes"}});
    EXPECT_NE(delayed<process_id>(0).compute(), getpid());
    EXPECT_EQ(delayed<process_id>(0).compute({.scheduler = "sync"}), getpid());
  }
  EXPECT_EQ(delayed<process_id>(0).compute(), getpid());
  config::set({{"scheduler", "processes"}});
  EXPECT_NE(delayed<process_id>(0).compute(), getpid());
  config::set({{"scheduler", Value()}});
}

TEST(Config, names_are_dotted_and_dashes_are_underscores) {
  EXPECT_EQ(config::find("distributed.comm.timeouts.no-such-thing"), std::nullopt);
  const config::Scope scope({{"my.own-name", 5}, {"my.own_name", 6}});
  EXPECT_EQ(config::find("my.own_name")->as_int(), 6);
  EXPECT_EQ(config::get("my.own-name", "none"), "6");
}

TEST(Delayed, is_lazy_and_has_a_readable_name) {
  calls = 0;
  const auto lazy = delayed<counted>(1);
  EXPECT_EQ(calls, 0);
  EXPECT_THAT(lazy.key(), testing::MatchesRegex("counted-[0-9a-f]{32}"));
  EXPECT_THAT(lazy.repr(), testing::StartsWith("Delayed<int>('counted-"));
  EXPECT_NE(lazy.key(), delayed<counted>(1).key());
}

}  // namespace
}  // namespace dask
