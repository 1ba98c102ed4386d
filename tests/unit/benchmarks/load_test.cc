// What the benchmarks' programs say is what the scheduler understands, and the other way round; broken bytes end quietly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "benchmarks/native_batch.h"
#include "benchmarks/native_shapes.h"
#include "benchmarks/stream_scan.h"
#include "core/wire/message.h"
#include "scheduler/graph/native_graph.h"

namespace dask::benchmarks {
namespace {

using ::testing::ElementsAre;

void expect_valid(const NativeShape& shape) {
  auto graph = scheduler::decode_native_graph(shape.graph);
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_EQ(graph->columns.n_tasks, shape.tasks);
  EXPECT_EQ(graph->columns.deps.size(), shape.edges);
  ASSERT_EQ(graph->wanted.size(), 1u);
  EXPECT_TRUE(Key::equal(graph->wanted[0].msgpack(), shape.wanted));
  std::vector<bool> taken(shape.tasks);
  const auto& columns = graph->columns;
  for (std::size_t i = 0; i < shape.tasks; ++i) {
    const auto rank = static_cast<std::size_t>(columns.order[i]);
    ASSERT_LT(rank, shape.tasks);
    EXPECT_FALSE(taken[rank]) << "two tasks have the rank " << rank;
    taken[rank] = true;
    for (std::uint32_t d = columns.dep_begin[i]; d < columns.dep_begin[i + 1]; ++d)
      EXPECT_LT(columns.order[columns.deps[d]], columns.order[i]);
  }
}

TEST(NativeShapes, a_merge_is_a_valid_graph_whose_ranks_follow_its_dependencies) {
  const NativeShape shape = merge_shape(100, 1);
  EXPECT_EQ(shape.tasks, 101u);
  EXPECT_EQ(shape.edges, 100u);
  expect_valid(shape);
}

TEST(NativeShapes, a_tree_is_a_valid_graph_whose_ranks_follow_its_dependencies) {
  for (std::uint32_t leaves : {1, 2, 8, 64}) {
    const NativeShape shape = tree_shape(leaves, 1);
    EXPECT_EQ(shape.tasks, 2 * leaves - 1);
    expect_valid(shape);
  }
}

TEST(NativeBatch, every_task_of_a_batch_is_finished_with_its_handle_and_run_id) {
  auto graph = scheduler::decode_native_graph(tree_shape(2, 1).graph);
  ASSERT_TRUE(graph);
  scheduler::ComputeBatchWriter writer;
  const auto& keys = graph->columns.keys;
  writer.task({5, 1}, 70, keys[0], {}, *graph->rows, 0);
  writer.task({6, 1}, 71, keys[2], {}, *graph->rows, 2);
  writer.dependency(keys[0], 20);
  writer.holder(WorkerId{1}, "tcp://127.0.0.1:1");
  std::vector<std::string> dependencies, results;
  const NativeAnswer answer = finish_batch(
      writer.take(), 100.0, [&](std::string_view key) { dependencies.emplace_back(key); },
      [&](std::string_view key) { results.emplace_back(key); });
  ASSERT_TRUE(answer.valid);
  EXPECT_EQ(answer.tasks, 2u);
  EXPECT_THAT(dependencies, ElementsAre(keys[0].msgpack()));
  EXPECT_THAT(results, ElementsAre(keys[0].msgpack(), keys[2].msgpack()));
  auto finished = scheduler::decode_native_finished(answer.finished);
  ASSERT_TRUE(finished) << finished.error().message;
  ASSERT_EQ(finished->rows.size(), 2u);
  EXPECT_EQ(finished->rows[1].task, (TaskId{6, 1}));
  EXPECT_EQ(finished->rows[1].run_id, 71);
  EXPECT_EQ(finished->rows[1].stop, 100.0);
  EXPECT_FALSE(finish_batch(
                   "no protobuf", 0, [](std::string_view) {}, [](std::string_view) {})
                   .valid);
}

TEST(StreamScan, finds_the_fields_of_every_operation_in_any_order) {
  wire::BatchWriter batch;
  auto& m = batch.begin();
  m.map(4), m.string("run_id"), m.integer(7), m.string("op"), m.string("compute-task"), m.string("who_has"), m.map(1), m.string("x"),
      m.array(0);
  m.string("key"), m.array(2), m.string("y"), m.integer(3);
  auto& n = batch.begin();
  n.map(3), n.string("op"), n.string("free-keys"), n.string("keys"), n.array(2), n.string("a"), n.string("b"), n.string("stimulus_id"),
      n.string("s");
  const wire::Frames frames = batch.take();
  StreamScan scan(frames[0].view());
  StreamOp op;
  ASSERT_TRUE(scan.next(op));
  EXPECT_EQ(op.op, "compute-task");
  EXPECT_EQ(op.run_id, 7);
  EXPECT_EQ(op.key, "\x92\xa1y\x03");
  std::vector<std::string> keys;
  EXPECT_TRUE(for_each_map_key(op.who_has, [&](std::string_view key) { keys.emplace_back(key); }));
  EXPECT_THAT(keys, ElementsAre("\xa1x"));
  ASSERT_TRUE(scan.next(op));
  EXPECT_EQ(op.op, "free-keys");
  EXPECT_EQ(op.stimulus_id, "s");
  EXPECT_EQ(op.key, "");
  keys.clear();
  EXPECT_TRUE(for_each_key(op.keys, [&](std::string_view key) { keys.emplace_back(key); }));
  EXPECT_THAT(keys, ElementsAre("\xa1"
                                "a",
                                "\xa1"
                                "b"));
  EXPECT_FALSE(scan.next(op));
  EXPECT_FALSE(scan.broken());
}

TEST(StreamScan, says_when_bytes_are_no_stream_message) {
  wire::BatchWriter batch;
  auto& m = batch.begin();
  m.map(2), m.string("op"), m.string("compute-task"), m.string("key"), m.string("long enough to be cut");
  const std::string bytes(batch.take()[0].view());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    StreamScan scan(std::string_view(bytes).substr(0, size));
    StreamOp op;
    EXPECT_FALSE(scan.next(op)) << size;
    EXPECT_TRUE(scan.broken()) << size;
  }
  StreamScan bare(
      "\x81\xa2op\xa5"
      "close");
  StreamOp op;
  EXPECT_TRUE(bare.next(op)) << "a bare map is one operation";
  EXPECT_EQ(op.op, "close");
}

}  // namespace
}  // namespace dask::benchmarks
