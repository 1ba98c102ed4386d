// What the scheduler writes the worker reads, and the other way round; what is broken is refused with the column's name.
#include "worker/native/native_stream.h"

#include <gtest/gtest.h>

#include "core/native/inline_value.h"
#include "proto/dask_native.pb.h"
#include "scheduler/graph/native_graph.h"

namespace dask::worker {
namespace {

std::string batch_of_two() {
  const scheduler::NativeRows rows(scheduler::NativeRows::Columns{{"inc", "add"}, {0, 1}, "abc", {0, 1, 3}});
  scheduler::ComputeBatchWriter writer;
  writer.task({7, 3}, 11, Key::from_string("x"), {0, 1, 5}, rows, 0);
  writer.task({8, 0}, 12, Key::from_string("y"), {-2, 1, 6}, rows, 1);
  writer.dependency(Key::from_string("x"), 100);
  writer.holder({1}, "tcp://10.0.0.1:1");
  writer.holder({2}, "tcp://10.0.0.2:1");
  writer.dependency(Key::from_string("z"), -1);
  return writer.take();
}

TEST(NativeStream, ReadsWhatTheSchedulerWrites) {
  auto tasks = decode_compute_batch(batch_of_two());
  ASSERT_TRUE(tasks) << tasks.error().message;
  ASSERT_EQ(tasks->tasks.size(), 2u);
  const ComputeTask& x = tasks->tasks[0];
  EXPECT_EQ(x.key.str(), "x");
  EXPECT_EQ(x.run_id, 11);
  EXPECT_TRUE(x.dependencies.empty());
  const auto& spec = std::get<NativeRunSpec>(x.run_spec);
  EXPECT_EQ(spec.function, "inc");
  EXPECT_EQ(spec.args.view(), "a");
  EXPECT_EQ(spec.handle, (std::uint64_t{3} << 32 | 7));
  const ComputeTask& y = tasks->tasks[1];
  EXPECT_EQ(y.priority, (Priority{-2, 1, 6}));
  EXPECT_EQ(std::get<NativeRunSpec>(y.run_spec).args.view(), "bc");
  ASSERT_EQ(y.dependencies.size(), 2u);
  EXPECT_EQ(y.dependencies[0].key.str(), "x");
  EXPECT_EQ(y.dependencies[0].nbytes, 100);
  EXPECT_EQ(y.dependencies[0].who_has, (std::vector<std::string>{"tcp://10.0.0.1:1", "tcp://10.0.0.2:1"}));
  EXPECT_TRUE(y.dependencies[1].who_has.empty());
}

TEST(NativeStream, AnswersAreReadByTheScheduler) {
  NativeAnswers answers;
  EXPECT_TRUE(answers.empty());
  for (std::uint64_t i = 0; i < 3; ++i)
    answers.finished({i, Key::from_string("x"), static_cast<std::int64_t>(i), 8, 1.5, 2.5, i == 2 ? "double" : "int"});
  auto failure = std::make_shared<Failure>();
  failure->exception_text = "std::runtime_error: boom \xff";
  for (std::uint64_t i = 5; i < 7; ++i) answers.erred({i, Key::from_string("y"), 1, 0, 0, failure});
  wire::BatchWriter stream;
  answers.write(stream);
  EXPECT_TRUE(answers.empty());
  auto messages = wire::decode_message(stream.take());
  ASSERT_TRUE(messages);
  ASSERT_EQ(messages->size(), 2u);
  const Value& first = (*messages->array_if())[0];
  EXPECT_EQ(first["op"].as_string(), "tasks-finished-native");
  auto finished = scheduler::decode_native_finished(first["batch"].bytes()->view());
  ASSERT_TRUE(finished) << finished.error().message;
  ASSERT_EQ(finished->rows.size(), 3u);
  EXPECT_EQ(finished->types, (std::vector<std::string>{"int", "double"}));
  EXPECT_EQ(finished->rows[2].type, 1u);
  EXPECT_EQ(finished->rows[1].nbytes, 8);
  const Value& second = (*messages->array_if())[1];
  auto erred = scheduler::decode_native_erred(second["batch"].bytes()->view());
  ASSERT_TRUE(erred) << erred.error().message;
  ASSERT_EQ(erred->rows.size(), 2u);
  ASSERT_EQ(erred->errors.size(), 1u) << "one failure of both";
  EXPECT_EQ(erred->errors[0].message.substr(0, 24), "std::runtime_error: boom");
}

TEST(NativeStream, SmallResultsTravelOnlyWhereTheyAreWanted) {
  scheduler::NativeRows::Columns columns{{"inc"}, {0, 0, 0}, "", {0, 0, 0, 0}};
  columns.inline_bytes_max = 100;
  const scheduler::NativeRows rows(std::move(columns));
  scheduler::ComputeBatchWriter writer;
  for (std::uint32_t i = 0; i < 3; ++i) writer.task({i, 0}, 1, Key::from_string("x" + std::to_string(i)), {0, 1, 5}, rows, i, i == 1);
  auto tasks = decode_compute_batch(writer.take());
  ASSERT_TRUE(tasks) << tasks.error().message;
  NativeAnswers answers;
  for (const ComputeTask& task : tasks->tasks) {
    const auto& spec = std::get<NativeRunSpec>(task.run_spec);
    EXPECT_EQ(spec.inline_bytes_max, task.key.str() == "x1" ? 100u : 0u);
    answers.finished({spec.handle, task.key, 1, 8, 1, 2, "int"},
                     native::to_inline(native::NativeValue::of(static_cast<int>(spec.handle)), spec.inline_bytes_max));
  }
  wire::BatchWriter stream;
  answers.write(stream);
  auto messages = wire::decode_message(stream.take());
  ASSERT_TRUE(messages);
  auto finished = scheduler::decode_native_finished((*messages->array_if())[0]["batch"].bytes()->view());
  ASSERT_TRUE(finished) << finished.error().message;
  EXPECT_TRUE(finished->rows[0].value.empty());
  EXPECT_TRUE(finished->rows[2].value.empty());
  const auto value = native::from_inline(finished->rows[1].value);
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(*value->get_if<int>(), 1);

  dask_native::v1::FinishedBatch broken;
  ASSERT_TRUE(broken.ParseFromString(std::string((*messages->array_if())[0]["batch"].bytes()->view())));
  broken.set_valued(0, 3);
  EXPECT_FALSE(scheduler::decode_native_finished(broken.SerializeAsString())) << "there is no such row";
  broken.set_valued(0, 1);
  broken.mutable_values()->clear_offsets();
  EXPECT_FALSE(scheduler::decode_native_finished(broken.SerializeAsString()));
}

TEST(NativeStream, BrokenColumnsAreRefused) {
  using Batch = dask_native::v1::ComputeBatch;
  const auto refused = [](auto spoil, const char* column) {
    Batch batch;
    ASSERT_TRUE(batch.ParseFromString(batch_of_two()));
    spoil(batch);
    auto tasks = decode_compute_batch(batch.SerializeAsString());
    ASSERT_FALSE(tasks) << column;
    EXPECT_NE(tasks.error().message.find(column), std::string::npos) << tasks.error().message;
  };
  refused([](Batch& b) { b.add_run_ids(1); }, "run_ids");
  refused([](Batch& b) { b.add_inline_bytes_max(1); }, "inline_bytes_max");
  refused([](Batch& b) { b.set_function(0, 9); }, "function");
  refused([](Batch& b) { b.add_priority(1); }, "priority");
  refused([](Batch& b) { b.set_priority(0, std::numeric_limits<double>::infinity()); }, "priority");
  refused([](Batch& b) { b.mutable_keys()->mutable_data()->assign("\xc1\xc1\xc1\xc1"); }, "key");
  refused([](Batch& b) { b.mutable_args()->set_offsets(1, 99); }, "args.offsets");
  refused([](Batch& b) { b.set_dependency_offsets(1, 5); }, "dependency_offsets");
  refused([](Batch& b) { b.mutable_dep_keys()->clear_offsets(); }, "dep_keys.offsets");
  refused([](Batch& b) { b.set_dep_holders(0, 2); }, "dep_holders");
  refused([](Batch& b) { b.set_dep_holder_offsets(2, 0); }, "dep_holder_offsets");
  EXPECT_FALSE(decode_compute_batch("no protobuf"));
  EXPECT_TRUE(decode_compute_batch("")) << "an empty batch has no tasks";
}

}  // namespace
}  // namespace dask::worker
