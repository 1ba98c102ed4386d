// Snapshots for the live page: a viewer is sent what is new to it, and no more than the limits.
#include "scheduler/server/status_snapshot.h"

#include "core/base/json.h"
#include "server_fixture.h"

namespace dask::scheduler::test {
namespace {

class StatusSnapshot : public ServerFixture {
 protected:
  Value snapshot() {
    auto value = parse_json(status_json(*server, cursor));
    EXPECT_TRUE(value.has_value()) << value.error().message;
    return value ? *value : Value();
  }
  void record(int number, double start, double stop) {
    const Key key = Key::from_string("task-" + std::to_string(number));
    server->task_stream().add({std::string(key.msgpack()),
                               "task",
                               "tcp://127.0.0.1:1",
                               Value(7),
                               10,
                               {{"transfer", start - 0.1, start}, {"compute", start, stop}},
                               number % 2 == 1});
  }
  StatusCursor cursor;
};

TEST_F(StatusSnapshot, sends_a_workers_row_again_only_when_it_has_changed) {
  start();
  const WorkerId worker = add_worker("tcp://127.0.0.1:1", "a");
  add_worker("tcp://127.0.0.1:2", "b");
  EXPECT_EQ(snapshot()["workers"].size(), 2u);
  EXPECT_EQ(snapshot()["workers"].size(), 0u);
  server->apply(WorkerHeartbeat{worker, Value(Value::Map{{"cpu", 50.0}}), 0, {}}, "test");
  const Value changed = snapshot();
  ASSERT_EQ(changed["workers"].size(), 1u);
  EXPECT_EQ((*(*changed["workers"].array_if())[0].array_if())[1].as_string(), "tcp://127.0.0.1:1");
}

TEST_F(StatusSnapshot, names_workers_that_have_gone_once) {
  start();
  const WorkerId worker = add_worker("tcp://127.0.0.1:1", "a");
  snapshot();
  server->apply(WorkerLeft{worker, true}, "test");
  EXPECT_EQ(snapshot()["workers_gone"].size(), 1u);
  EXPECT_EQ(snapshot()["workers_gone"].size(), 0u);
}

TEST_F(StatusSnapshot, begins_the_task_stream_with_the_last_minute_and_goes_on_with_what_is_new) {
  start();
  record(0, 900, 901);  // more than a minute ago
  record(1, 998, 999);
  const Value first = snapshot();
  EXPECT_TRUE(first["stream"]["restart"].as_bool());
  EXPECT_EQ(first["stream"]["keys"].size(), 1u);
  EXPECT_EQ(first["stream"]["row"].size(), 2u);  // its transfer and its compute
  EXPECT_EQ((*first["stream"]["start"].array_if())[1].as_double(), -2000);
  EXPECT_EQ((*first["stream"]["duration"].array_if())[1].as_double(), 1000);
  EXPECT_EQ((*first["stream"]["erred"].array_if())[1].as_int(), 1);
  record(2, 999, 999.5);
  const Value second = snapshot();
  EXPECT_FALSE(second["stream"]["restart"].as_bool());
  ASSERT_EQ(second["stream"]["keys"].size(), 1u);
  EXPECT_EQ((*second["stream"]["keys"].array_if())[0].as_string(), "task-2");
  EXPECT_EQ(snapshot()["stream"]["keys"].size(), 0u);
}

TEST_F(StatusSnapshot, leaves_out_the_shortest_records_beyond_its_limit) {
  start();
  snapshot();
  const int extra = 100;
  for (int i = 0; i < static_cast<int>(kStreamRecordsMax) + extra; ++i) record(i, 990, i == 7 ? 995 : 990.001);
  const Value all = snapshot();
  EXPECT_EQ(all["stream"]["left_out"].as_int(), extra);
  ASSERT_EQ(all["stream"]["keys"].size(), kStreamRecordsMax);
  bool longest_is_there = false;
  for (const Value& key : *all["stream"]["keys"].array_if()) longest_is_there |= key.as_string() == "task-7";
  EXPECT_TRUE(longest_is_there);
}

TEST_F(StatusSnapshot, counts_tasks_of_a_prefix_by_state) {
  start();
  const WorkerId worker = add_worker("tcp://127.0.0.1:1", "a");
  add_data(Key::from_string("load-0123456789abcdef0123456789abcdef"), worker, 100);
  const Value all = snapshot();
  EXPECT_EQ(all["tasks"]["memory"].as_int(), 1);
  EXPECT_EQ(all["totals"]["nbytes"].as_int(), 100);
  ASSERT_EQ(all["prefixes"].size(), 1u);
  const Value::Array& row = *(*all["prefixes"].array_if())[0].array_if();
  EXPECT_EQ(row[0].as_string(), "load");
  EXPECT_EQ(row[6].as_int(), 1);    // in memory
  EXPECT_EQ(row[8].as_int(), 100);  // bytes
}

TEST_F(StatusSnapshot, a_viewer_is_answered_once_per_question_and_not_faster_than_the_interval) {
  start();
  auto socket = std::make_shared<TestSocket>();
  http.websockets.at("/ws/status")(socket);
  EXPECT_EQ(socket->sent.size(), 1u);  // at once
  socket->say("next");
  socket->say("next");
  EXPECT_EQ(socket->sent.size(), 1u);  // too early: a timer will answer
  clock.now += 1;
  auto other = std::make_shared<TestSocket>();
  http.websockets.at("/ws/status")(other);
  clock.now += 1;
  other->say("next");
  EXPECT_EQ(other->sent.size(), 2u);
  other->leave();
  EXPECT_EQ(other.use_count(), 2);  // ours, and the turn of the loop that lets go of it
}

}  // namespace
}  // namespace dask::scheduler::test
