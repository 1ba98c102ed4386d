// The keyed work queue: what is worked on when, with times that the test gives.
#include "operator/kube/work_queue.h"

#include <gtest/gtest.h>

namespace dask::kube::test {

TEST(WorkQueue, gives_a_key_once_however_often_it_was_added) {
  WorkQueue queue;
  queue.add("a", 0);
  queue.add("a", 0);
  queue.add("b", 0);
  EXPECT_EQ(queue.take(0), "a");
  EXPECT_EQ(queue.take(0), "b");
  EXPECT_EQ(queue.take(0), std::nullopt);
}

TEST(WorkQueue, never_gives_a_key_that_is_worked_on_and_gives_it_once_more_afterwards) {
  WorkQueue queue;
  queue.add("a", 0);
  ASSERT_EQ(queue.take(0), "a");
  queue.add("a", 1);
  queue.add("a", 2);
  EXPECT_EQ(queue.take(2), std::nullopt);
  queue.done("a", 3);
  EXPECT_EQ(queue.take(3), "a");
  queue.done("a", 3);
  EXPECT_EQ(queue.take(3), std::nullopt);
}

TEST(WorkQueue, gives_a_delayed_key_when_its_time_has_come_and_the_earlier_time_wins) {
  WorkQueue queue;
  queue.add_after("a", 10, 0);
  queue.add_after("a", 5, 0);
  queue.add_after("a", 20, 0);
  EXPECT_EQ(queue.next_time(), 5);
  EXPECT_EQ(queue.take(4.9), std::nullopt);
  EXPECT_EQ(queue.take(5), "a");
  queue.done("a", 5);
  EXPECT_EQ(queue.take(100), std::nullopt);
}

TEST(WorkQueue, lets_a_key_that_fails_wait_twice_as_long_each_time_until_it_is_forgotten) {
  WorkQueue queue({1, 8, 0});
  double now = 0;
  for (const double expected : {1.0, 2.0, 4.0, 8.0, 8.0}) {
    queue.add_failed("a", now, 0.5);
    EXPECT_EQ(queue.next_time(), now + expected);
    now += expected;
    ASSERT_EQ(queue.take(now), "a");
    queue.done("a", now);
  }
  queue.forget("a");
  queue.add_failed("a", now, 0.5);
  EXPECT_EQ(queue.next_time(), now + 1);
}

TEST(WorkQueue, waits_at_least_as_long_as_the_server_said) {
  WorkQueue queue({1, 8, 0});
  queue.add_failed("a", 0, 0, 5);
  EXPECT_EQ(queue.next_time(), 5);
}

TEST(WorkQueue, keeps_a_change_that_comes_while_a_failed_key_waits) {
  WorkQueue queue({100, 100, 0});
  queue.add("a", 0);
  ASSERT_EQ(queue.take(0), "a");
  queue.add_failed("a", 0, 0);
  queue.done("a", 0);
  queue.add("a", 1);
  EXPECT_EQ(queue.take(1), "a") << "a change is worked on at once, whatever failed before";
}

TEST(WorkQueue, tells_how_long_work_takes) {
  WorkQueue queue;
  queue.add("a", 0);
  queue.add("b", 0);
  queue.take(0);
  queue.take(1);
  EXPECT_EQ(queue.processing(), 2u);
  EXPECT_EQ(queue.unfinished_s(3), 5);
  EXPECT_EQ(queue.longest_s(3), 3);
}

}  // namespace dask::kube::test
