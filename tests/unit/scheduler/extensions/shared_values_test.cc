// Queues, variables and datasets: values and futures that clients share, and which tasks they keep alive.
#include <gtest/gtest.h>

#include "scheduler/extensions/datasets.h"
#include "scheduler/extensions/key_waits.h"
#include "scheduler/extensions/queues.h"
#include "scheduler/extensions/variables.h"
#include "tests/unit/scheduler/extensions/told.h"

namespace dask::scheduler {
namespace {

using Kind = Queues::Batch::Kind;
constexpr Queues::Batch kOne{};
constexpr Queues::Batch kAvailable{Kind::kAvailable, 0};

Queues::Record plain(Value value) { return {std::nullopt, std::move(value)}; }
Queues::Record future(std::string_view name) { return {key(name), {}}; }

TEST(Queues, values_come_out_in_order) {
  Queues q;
  Effects e;
  q.create(key("q"), 0);
  q.put(1, key("q"), plain(10), 0, {}, e);
  q.put(2, key("q"), plain("b"), 0, {}, e);
  q.qsize(3, key("q"), e);
  q.get(4, key("q"), kOne, 0, {}, e);
  q.get(5, key("q"), kAvailable, 0, {}, e);
  q.get(6, key("q"), kAvailable, 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"1: None", "2: None", "3: 2", "4: {'type': 'msgpack', 'value': 10} +state",
                            "5: ({'type': 'msgpack', 'value': 'b'},) +state", "6: () +state"}));
}

TEST(Queues, a_get_waits_for_a_put_and_gives_up_in_time) {
  Queues q;
  Effects e;
  q.create(key("q"), 0);
  q.get(1, key("q"), kOne, 0, 5, e);
  q.get(2, key("q"), kOne, 0, {}, e);
  q.get(3, key("q"), kOne, 0, 0, e);
  EXPECT_EQ(told(e), (Lines{"3: TimeoutError"}));
  q.advance(5, e);
  EXPECT_EQ(told(e), (Lines{"1: TimeoutError"}));
  q.put(4, key("q"), plain(7), 6, {}, e);
  EXPECT_EQ(told(e), (Lines{"4: None", "2: {'type': 'msgpack', 'value': 7} +state"}));
}

TEST(Queues, a_full_queue_makes_puts_wait) {
  Queues q;
  Effects e;
  q.create(key("q"), 1);
  q.put(1, key("q"), plain(1), 0, {}, e);
  q.put(2, key("q"), future("x"), 0, {}, e);
  q.put(3, key("q"), future("y"), 0, 4, e);
  q.put(4, key("q"), plain(4), 0, 0, e);
  EXPECT_EQ(told(e), (Lines{"want queue-q x", "want queue-q y", "1: None", "4: TimeoutError"}));
  q.advance(4, e);
  EXPECT_EQ(told(e), (Lines{"release queue-q y", "3: TimeoutError"}));
  q.get(5, key("q"), kOne, 5, {}, e);
  EXPECT_EQ(told(e), (Lines{"5: {'type': 'msgpack', 'value': 1} +state", "2: None"}));
}

TEST(Queues, a_batch_larger_than_the_queue_drains_it_while_it_fills) {
  Queues q;
  Effects e;
  q.create(key("q"), 1);
  for (RequestId request : {1, 2, 3}) q.put(request, key("q"), plain(static_cast<int>(request)), 0, {}, e);
  q.get(4, key("q"), {Kind::kCount, 4}, 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"1: None", "2: None", "3: None"}));
  q.put(5, key("q"), plain(5), 0, {}, e);
  const Lines lines = told(e);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1].substr(0, 40), "4: ({'type': 'msgpack', 'value': 1}, {'t");
}

TEST(Queues, what_was_taken_for_a_caller_that_left_goes_back) {
  Queues q;
  Effects e;
  q.create(key("q"), 0);
  q.put(1, key("q"), plain(1), 0, {}, e);
  q.get(2, key("q"), {Kind::kCount, 2}, 0, {}, e);
  q.get(3, key("q"), kOne, 0, {}, e);
  told(e);
  q.abandon(2, e);
  EXPECT_EQ(told(e), (Lines{"3: {'type': 'msgpack', 'value': 1} +state"}));
}

TEST(Queues, a_future_is_wanted_until_its_reader_wants_it) {
  Queues q;
  Effects e;
  q.create(key("q"), 0);
  q.put(1, key("q"), future("x"), 0, {}, e);
  q.put(2, key("q"), future("x"), 0, {}, e);
  q.get(3, key("q"), kOne, 0, {}, e);
  told(e);
  q.future_received(key("q"), key("x"), "client-a", e);
  EXPECT_EQ(told(e), (Lines{"want client-a x"}));
  q.get(4, key("q"), kOne, 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"4: {'type': 'Future', 'value': 'x'} +state"}));
  q.release(key("q"), e);
  EXPECT_EQ(told(e), Lines{});
  q.future_received(key("q"), key("x"), "client-a", e);
  EXPECT_EQ(told(e), (Lines{"want client-a x", "release queue-q x", "forget queue-q"}));
  EXPECT_TRUE(q.empty());
}

TEST(Queues, a_queue_ends_with_its_last_object) {
  Queues q;
  Effects e;
  q.create(key("q"), 0);
  q.create(key("q"), 5);
  q.put(1, key("q"), future("x"), 0, {}, e);
  q.release(key("q"), e);
  EXPECT_EQ(told(e), (Lines{"want queue-q x", "1: None"}));
  q.get(2, key("q"), {Kind::kCount, 3}, 0, {}, e);
  q.release(key("q"), e);
  EXPECT_EQ(told(e), (Lines{"release queue-q x", "forget queue-q", "2: RuntimeError"}));
  q.release(key("q"), e);
  q.qsize(3, key("q"), e);
  q.put(4, key("q"), plain(1), 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"3: KeyError", "4: KeyError"}));
  EXPECT_TRUE(q.empty());
}

Variables::Record value(Value v) { return {std::nullopt, std::move(v)}; }
Variables::Record of_task(std::string_view name) { return {key(name), {}}; }

TEST(Variables, readers_wait_until_it_is_set) {
  Variables v;
  Effects e;
  v.get(1, key("v"), "a", 0, {}, e);
  v.get(2, key("v"), "a", 0, 3, e);
  v.get(3, key("v"), "a", 0, 0, e);
  EXPECT_EQ(told(e), (Lines{"3: TimeoutError"}));
  v.advance(3, e);
  EXPECT_EQ(told(e), (Lines{"2: TimeoutError"}));
  v.set(4, key("v"), value(7), e);
  v.get(5, key("v"), "a", 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"1: {'type': 'msgpack', 'value': 7}", "4: None", "5: {'type': 'msgpack', 'value': 7}"}));
  v.remove(key("v"), e);
  EXPECT_TRUE(v.empty());
}

TEST(Variables, an_old_future_lives_until_its_readers_want_it) {
  Variables v;
  Effects e;
  v.set(1, key("v"), of_task("x"), e);
  v.get(2, key("v"), "a", 0, {}, e);
  EXPECT_EQ(told(e), (Lines{"want variable-v x", "1: None", "2: {'type': 'Future', 'value': 'x', 'token': 'token-1'} +state"}));
  v.set(3, key("v"), of_task("y"), e);
  EXPECT_EQ(told(e), (Lines{"want variable-v y", "3: None"}));
  v.future_received(key("v"), key("x"), Value("token-1"), "a", e);
  EXPECT_EQ(told(e), (Lines{"want a x", "release variable-v x"}));
  v.set(4, key("v"), value(1), e);
  EXPECT_EQ(told(e), (Lines{"release variable-v y", "forget variable-v", "4: None"}));
}

TEST(Variables, setting_it_back_keeps_the_older_future) {
  Variables v;
  Effects e;
  v.set(1, key("v"), of_task("x"), e);
  v.get(2, key("v"), "a", 0, {}, e);
  v.set(3, key("v"), of_task("y"), e);
  told(e);
  v.set(4, key("v"), of_task("x"), e);
  EXPECT_EQ(told(e), (Lines{"want variable-v x", "release variable-v y", "4: None"}));
  v.future_received(key("v"), key("x"), Value("token-1"), "a", e);
  EXPECT_EQ(told(e), (Lines{"want a x"}));
}

TEST(Variables, a_reader_that_left_confirms_nothing_and_holds_nothing) {
  Variables v;
  Effects e;
  v.set(1, key("v"), of_task("x"), e);
  v.get(2, key("v"), "a", 0, {}, e);
  v.remove(key("v"), e);
  EXPECT_EQ(told(e), (Lines{"want variable-v x", "1: None", "2: {'type': 'Future', 'value': 'x', 'token': 'token-1'} +state"}));
  v.get(3, key("v"), "b", 0, {}, e);
  v.client_left("a", e);
  EXPECT_EQ(told(e), (Lines{"release variable-v x", "forget variable-v"}));
  v.abandon(3);
  EXPECT_TRUE(v.empty());
}

Datasets::Entry dataset(std::string_view name, std::vector<Key> keys) {
  Value::Array wire;
  for (const Key& k : keys) wire.push_back(k.value());
  return {key(name), std::move(keys), Value(std::move(wire)), Value(std::string("data of ") + std::string(name))};
}

TEST(Datasets, a_call_waits_for_its_mark_on_the_stream) {
  Datasets d;
  Effects e;
  d.put({1, "a", true, key("m1")}, {dataset("n", {key("x")})}, false, 0, e);
  EXPECT_EQ(told(e), Lines{});
  d.flushed(key("m1"), "a", e);
  EXPECT_EQ(told(e), (Lines{"want published-n x", "1: None"}));
  d.flushed(key("m2"), "a", e);
  d.put({2, "a", true, key("m2")}, {dataset("m", {})}, false, 0, e);
  d.list(3, e);
  d.get(4, {key("n"), key("nothing")}, e);
  EXPECT_EQ(told(e), (Lines{"want published-m", "2: None", "3: ('m', 'n')", "4: ({'data': 'data of n', 'keys': ('x',)}, None)"}));
}

TEST(Datasets, a_name_is_taken_unless_overridden) {
  Datasets d;
  Effects e;
  for (const char* mark : {"m1", "m2", "m3", "m4"}) d.flushed(key(mark), "a", e);
  d.put({1, "a", true, key("m1")}, {dataset("n", {key("x"), key("y")})}, false, 0, e);
  told(e);
  d.put({2, "a", true, key("m2")}, {dataset("new", {key("z")}), dataset("n", {key("z")})}, false, 0, e);
  EXPECT_EQ(told(e), (Lines{"2: KeyError"}));
  EXPECT_EQ(d.size(), 1u);
  d.put({3, "a", true, key("m3")}, {dataset("n", {key("y"), key("z")})}, true, 0, e);
  EXPECT_EQ(told(e), (Lines{"want published-n y z", "release published-n x", "3: None"}));
  d.remove({4, "a", true, key("m4")}, {key("n"), key("nothing")}, 0, e);
  EXPECT_EQ(told(e), (Lines{"release published-n y z", "forget published-n", "4: None"}));
  EXPECT_EQ(d.size(), 0u);
}

TEST(Datasets, a_client_that_left_does_not_keep_its_calls_waiting) {
  Datasets d;
  Effects e;
  d.put({1, "a", true, key("m1")}, {dataset("n", {})}, false, 0, e);
  d.put({2, "nobody", false, key("m2")}, {dataset("n", {})}, false, 0, e);
  d.flushed(key("m3"), "a", e);
  d.client_left("a", e);
  EXPECT_EQ(told(e), (Lines{"1: TimeoutError"}));
  d.advance(Datasets::kUnknownClientWait_s, e);
  EXPECT_EQ(told(e), (Lines{"2: TimeoutError"}));
  d.put({3, "a", true, key("m3")}, {dataset("n", {})}, false, 0, e);
  d.abandon(3);
  d.flushed(key("m3"), "a", e);
  EXPECT_EQ(told(e), Lines{});
}

TEST(KeyWaits, calls_wait_until_their_task_is_known) {
  KeyWaits waits;
  Effects e;
  std::vector<Key> tasks;
  const auto known = [&](const Key& k) { return std::find(tasks.begin(), tasks.end(), k) != tasks.end(); };
  waits.add(1, key("x"), 0, {});
  waits.add(2, key("y"), 0, 3);
  waits.add(3, key("x"), 0, {});
  waits.abandon(3);
  EXPECT_EQ(waits.next_deadline(), Deadline(KeyWaits::kLookAgain_s));
  EXPECT_TRUE(waits.advance(1, known, e).empty());
  tasks = {key("x")};
  EXPECT_EQ(waits.advance(2, known, e), (std::vector<RequestId>{1}));
  EXPECT_TRUE(waits.advance(3, known, e).empty());
  EXPECT_EQ(told(e), (Lines{"2: TimeoutError"}));
  EXPECT_EQ(waits.next_deadline(), Deadline());
  waits.add(4, key("z"), 10, {});
  waits.advance(10 + KeyWaits::kWait_s, known, e);
  EXPECT_EQ(told(e), (Lines{"4: TimeoutError"}));
}

}  // namespace
}  // namespace dask::scheduler
