// Which workers may go: the cases of Dask's Scheduler.workers_to_close.
#include "scheduler/policy/closing.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace dask::scheduler {
namespace {

class ClosingTest : public testing::Test {
 protected:
  Worker& worker(const std::string& name, std::int64_t memory_limit = 1000, const std::string& host = "h") {
    Worker ws;
    ws.address = "tcp://" + name;
    ws.name = Value(name);
    ws.host = host;
    ws.memory_limit = memory_limit;
    ws.status = WorkerStatus::kRunning;
    return state_.add_worker(std::move(ws));
  }
  void hold(Worker& ws, std::int64_t nbytes) {
    Task& ts = state_.new_task(Key::from_string(fmt::format("data-{}", ++tasks_)), TaskState::kMemory);
    state_.set_nbytes(ts, nbytes);
    state_.add_replica(ts, ws);
  }
  Task& process(Worker& ws) {
    Task& ts = state_.new_task(Key::from_string(fmt::format("task-{}", ++tasks_)), TaskState::kProcessing);
    state_.add_to_processing(ts, ws);
    return ts;
  }
  std::vector<std::string> close(const ClosingRequest& request) {
    std::vector<std::string> names;
    for (WorkerId id : workers_to_close(state_, request)) names.push_back(*state_.worker(id).name.string());
    return names;
  }
  using Names = std::vector<std::string>;

  State state_{Settings{}};
  int tasks_ = 0;
};

TEST_F(ClosingTest, NothingGoesWhileAllWork) {
  for (const char* name : {"a", "b"}) process(worker(name));
  EXPECT_EQ(close({}), Names{});
  EXPECT_EQ(close({.n = 1}).size(), 1u) << "but a number is an order";
}

TEST_F(ClosingTest, AllGoWhenNothingIsHeld) {
  worker("a");
  worker("b");
  EXPECT_EQ(close({}), (Names{"b", "a"}));
  EXPECT_EQ(close({.minimum = 1}), Names{"b"});
}

TEST_F(ClosingTest, TwiceTheMemoryInUseStays) {
  Worker& a = worker("a");
  worker("b");
  worker("c");
  hold(a, 600);
  EXPECT_EQ(close({}), Names{"c"});
  EXPECT_EQ(close({.memory_ratio = 1}), (Names{"c", "b"}));
  EXPECT_EQ(close({.memory_ratio = 10}), Names{});
}

TEST_F(ClosingTest, ThoseThatHoldLeastGoFirst) {
  hold(worker("a"), 30);
  hold(worker("b"), 10);
  hold(worker("c"), 20);
  EXPECT_EQ(close({.n = 2}), (Names{"b", "c"}));
  EXPECT_EQ(close({.target = 2}), Names{"b"});
  EXPECT_EQ(close({.target = 7}), Names{});
  EXPECT_EQ(close({.n = 3, .minimum = 2}), Names{"b"});
}

TEST_F(ClosingTest, IdleOnesGoBeforeBusyOnes) {
  process(worker("a"));
  hold(worker("b"), 500);
  EXPECT_EQ(close({.n = 1}), Names{"b"});
  EXPECT_EQ(close({.memory_ratio = 0}), Names{"b"}) << "without a number the busy one stays";
}

TEST_F(ClosingTest, WorkersWithLongRunningTasksStay) {
  Worker& a = worker("a");
  worker("b");
  state_.add_to_long_running(process(a));
  EXPECT_EQ(close({.n = 2}), Names{"b"});
}

TEST_F(ClosingTest, GroupsGoTogetherOrNotAtAll) {
  worker("a", 1000, "x");
  worker("b", 1000, "y");
  hold(worker("c", 1000, "x"), 100);
  ClosingRequest by_host{.n = 1, .group = [](const Worker& ws) { return ws.host; }};
  EXPECT_EQ(close(by_host), Names{"b"});
  by_host.n = 2;
  EXPECT_EQ(close(by_host), Names{"b"}) << "host x has two workers: three would go";
  by_host.n = 3;
  EXPECT_EQ(close(by_host), (Names{"b", "a", "c"}));
}

}  // namespace
}  // namespace dask::scheduler
