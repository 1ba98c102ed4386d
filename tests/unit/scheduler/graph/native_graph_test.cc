// Native graphs and batches: what a client sends becomes the machine's columns, and everything that is wrong is named.
#include "scheduler/graph/native_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/msgpack.h"
#include "proto/dask_native.pb.h"

namespace dask::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace v1 = dask_native::v1;

void add(v1::BytesColumn& column, std::string_view bytes) {
  if (column.offsets().empty()) column.add_offsets(0);
  column.mutable_data()->append(bytes);
  column.add_offsets(static_cast<std::uint32_t>(column.data().size()));
}

void add_task(v1::NativeGraph& graph, std::string_view name, std::uint32_t function, std::string_view args,
              std::initializer_list<std::uint32_t> dependencies) {
  add(*graph.mutable_keys(), Key::from_string(name).msgpack());
  graph.set_n_tasks(graph.n_tasks() + 1);
  graph.add_function(function);
  add(*graph.mutable_args(), args);
  if (graph.dependency_offsets().empty()) graph.add_dependency_offsets(0);
  for (std::uint32_t d : dependencies) graph.add_dependencies(d);
  graph.add_dependency_offsets(static_cast<std::uint32_t>(graph.dependencies_size()));
}

// x, y -> z, and z also needs the key "outside".
v1::NativeGraph diamond() {
  v1::NativeGraph graph;
  graph.add_functions("inc");
  graph.add_functions("add");
  add_task(graph, "x", 0, "1", {});
  add_task(graph, "y", 0, "", {});
  add_task(graph, "z", 1, "two", {0, 1, 3});
  add(*graph.mutable_keys(), Key::from_string("outside").msgpack());
  graph.add_wanted(2);
  return graph;
}

Result<NativeGraph> decode(const v1::NativeGraph& graph) { return decode_native_graph(graph.SerializeAsString()); }

std::string refusal(const v1::NativeGraph& graph) {
  auto decoded = decode(graph);
  return decoded ? "accepted" : decoded.error().message;
}

TEST(NativeGraph, becomes_the_machines_columns) {
  auto graph = decode(diamond());
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_EQ(graph->columns.n_tasks, 3u);
  ASSERT_EQ(graph->columns.keys.size(), 4u);
  EXPECT_EQ(graph->columns.keys[3], Key::from_string("outside"));
  EXPECT_THAT(graph->columns.dep_begin, ElementsAre(0, 0, 0, 3));
  EXPECT_THAT(graph->columns.deps, ElementsAre(0, 1, 3));
  EXPECT_THAT(graph->wanted, ElementsAre(Key::from_string("z")));
  EXPECT_EQ(graph->rows->size(), 3u);
  EXPECT_EQ(graph->rows->function(2), "add");
  EXPECT_EQ(graph->rows->args(0), "1");
  EXPECT_EQ(graph->rows->args(1), "");
  EXPECT_EQ(graph->rows->args(2), "two");
  EXPECT_TRUE(graph->columns.annotation.empty());
}

TEST(NativeGraph, is_ordered_when_the_client_gives_no_order) {
  auto graph = decode(diamond());
  ASSERT_TRUE(graph);
  ASSERT_EQ(graph->columns.order.size(), 3u);
  EXPECT_EQ(graph->columns.order[2], 2);
  v1::NativeGraph given = diamond();
  for (std::uint32_t rank : {7, 5, 9}) given.add_order(rank);
  graph = decode(given);
  ASSERT_TRUE(graph);
  EXPECT_THAT(graph->columns.order, ElementsAre(7, 5, 9));
}

TEST(NativeGraph, may_be_empty) {
  auto graph = decode_native_graph("");
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_EQ(graph->columns.n_tasks, 0u);
  EXPECT_THAT(graph->columns.dep_begin, ElementsAre(0));
}

TEST(NativeGraph, gives_its_own_priority_and_retries_to_tasks_without_annotations) {
  v1::NativeGraph from = diamond();
  from.set_user_priority(3);
  from.set_retries(2);
  v1::Annotations& row = *from.add_annotations();
  row.add_workers("alice");
  (*row.mutable_resources())["GPU"] = 1;
  for (int i : {-1, 0, -1}) from.add_annotation(i);
  auto graph = decode(from);
  ASSERT_TRUE(graph) << graph.error().message;
  EXPECT_THAT(graph->columns.annotation, ElementsAre(1, 0, 1));
  const Annotations& own = *graph->columns.annotations[0];
  EXPECT_THAT(own.workers, ElementsAre("alice"));
  EXPECT_THAT(own.resources, ElementsAre(std::pair<std::string, double>("GPU", 1)));
  EXPECT_EQ(own.retries, 0);
  EXPECT_EQ(own.wire["resources"]["GPU"].as_double(), 1);
  EXPECT_EQ(graph->columns.annotations[1]->user_priority, 3);
  EXPECT_EQ(graph->columns.annotations[1]->retries, 2);
}

TEST(NativeGraph, names_the_column_that_is_wrong) {
  auto graph = diamond();
  graph.set_dependencies(1, 4);
  EXPECT_THAT(refusal(graph), HasSubstr("dependencies[1] is 4, but must be below 4"));
  graph = diamond();
  graph.set_dependencies(1, 0);
  EXPECT_THAT(refusal(graph), HasSubstr("names its dependency 0 twice"));
  graph = diamond();
  graph.set_dependency_offsets(1, 2);
  EXPECT_THAT(refusal(graph), HasSubstr("dependency_offsets falls from 2 to 0"));
  graph = diamond();
  graph.set_dependency_offsets(3, 2);
  EXPECT_THAT(refusal(graph), HasSubstr("dependency_offsets must lead from 0 to 3"));
  graph = diamond();
  graph.mutable_dependency_offsets()->RemoveLast();
  EXPECT_THAT(refusal(graph), HasSubstr("dependency_offsets has 3 elements where 4 are needed"));
  graph = diamond();
  graph.set_function(0, 2);
  EXPECT_THAT(refusal(graph), HasSubstr("function[0] is 2"));
  graph = diamond();
  graph.add_function(0);
  EXPECT_THAT(refusal(graph), HasSubstr("column function has 4 elements"));
  graph = diamond();
  graph.set_functions(0, "");
  EXPECT_THAT(refusal(graph), HasSubstr("a function has no name"));
  graph = diamond();
  graph.mutable_args()->set_offsets(1, 100);
  EXPECT_THAT(refusal(graph), HasSubstr("args.offsets falls from 100"));
  graph = diamond();
  graph.mutable_args()->mutable_data()->append("x");
  EXPECT_THAT(refusal(graph), HasSubstr("args.offsets must lead from 0 to 5"));
  graph = diamond();
  graph.set_n_tasks(5);
  EXPECT_THAT(refusal(graph), HasSubstr("5 tasks, but only 4 keys"));
  graph = diamond();
  graph.set_n_tasks(UINT32_MAX);
  EXPECT_THAT(refusal(graph), HasSubstr("tasks, but only 4 keys"));
  graph = diamond();
  graph.set_wanted(0, 4);
  EXPECT_THAT(refusal(graph), HasSubstr("wanted[0] is 4"));
  graph = diamond();
  graph.add_order(1);
  EXPECT_THAT(refusal(graph), HasSubstr("column order has 1 elements where 3"));
  graph = diamond();
  for (int i : {0, -1, -1}) graph.add_annotation(i);
  EXPECT_THAT(refusal(graph), HasSubstr("annotation has the row 0, but there are 0 annotations"));
  graph = diamond();
  graph.set_user_priority(std::nan(""));
  EXPECT_THAT(refusal(graph), HasSubstr("user_priority"));
  graph = diamond();
  (*graph.add_annotations()->mutable_resources())["GPU"] = -1;
  EXPECT_THAT(refusal(graph), HasSubstr("GPU"));
}

TEST(NativeGraph, refuses_keys_that_are_none) {
  auto graph = diamond();
  std::string map;
  msgpack::append_map(map, 0);
  add(*graph.mutable_keys(), map);
  EXPECT_THAT(refusal(graph), HasSubstr("key 4: "));
  graph = diamond();
  add(*graph.mutable_keys(), "");
  EXPECT_THAT(refusal(graph), HasSubstr("key 4: "));
}

TEST(NativeGraph, refuses_a_cycle_in_dasks_words) {
  auto graph = diamond();
  graph.set_dependency_offsets(1, 1);
  graph.set_dependency_offsets(2, 1);
  graph.set_dependencies(0, 2);  // x needs z, z needs y and outside
  graph.set_dependencies(1, 0);
  EXPECT_THAT(refusal(graph), HasSubstr("Cycle detected between the following keys:"));
  graph = diamond();
  graph.set_dependencies(0, 2);
  EXPECT_THAT(refusal(graph), HasSubstr("Cycle detected")) << "a task that needs itself";
}

TEST(NativeGraph, refuses_every_cut_of_its_bytes_or_reads_a_valid_graph) {
  const std::string bytes = diamond().SerializeAsString();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    auto graph = decode_native_graph(std::string_view(bytes).substr(0, size));
    if (graph) {
      EXPECT_EQ(graph->columns.dep_begin.size(), graph->columns.n_tasks + 1);
    }
  }
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    std::string changed = bytes;
    for (int flip : {1, 0x80, 0xff}) {
      changed[at] = static_cast<char>(bytes[at] ^ flip);
      auto graph = decode_native_graph(changed);
      if (graph) {
        EXPECT_EQ(graph->rows->size(), graph->columns.n_tasks);
      }
    }
  }
}

TEST(ComputeBatch, holds_tasks_dependencies_and_holders_in_columns) {
  auto graph = decode(diamond());
  ASSERT_TRUE(graph);
  ComputeBatchWriter writer;
  EXPECT_TRUE(writer.empty());
  const auto& keys = graph->columns.keys;
  writer.task({7, 2}, 11, keys[0], {0, 1, 5}, *graph->rows, 0);
  writer.task({8, 0}, 12, keys[2], {-1, 1, 6}, *graph->rows, 2);
  writer.dependency(keys[0], 20);
  writer.holder(WorkerId{4}, "tcp://a:1");
  writer.holder(WorkerId{9}, "tcp://b:2");
  writer.dependency(keys[1], 30);
  writer.holder(WorkerId{4}, "tcp://a:1");
  EXPECT_EQ(writer.count(), 2u);
  v1::ComputeBatch batch;
  ASSERT_TRUE(batch.ParseFromString(writer.take()));
  EXPECT_TRUE(writer.empty());
  EXPECT_THAT(batch.tasks(), ElementsAre(7 | 2ULL << 32, 8));
  EXPECT_THAT(batch.run_ids(), ElementsAre(11, 12));
  EXPECT_THAT(batch.functions(), ElementsAre("inc", "add"));
  EXPECT_THAT(batch.function(), ElementsAre(0, 1));
  EXPECT_EQ(batch.args().data(), "1two");
  EXPECT_THAT(batch.args().offsets(), ElementsAre(0, 1, 4));
  EXPECT_THAT(batch.priority(), ElementsAre(0, 1, 5, -1, 1, 6));
  EXPECT_THAT(batch.dependency_offsets(), ElementsAre(0, 0, 2));
  EXPECT_THAT(batch.dep_nbytes(), ElementsAre(20, 30));
  EXPECT_THAT(batch.dep_holder_offsets(), ElementsAre(0, 2, 3));
  EXPECT_THAT(batch.dep_holders(), ElementsAre(0, 1, 0));
  EXPECT_THAT(batch.addresses(), ElementsAre("tcp://a:1", "tcp://b:2"));

  writer.task({9, 0}, 13, keys[1], {}, *graph->rows, 1);
  ASSERT_TRUE(batch.ParseFromString(writer.take()));
  EXPECT_THAT(batch.functions(), ElementsAre("inc")) << "nothing of the last batch is left";
  EXPECT_EQ(batch.addresses_size(), 0);
}

TEST(FinishedBatch, becomes_rows) {
  v1::FinishedBatch from;
  from.add_tasks(7 | 2ULL << 32);
  from.add_run_ids(11);
  from.add_nbytes(20);
  from.add_start(1.5);
  from.add_stop(2);
  auto finished = decode_native_finished(from.SerializeAsString());
  ASSERT_TRUE(finished) << finished.error().message;
  ASSERT_EQ(finished->rows.size(), 1u);
  EXPECT_EQ(finished->rows[0].task, (TaskId{7, 2}));
  EXPECT_EQ(finished->rows[0].run_id, 11);
  EXPECT_EQ(finished->rows[0].nbytes, 20);
  EXPECT_EQ(finished->rows[0].stop, 2);
  EXPECT_EQ(finished->rows[0].type, UINT32_MAX);

  from.add_type(0);
  EXPECT_FALSE(decode_native_finished(from.SerializeAsString())) << "a type that is not named";
  from.add_types("int");
  EXPECT_TRUE(decode_native_finished(from.SerializeAsString()));
  from.set_nbytes(0, -1);
  EXPECT_FALSE(decode_native_finished(from.SerializeAsString()));
  from.set_nbytes(0, 1);
  from.set_stop(0, std::nan(""));
  EXPECT_FALSE(decode_native_finished(from.SerializeAsString()));
  from.set_stop(0, 1);
  from.add_run_ids(1);
  EXPECT_FALSE(decode_native_finished(from.SerializeAsString()));
  EXPECT_FALSE(decode_native_finished("no protobuf"));
}

TEST(ErredBatch, becomes_rows_with_shared_texts) {
  v1::ErredBatch from;
  for (std::uint64_t task : {1, 2}) {
    from.add_tasks(task);
    from.add_run_ids(5);
    from.add_start(0);
    from.add_stop(1);
    from.add_error(0);
  }
  EXPECT_FALSE(decode_native_erred(from.SerializeAsString())) << "an error that is not there";
  from.add_errors()->set_message("division by zero");
  auto erred = decode_native_erred(from.SerializeAsString());
  ASSERT_TRUE(erred) << erred.error().message;
  EXPECT_EQ(erred->rows.size(), 2u);
  EXPECT_EQ(erred->errors[erred->rows[1].error].message, "division by zero");
}

}  // namespace
}  // namespace dask::scheduler
