// Stream batches: hot operations as structs, the rest as values, nonsense named.
#include <gtest/gtest.h>

#include "core/wire/message.h"

namespace dask::wire {
namespace {

using namespace std::string_view_literals;

std::vector<StreamMsg> decode(const Value& batch) {
  auto messages = decode_stream(encode_message(batch));
  EXPECT_TRUE(messages) << messages.error().message;
  return messages ? std::move(*messages) : std::vector<StreamMsg>();
}

template <class T>
T decode_one(const Value& message) {
  auto messages = decode(Value(Value::Array{message}));
  EXPECT_EQ(messages.size(), 1u);
  EXPECT_TRUE(std::holds_alternative<T>(messages.at(0)));
  return std::get<T>(messages.at(0));
}

OpaquePtr serialized(std::string_view payload) {
  auto opaque = std::make_shared<Opaque>();
  opaque->header = Bytes::own(encode_msgpack(Value(Value::Map{{"num-sub-frames", 1}})));
  opaque->frames = {Bytes::copy(payload)};
  return opaque;
}

TEST(Stream, task_finished_is_read_in_stock_order) {
  auto message = decode_one<TaskFinishedMsg>(
      Value::Map{{"key", Value::Array{"x", 0}},
                 {"run_id", 3},
                 {"nbytes", 28.0},
                 {"type", Bytes::literal("pickle")},
                 {"typename", "int"},
                 {"metadata", Value::map()},
                 {"thread", 140'000'000'000'000LL},
                 {"startstops", Value::Array{Value::Map{{"action", "compute"}, {"start", 1.5}, {"stop", 2}, {"source", "tcp://a"}}}},
                 {"op", "task-finished"},
                 {"stimulus_id", "task-finished-1.5"},
                 {"status", "OK"}});
  EXPECT_EQ(message.key.str(), "('x', 0)");
  EXPECT_EQ(message.run_id, 3);
  EXPECT_EQ(message.nbytes, 28);
  EXPECT_EQ(message.type.bytes()->view(), "pickle");
  EXPECT_EQ(message.typename_, "int");
  EXPECT_TRUE(message.metadata.is_nil());
  EXPECT_EQ(message.thread.as_int(), 140'000'000'000'000LL);
  ASSERT_EQ(message.startstops.size(), 1u);
  EXPECT_EQ(message.startstops[0].action, "compute");
  EXPECT_EQ(message.startstops[0].start, 1.5);
  EXPECT_EQ(message.startstops[0].stop, 2);
  EXPECT_EQ(message.stimulus_id, "task-finished-1.5");
}

TEST(Stream, task_erred_keeps_its_exception_closed) {
  auto message = decode_one<TaskErredMsg>(Value::Map{{"op", "task-erred"},
                                                     {"key", "x"},
                                                     {"run_id", 1},
                                                     {"exception", serialized("boom")},
                                                     {"traceback", nullptr},
                                                     {"exception_text", "E()"},
                                                     {"traceback_text", "at"},
                                                     {"thread", nullptr},
                                                     {"startstops", nullptr}});
  EXPECT_EQ(message.exception.opaque()->frames.at(0).view(), "boom");
  EXPECT_TRUE(message.traceback.is_nil());
  EXPECT_EQ(message.exception_text, "E()");
  EXPECT_EQ(message.traceback_text, "at");
}

TEST(Stream, keys_may_be_a_list_or_a_set) {
  for (const Value& keys : {Value(Value::Array{"a", Value::Array{"b", 1}}), Value(Value::Set{{"a", Value::Array{"b", 1}}})}) {
    auto add = decode_one<AddKeysMsg>(Value::Map{{"keys", keys}, {"op", "add-keys"}, {"stimulus_id", "s"}});
    ASSERT_EQ(add.keys.size(), 2u);
    EXPECT_EQ(add.keys[1].str(), "('b', 1)");
    auto release = decode_one<ClientReleasesKeysMsg>(Value::Map{{"op", "client-releases-keys"}, {"keys", keys}, {"client", "Client-1"}});
    EXPECT_EQ(release.keys.size(), 2u);
    EXPECT_EQ(release.client, "Client-1");
  }
}

TEST(Stream, the_small_operations_are_read) {
  EXPECT_EQ(decode_one<ReleaseWorkerDataMsg>(Value::Map{{"key", "x"}, {"op", "release-worker-data"}, {"stimulus_id", "s"}}).stimulus_id,
            "s");
  const Value several(Value::Array{"x", "y"});
  EXPECT_EQ(decode_one<ReleaseWorkerDataMsg>(Value::Map{{"keys", several}, {"op", "release-worker-data"}}).keys.size(), 2u);
  EXPECT_EQ(decode_one<FreeKeysMsg>(Value::Map{{"keys", several}, {"op", "free-keys"}, {"stimulus_id", "s"}}).keys[1].str(), "y");
  EXPECT_EQ(decode_one<RescheduleMsg>(Value::Map{{"key", 1.5}, {"op", "reschedule"}}).key.str(), "1.5");
  EXPECT_EQ(decode_one<LongRunningMsg>(Value::Map{{"key", "x"}, {"run_id", 2}, {"compute_duration", nullptr}, {"op", "long-running"}})
                .compute_duration,
            -1);
  EXPECT_EQ(decode_one<LongRunningMsg>(Value::Map{{"key", "x"}, {"run_id", 2.0}, {"compute_duration", 1}, {"op", "long-running"}})
                .compute_duration,
            1);
}

TEST(Stream, other_operations_and_nonsense_come_as_values) {
  auto messages = decode(Value(Value::Array{Value::Map{{"op", "update-graph"}, {"expr_ser", serialized("g")}}, 7, Value::Map{{"no", "op"}},
                                            Value::Map{{"op", 5}}, Value::Map{{7, "seven"}, {"op", "heartbeat-client"}}}));
  ASSERT_EQ(messages.size(), 5u);
  EXPECT_EQ(std::get<OtherMsg>(messages[0]).op, "update-graph");
  EXPECT_EQ(std::get<OtherMsg>(messages[0]).fields["expr_ser"].opaque()->frames.at(0).view(), "g");
  EXPECT_EQ(std::get<OtherMsg>(messages[1]).fields, Value(7));
  EXPECT_EQ(std::get<OtherMsg>(messages[2]).op, "");
  EXPECT_EQ(std::get<OtherMsg>(messages[3]).op, "");
  EXPECT_EQ(std::get<OtherMsg>(messages[4]).op, "heartbeat-client");
}

TEST(Stream, a_bare_map_is_a_list_of_one) {
  EXPECT_EQ(decode(Value::Map{{"op", "close-stream"}}).size(), 1u);
  EXPECT_EQ(decode(Value::array()).size(), 0u);
}

TEST(Stream, a_hot_operation_with_a_wrong_field_names_it) {
  for (auto [message, words] :
       {std::pair{Value(Value::Map{{"op", "task-finished"}, {"run_id", 1}}), "task-finished has no key"},
        {Value(Value::Map{{"op", "task-finished"}, {"key", Value::map()}, {"run_id", 1}}), "task-finished has no key"},
        {Value(Value::Map{{"op", "task-finished"}, {"key", "x"}}), "no run_id"},
        {Value(Value::Map{{"op", "task-finished"}, {"key", "x"}, {"run_id", "1"}}), "no run_id"},
        {Value(Value::Map{{"op", "task-finished"}, {"key", "x"}, {"run_id", 1}, {"startstops", Value::Array{1}}}), "no startstops"},
        {Value(Value::Map{{"op", "add-keys"}, {"keys", "x"}}), "no keys"},
        {Value(Value::Map{{"op", "add-keys"}, {"keys", Value::map()}}), "no keys"},
        {Value(Value::Map{{"op", "long-running"}, {"key", "x"}, {"run_id", 1}, {"compute_duration", "1"}}), "no compute_duration"}}) {
    auto result = decode_stream(encode_message(message));
    ASSERT_FALSE(result) << message.repr();
    EXPECT_EQ(result.error().code, ErrorCode::kMalformed);
    EXPECT_NE(result.error().message.find(words), std::string::npos) << result.error().message;
  }
}

TEST(Stream, that_is_cut_off_anywhere_is_malformed) {
  std::string bytes =
      encode_msgpack(Value(Value::Array{Value::Map{{"key", "x"},
                                                   {"run_id", 1},
                                                   {"startstops", Value::Array{Value::Map{{"action", "compute"}, {"start", 1.5}}}},
                                                   {"op", "task-finished"}},
                                        Value::Map{{"op", "other"}, {"field", Value::Array{1, 2}}}}));
  ASSERT_TRUE(decode_stream({Bytes::copy(bytes)}));
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(decode_stream({Bytes::copy(bytes.substr(0, size))})) << size;
  EXPECT_FALSE(decode_stream({Bytes::copy(bytes + "\xc0")}));
  EXPECT_FALSE(decode_stream({}));
}

}  // namespace
}  // namespace dask::wire
