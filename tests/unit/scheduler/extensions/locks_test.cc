// Semaphores, multi-locks and flags: who gets what, in which order, and what time and departures do.
#include <gtest/gtest.h>

#include "scheduler/extensions/flags.h"
#include "scheduler/extensions/multi_locks.h"
#include "scheduler/extensions/semaphores.h"
#include "tests/unit/scheduler/extensions/told.h"

namespace dask::scheduler {
namespace {

constexpr double kInterval = 10;

TEST(Semaphores, leases_are_granted_in_order_of_arrival) {
  Semaphores s(kInterval);
  Effects e;
  s.create(1, key("x"), 2, 30, e);
  for (RequestId request : {2, 3, 4, 5}) s.acquire(request, key("x"), key("lease-" + std::to_string(request)), 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"1: None", "2: True", "3: True"}));
  EXPECT_EQ(s.value(key("x")), 2);
  EXPECT_GT(s.all().begin()->second.average_pending_lease_time, 0);
  s.release(key("x"), key("lease-3"), 4, e);
  EXPECT_EQ(told(e), (Lines{"4: True"}));
  s.release(key("x"), key("lease-2"), 4, e);
  EXPECT_EQ(told(e), (Lines{"5: True"}));
  const Semaphores::Semaphore& x = s.all().begin()->second;
  EXPECT_EQ(x.acquire_total, 4u);
  EXPECT_EQ(x.release_total, 2u);
  EXPECT_NEAR(x.average_pending_lease_time, 3.0, 1e-5);  // ((0 + 4) / 2 + 4) / 2, after two that did not wait
}

TEST(Semaphores, the_same_lease_may_be_acquired_again) {
  Semaphores s(kInterval);
  Effects e;
  s.create(1, key("x"), 1, 30, e);
  s.acquire(2, key("x"), key("lease"), 0, {}, e);
  s.acquire(3, key("x"), key("lease"), 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"1: None", "2: True", "3: True"}));
  EXPECT_EQ(s.value(key("x")), 1);
}

TEST(Semaphores, a_timeout_answers_false_and_leaves_the_line) {
  Semaphores s(kInterval);
  Effects e;
  s.create(1, key("x"), 1, {}, e);
  s.acquire(2, key("x"), key("a"), 0, {}, e);
  s.acquire(3, key("x"), key("b"), 0, 0, e);
  EXPECT_EQ(told(e), (Lines{"1: None", "2: True", "3: False"}));
  s.acquire(4, key("x"), key("c"), 0, 5, e);
  EXPECT_EQ(s.next_deadline(), Deadline(5));
  s.advance(4.9, e);
  EXPECT_EQ(told(e), Lines{});
  s.advance(5, e);
  EXPECT_EQ(told(e), (Lines{"4: False"}));
  EXPECT_EQ(s.next_deadline(), Deadline());
  s.release(key("x"), key("a"), 6, e);
  EXPECT_EQ(told(e), Lines{});
}

TEST(Semaphores, a_lease_that_is_not_refreshed_goes_to_the_next) {
  Semaphores s(kInterval);
  Effects e;
  s.create(1, key("x"), 1, 30, e);
  s.acquire(2, key("x"), key("a"), 0, {}, e);
  s.acquire(3, key("x"), key("b"), 0, {}, e);
  told(e);
  double now = 0;
  const auto check = [&] {
    now = *s.next_deadline();
    s.advance(now, e);
    return told(e);
  };
  EXPECT_EQ(check(), Lines{});
  EXPECT_EQ(now, 10);
  EXPECT_EQ(check(), Lines{});
  s.refresh(key("x"), {key("a")}, 25, e);
  EXPECT_EQ(check(), Lines{});             // 30
  EXPECT_EQ(check(), Lines{});             // 40
  EXPECT_EQ(check(), Lines{});             // 50
  EXPECT_EQ(check(), (Lines{"3: True"}));  // 60: last seen 35 s ago
  EXPECT_EQ(now, 60);
  EXPECT_FALSE(e.warnings.empty());
}

TEST(Semaphores, leases_without_a_timeout_stay_and_ask_for_no_timer) {
  Semaphores s(kInterval);
  Effects e;
  s.create(1, key("x"), 1, {}, e);
  s.acquire(2, key("x"), key("a"), 0, {}, e);
  EXPECT_EQ(s.next_deadline(), Deadline());
}

TEST(Semaphores, a_late_refresh_books_the_lease_again_and_warns) {
  Semaphores s(kInterval);
  Effects e;
  s.create(1, key("x"), 1, 30, e);
  s.acquire(2, key("x"), key("a"), 0, {}, e);
  s.refresh(key("x"), {key("b")}, 1, e);
  EXPECT_EQ(s.value(key("x")), 2);
  EXPECT_EQ(e.warnings.size(), 1u);
}

TEST(Semaphores, a_caller_that_left_is_not_granted_a_lease) {
  Semaphores s(kInterval);
  Effects e;
  s.create(1, key("x"), 1, {}, e);
  s.acquire(2, key("x"), key("a"), 0, {}, e);
  s.acquire(3, key("x"), key("b"), 0, 9, e);
  s.acquire(4, key("x"), key("c"), 0, {}, e);
  told(e);
  s.abandon(3);
  EXPECT_EQ(s.next_deadline(), Deadline());
  s.release(key("x"), key("a"), 1, e);
  EXPECT_EQ(told(e), (Lines{"4: True"}));
}

TEST(Semaphores, unknown_names_and_other_counts_are_errors) {
  Semaphores s(kInterval);
  Effects e;
  s.acquire(1, key("x"), key("a"), 0, {}, e);
  s.create(2, key("x"), 1, 30, e);
  s.create(3, key("x"), 2, 30, e);
  EXPECT_EQ(told(e), (Lines{"1: RuntimeError", "2: None", "3: ValueError"}));
  s.release(key("nothing"), key("a"), 0, e);
  s.release(key("x"), key("a"), 0, e);
  EXPECT_EQ(e.warnings.size(), 2u);
}

TEST(Semaphores, closing_ends_those_who_wait) {
  Semaphores s(kInterval);
  Effects e;
  s.create(1, key("x"), 1, 30, e);
  s.acquire(2, key("x"), key("a"), 0, {}, e);
  s.acquire(3, key("x"), key("b"), 0, 5, e);
  told(e);
  s.close(key("x"), e);
  EXPECT_EQ(told(e), (Lines{"3: RuntimeError"}));
  EXPECT_TRUE(s.all().empty());
  s.refresh(key("x"), {key("a")}, 1, e);
  EXPECT_EQ(s.value(key("x")), 0);
  s.advance(20, e);
  EXPECT_EQ(told(e), Lines{});
}

TEST(Semaphores, names_are_equal_as_python_says) {
  Semaphores s(kInterval);
  Effects e;
  const Key one = *Key::from_value(Value(Value::Array{"x", 1}));
  const Key same = *Key::from_value(Value(Value::Array{"x", 1.0}));
  s.create(1, one, 1, {}, e);
  s.acquire(2, same, key("a"), 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"1: None", "2: True"}));
}

TEST(MultiLocks, all_locks_or_none) {
  MultiLocks m;
  Effects e;
  m.acquire(1, {key("x"), key("y")}, key("a"), 2, 0, {}, e);
  m.acquire(2, {key("y"), key("z")}, key("b"), 2, 0, {}, e);
  m.acquire(3, {key("z")}, key("c"), 1, 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"1: True"}));
  m.release(4, key("a"), e);
  EXPECT_EQ(told(e), (Lines{"2: True", "4: None"}));
  m.release(5, key("b"), e);
  EXPECT_EQ(told(e), (Lines{"3: True", "5: None"}));
  m.release(6, key("c"), e);
  EXPECT_TRUE(m.empty());
}

TEST(MultiLocks, a_timeout_gives_back_what_was_got) {
  MultiLocks m;
  Effects e;
  m.acquire(1, {key("x")}, key("a"), 1, 0, {}, e);
  m.acquire(2, {key("x"), key("y")}, key("b"), 2, 0, 5, e);
  m.acquire(3, {key("y")}, key("c"), 1, 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"1: True"}));
  EXPECT_EQ(m.next_deadline(), Deadline(5));
  m.advance(5, e);
  EXPECT_EQ(told(e), (Lines{"3: True", "2: False"}));
  m.acquire(4, {key("x")}, key("d"), 1, 5, 5, e);
  EXPECT_EQ(told(e), (Lines{"4: False"}));
}

TEST(MultiLocks, one_timeout_may_give_another_its_locks_at_the_same_moment) {
  MultiLocks m;
  Effects e;
  m.acquire(1, {key("x")}, key("a"), 1, 0, {}, e);
  m.acquire(2, {key("x"), key("y")}, key("b"), 2, 0, 5, e);
  m.acquire(3, {key("y")}, key("c"), 1, 0, 5, e);
  told(e);
  m.advance(5, e);
  EXPECT_EQ(told(e), (Lines{"3: True", "2: False"}));
}

TEST(MultiLocks, any_two_of_three_are_enough_and_the_third_stays_free) {
  MultiLocks m;
  Effects e;
  const std::vector<Key> names{key("x"), key("y"), key("z")};
  m.acquire(1, {key("x")}, key("a"), 1, 0, {}, e);
  m.acquire(2, {key("y")}, key("b"), 1, 0, {}, e);
  m.acquire(3, names, key("c"), 2, 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"1: True", "2: True"}));
  m.release(4, key("b"), e);
  EXPECT_EQ(told(e), (Lines{"3: True", "4: None"}));
  m.release(5, key("a"), e);
  m.acquire(6, {key("x")}, key("d"), 1, 0, 0, e);
  EXPECT_EQ(told(e), (Lines{"5: None", "6: True"}));
}

TEST(MultiLocks, a_caller_that_left_holds_nothing) {
  MultiLocks m;
  Effects e;
  m.acquire(1, {key("x")}, key("a"), 1, 0, {}, e);
  m.acquire(2, {key("x"), key("y")}, key("b"), 2, 0, {}, e);
  m.acquire(3, {key("y")}, key("c"), 1, 0, {}, e);
  told(e);
  m.abandon(2, e);
  EXPECT_EQ(told(e), (Lines{"3: True"}));
}

TEST(MultiLocks, nonsense_is_an_error) {
  MultiLocks m;
  Effects e;
  m.acquire(1, {}, key("a"), 0, 0, {}, e);
  m.acquire(2, {key("x")}, key("a"), 2, 0, {}, e);
  m.release(3, key("a"), e);
  m.acquire(4, {key("x"), key("x")}, key("a"), 2, 0, {}, e);
  m.acquire(5, {key("y")}, key("a"), 1, 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"1: ValueError", "2: ValueError", "3: KeyError", "4: True", "5: RuntimeError"}));
}

TEST(MultiLocks, releasing_while_waiting_ends_the_wait) {
  MultiLocks m;
  Effects e;
  m.acquire(1, {key("x")}, key("a"), 1, 0, {}, e);
  m.acquire(2, {key("x")}, key("b"), 1, 0, {}, e);
  m.release(3, key("b"), e);
  EXPECT_EQ(told(e), (Lines{"1: True", "2: False", "3: None"}));
}

TEST(Flags, setting_wakes_everybody_and_lets_later_ones_through) {
  Flags f;
  Effects e;
  f.wait(1, key("x"), 0, {}, e);
  f.wait(2, key("x"), 0, 9, e);
  f.wait(3, key("y"), 0, {}, e);
  EXPECT_FALSE(f.is_set(key("x")));
  f.set(key("x"), e);
  f.wait(4, key("x"), 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"1: True", "2: True", "4: True"}));
  EXPECT_TRUE(f.is_set(key("x")));
  EXPECT_EQ(f.next_deadline(), Deadline());
  f.clear(key("x"));
  EXPECT_FALSE(f.is_set(key("x")));
  f.abandon(3);
  EXPECT_TRUE(f.empty());
}

TEST(Flags, a_timeout_answers_false) {
  Flags f;
  Effects e;
  f.wait(1, key("x"), 0, 0, e);
  f.wait(2, key("x"), 0, 3, e);
  EXPECT_EQ(told(e), (Lines{"1: False"}));
  f.advance(3, e);
  EXPECT_EQ(told(e), (Lines{"2: False"}));
  EXPECT_TRUE(f.empty());
}

}  // namespace
}  // namespace dask::scheduler
