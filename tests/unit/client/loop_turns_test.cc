// One loop and the threads that run it in turn: a caller that waits, else the loop's own thread, never two.
#include "client/loop_turns.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace dask::client {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

// A loop that is never without work: `tick` runs again and again, on the thread whose turn it is.
class LoopTurnsTest : public testing::Test {
 protected:
  void SetUp() override { again(); }
  void TearDown() override {
    loop_.stop();
    if (own_.joinable()) own_.join();
  }
  void begin() {
    own_ = std::thread([this] { turns_.serve(); });
  }
  void again() {
    loop_.post([this] {
      EXPECT_FALSE(busy_.exchange(true)) << "two threads run the loop";
      ++ticks_;
      runner_ = std::this_thread::get_id();
      if (tick_) tick_();
      busy_ = false;
      again();
    });
  }

  std::atomic<bool> busy_ = false;
  std::atomic<int> ticks_ = 0;
  std::atomic<int> taken_ = 0;
  std::atomic<std::thread::id> runner_;
  std::function<void()> tick_;
  net::Loop loop_;
  LoopTurns turns_{loop_, [this] { ++taken_; }};
  std::thread own_;
};

TEST_F(LoopTurnsTest, a_caller_that_waits_runs_the_loop_itself) {
  begin();
  EXPECT_TRUE(turns_.wait([this] { return runner_.load() == std::this_thread::get_id(); }, 60));
}

TEST_F(LoopTurnsTest, the_loops_own_thread_takes_over_what_callers_have_left) {
  auto first = std::make_shared<std::promise<void>>();
  auto taken = first->get_future();
  // By value: the loop's thread outlives this function.
  tick_ = [caller = std::this_thread::get_id(), first]() mutable {
    if (std::this_thread::get_id() != caller && first) std::exchange(first, nullptr)->set_value();
  };
  EXPECT_TRUE(turns_.wait([this] { return ticks_ > 10; }, 60));
  EXPECT_EQ(taken_, 1);
  begin();
  ASSERT_EQ(taken.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(taken_, 2);
}

TEST_F(LoopTurnsTest, callers_hand_the_loop_to_each_other) {
  std::vector<std::thread> callers;
  std::atomic<int> right = 0;
  const auto wait_often = [&](int step) {
    for (int until = step; until <= 2000; until += step) right += turns_.wait([&] { return ticks_ >= until; }, 60);
  };
  callers.emplace_back([&] { wait_often(2000); });  // maybe before the loop's own thread is there
  begin();
  for (const int step : {1000, 100, 10}) callers.emplace_back([&, step] { wait_often(step); });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(right, 1 + 2 + 20 + 200);
}

TEST_F(LoopTurnsTest, work_is_done_here_when_nobody_runs_the_loop) {
  EXPECT_TRUE(turns_.idle());
  std::vector<std::string> order;
  turns_.run([&] {
    order.push_back("work");
    loop_.at_end_of_turn([&] { order.push_back("end of turn"); });
    EXPECT_FALSE(turns_.idle());
  });
  order.push_back("done");
  EXPECT_EQ(order, (std::vector<std::string>{"work", "end of turn", "done"}));
}

TEST_F(LoopTurnsTest, work_from_within_the_loop_is_done_later_and_not_lost) {
  bool done = false;
  turns_.run([&] { turns_.run([&] { done = true; }); });
  EXPECT_FALSE(done);
  EXPECT_TRUE(turns_.wait([&] { return done; }, 60));
}

TEST_F(LoopTurnsTest, a_wait_ends_with_its_time) {
  begin();
  EXPECT_FALSE(turns_.wait([] { return false; }, 0.01));
}

// A loop without work, so that nothing but what is tested wakes who runs it.
class QuietLoopTurnsTest : public LoopTurnsTest {
 protected:
  void SetUp() override {}
};

TEST_F(QuietLoopTurnsTest, a_wait_ends_with_its_time_whoever_runs_the_loop) {
  begin();
  EXPECT_FALSE(turns_.wait([] { return false; }, 0.01));
  std::atomic<bool> over = false;
  std::thread other([&] { EXPECT_TRUE(turns_.wait([&] { return over.load(); }, -1)); });
  EXPECT_FALSE(turns_.wait([] { return false; }, 0.01));
  over = true;
  turns_.changed();
  other.join();
}

TEST_F(QuietLoopTurnsTest, the_end_of_the_loop_ends_all_waits) {
  begin();
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) callers.emplace_back([&] { EXPECT_FALSE(turns_.wait([] { return false; }, -1)); });
  loop_.stop();
  for (std::thread& caller : callers) caller.join();
  own_.join();
  EXPECT_FALSE(turns_.wait([] { return false; }, -1));
}

}  // namespace
}  // namespace dask::client
