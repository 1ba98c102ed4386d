// The loop: order of work, end of turn, timers, idling.
#include "core/net/loop.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/time.h>

#include <csignal>
#include <thread>
#include <vector>

#include "tests/unit/core/net/net_fixture.h"

namespace dask::net::test {

TEST(Loop, end_of_turn_work_runs_once_after_the_handlers_that_are_ready) {
  Loop loop;
  std::vector<std::string> order;
  loop.post([&] {
    order.push_back("first");
    loop.at_end_of_turn([&] { order.push_back("end"); });
  });
  loop.post([&] { order.push_back("second"); });
  loop.post([&] {
    order.push_back("third");
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  loop.post([&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(order, (std::vector<std::string>{"first", "second", "third", "end"}));
}

TEST(Loop, end_of_turn_work_may_queue_more_of_it) {
  Loop loop;
  int rounds = 0;
  std::function<void()> again = [&] {
    if (++rounds < 1000)
      loop.at_end_of_turn(again);
    else
      loop.stop();
  };
  loop.at_end_of_turn(again);
  loop.run();
  EXPECT_EQ(rounds, 1000);
}

TEST(Loop, a_timer_whose_handle_is_gone_does_not_fire) {
  Loop loop;
  bool fired = false;
  {
    auto timer = loop.after(std::chrono::milliseconds(1), [&] { fired = true; });
  }
  auto later = loop.after(std::chrono::milliseconds(20), [&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(fired);
}

TEST(Loop, a_periodic_timer_fires_until_it_is_cancelled_from_within) {
  Loop loop;
  int fired = 0;
  Loop::Timer timer;
  timer = loop.every(std::chrono::milliseconds(1), [&] {
    if (++fired == 5) timer.cancel();
  });
  auto later = loop.after(std::chrono::milliseconds(50), [&] { loop.stop(); });
  loop.run();
  EXPECT_EQ(fired, 5);
}

TEST(Loop, work_may_be_posted_from_another_thread) {
  Loop loop;
  auto deadline = loop.after(kDeadline, [&] { loop.stop(); });
  bool ran = false;
  std::thread other([&] {
    loop.post([&] {
      ran = true;
      loop.stop();
    });
  });
  loop.run();
  other.join();
  EXPECT_TRUE(ran);
}

TEST(Loop, stop_before_run_makes_run_return) {
  Loop loop;
  loop.stop();
  loop.run();
}

TEST(Loop, runs_until_it_is_told_that_it_is_done_and_goes_on_on_another_thread) {
  Loop loop;
  int turns = 0;
  bool done = false;
  loop.at_end_of_turn([&] { ++turns; });
  EXPECT_FALSE(loop.run_until([] { return true; }));
  EXPECT_EQ(turns, 1);
  loop.post([&] { done = true; });
  std::thread([&] { EXPECT_FALSE(loop.run_until([&] { return done; })); }).join();
  loop.post([&] { loop.stop(); });
  EXPECT_TRUE(loop.run_until([] { return false; }));
}

TEST(Loop, signals_arrive_as_calls) {
  Loop loop;
  int got = 0;
  loop.on_signals([&](int signal) {
    got = signal;
    loop.stop();
  });
  loop.post([] { ::raise(SIGTERM); });
  loop.run();
  EXPECT_EQ(got, SIGTERM);
}

TEST(Loop, an_idle_loop_uses_no_processor) {
  Loop loop;
  auto cpu = [] {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
  };
  auto end = loop.after(std::chrono::milliseconds(300), [&] { loop.stop(); });
  double before = cpu();
  loop.run();
  EXPECT_LT(cpu() - before, 0.03);
}

}  // namespace dask::net::test
