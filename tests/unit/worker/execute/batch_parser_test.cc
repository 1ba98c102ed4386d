// Bytes from the executor that do not follow the protocol are an error: user code shares its process and may write anywhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "worker/execute/executor_message.h"

namespace dask::worker {
namespace {

using testing::HasSubstr;

Bytes batch(const Value::Array& messages, const std::vector<std::string>& blobs = {}) {
  Value lengths = Value::array();
  for (const std::string& blob : blobs) lengths.push_back(Value(blob.size()));
  std::string head = wire::encode_msgpack(Value(Value::Array{lengths, Value(messages)}));
  auto size = static_cast<std::uint32_t>(head.size());
  std::string out(4, '\0');
  std::memcpy(out.data(), &size, 4);
  out += head;
  for (const std::string& blob : blobs) out += blob;
  return Bytes::own(std::move(out));
}

Value array(Value::Array items) { return Value(std::move(items)); }

const Value kTimes = array({});

TEST(BatchParser, reads_a_finished_task) {
  auto said = parse_batch(batch({array({"finished", 3, 28, Value(Bytes::literal("pickle")), "int", 1.5, 2.5, 99,
                                        array({array({"deserialize", 1.0, 1.25})}), array({array({"thread-cpu", "seconds", 0.5})})})}));
  ASSERT_TRUE(said) << said.error().message;
  ASSERT_EQ(said->size(), 1u);
  auto& finished = std::get<said::Executed>(said->front());
  EXPECT_EQ(finished.token, 3u);
  EXPECT_EQ(finished.executed.outcome, PythonExecuted::Outcome::kSuccess);
  EXPECT_EQ(finished.executed.nbytes, 28);
  EXPECT_EQ(finished.executed.type.view(), "pickle");
  EXPECT_EQ(finished.executed.typename_, "int");
  EXPECT_EQ(finished.executed.start, 1.5);
  EXPECT_EQ(finished.executed.stop, 2.5);
  EXPECT_EQ(finished.executed.thread, 99);
  ASSERT_EQ(finished.executed.startstops.size(), 1u);
  EXPECT_EQ(finished.executed.startstops[0].action, "deserialize");
  ASSERT_EQ(finished.executed.metrics.size(), 1u);
  EXPECT_EQ(finished.executed.metrics[0].label, Value("thread-cpu"));
}

TEST(BatchParser, gives_each_message_its_blobs_in_order) {
  auto item = [](const char* key, int blobs) { return array({key, Value(Bytes::literal("header")), blobs, Value()}); };
  auto said =
      parse_batch(batch({array({"serialised", 1, array({item("x", 2), item("y", 0)})}), array({"serialised", 2, array({item("z", 1)})})},
                        {"one", "two", "three"}));
  ASSERT_TRUE(said) << said.error().message;
  auto& first = std::get<said::Serialised>((*said)[0]);
  auto& second = std::get<said::Serialised>((*said)[1]);
  ASSERT_EQ(first.items.size(), 2u);
  ASSERT_EQ(first.items[0].data->frames.size(), 2u);
  EXPECT_EQ(first.items[0].data->frames[1].view(), "two");
  EXPECT_TRUE(first.items[1].data->frames.empty());
  EXPECT_EQ(second.items[0].data->frames[0].view(), "three");
  EXPECT_EQ(second.items[0].key, Key::from_string("z"));
}

TEST(BatchParser, refuses_what_does_not_fit) {
  auto error = [](const Bytes& bytes) {
    auto said = parse_batch(bytes);
    return said ? std::string("nothing") : said.error().message;
  };
  EXPECT_THAT(error(Bytes()), HasSubstr("no head"));
  EXPECT_THAT(error(Bytes::literal("hello, this is a print() to the wrong descriptor")), HasSubstr("longer than itself"));
  EXPECT_THAT(error(batch({array({"sing"})})), HasSubstr("unknown operation 'sing'"));
  EXPECT_THAT(error(batch({array({"finished", 3})})), HasSubstr("too few arguments"));
  EXPECT_THAT(error(batch({array({"cannot-start", "x", "y"})})), HasSubstr("too many arguments"));
  EXPECT_THAT(error(batch({array({"finished", "three", 28, Value(Bytes()), "int", 1, 2, 99, kTimes, kTimes})})), HasSubstr("no number"));
  EXPECT_THAT(error(batch({array({"reply", 1, 2})}, {"one"})), HasSubstr("blobs that are not there"));
  EXPECT_THAT(error(batch({array({"reply", 1, 1})}, {"\xc1"})), HasSubstr("cannot be read"));
  EXPECT_THAT(error(batch({array({"close", "x", true})}, {"one"})), HasSubstr("no message names"));
  EXPECT_THAT(error(batch({array({"serialised", 1, array({array({Value::map(), Value(Bytes()), 0, Value()})})})})), HasSubstr("no key"));
  EXPECT_THAT(error(batch({Value("finished")})), HasSubstr("unknown operation"));
}

TEST(BatchParser, every_cut_of_a_message_is_an_error) {
  Bytes whole = batch({array({"close", "because", true}), array({"reply", 1, 1})}, {wire::encode_msgpack(Value("x"))});
  ASSERT_TRUE(parse_batch(whole));
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(parse_batch(whole.slice(0, size))) << size;
}

TEST(RequestBatch, puts_long_sub_headers_beside_the_head) {
  auto node = std::make_shared<Opaque>();
  node->header = Bytes::own(std::string(kHeaderInHeadBytesMax + 1, 'h'));
  node->frames = {Bytes::literal("frame")};
  RequestBatch requests;
  requests.put(std::nullopt, {{Key::from_string("x"), node}});
  EXPECT_FALSE(requests.empty());
  std::vector<Bytes> parts = requests.take();
  EXPECT_TRUE(requests.empty());
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[1], node->header);
  EXPECT_EQ(parts[2].view(), "frame");
  auto head = wire::decode_msgpack(parts[0].slice(4, parts[0].size() - 4));
  ASSERT_TRUE(head);
  EXPECT_EQ(
      head->repr(),
      Value(Value::Array{array({node->header.size(), 5}), array({array({"put", Value(), array({array({"x", Value(), 2})})})})}).repr());
}

// A batch of one blob, which is lent.
Bytes lending_batch(Value message, Value::Array place) {
  std::string head = wire::encode_msgpack(Value(Value::Array{array({array(std::move(place))}), array({std::move(message)})}));
  auto size = static_cast<std::uint32_t>(head.size());
  std::string out(4, '\0');
  std::memcpy(out.data(), &size, 4);
  return Bytes::own(out + head);
}

class LentBlobs : public testing::Test {
 protected:
  LentBlobs() : lending([this](std::uint64_t lease) { given_back.push_back(lease); }) {
    const Value probe = lending.probe();
    lending.agree(true, static_cast<int>(probe["pid"].as_int()), *probe["pid"].as_uint64(), *probe["address"].as_uint64());
  }
  std::vector<std::uint64_t> given_back;
  Lending lending;
  const std::string text = "somewhere else";
  const Value::Array place{7, reinterpret_cast<std::uint64_t>(text.data()), text.size()};
  const Value serialised = array({"serialised", 1, array({array({"x", Value(Bytes::literal("header")), 1, Value()})})});
};

TEST_F(LentBlobs, stay_where_they_are_until_they_are_read_and_go_back_after_their_last_use) {
  auto said = parse_batch(lending_batch(serialised, place), &lending);
  ASSERT_TRUE(said) << said.error().message;
  Bytes frame = std::get<said::Serialised>(said->front()).items.at(0).data->frames.at(0);
  said->clear();
  ASSERT_TRUE(frame.source());
  EXPECT_EQ(frame.size(), text.size());
  std::string read(4, '\0');
  EXPECT_TRUE(frame.source()->read(10, read.data(), 4));
  EXPECT_EQ(read, "else");
  EXPECT_TRUE(given_back.empty());
  frame = Bytes();
  EXPECT_THAT(given_back, testing::ElementsAre(7u));
}

TEST_F(LentBlobs, are_gone_and_not_given_back_when_the_executor_has_ended) {
  auto said = parse_batch(lending_batch(serialised, place), &lending);
  lending.executor_ended();
  char byte;
  EXPECT_FALSE(std::get<said::Serialised>(said->front()).items.at(0).data->frames.at(0).source()->read(0, &byte, 1));
  said->clear();
  EXPECT_TRUE(given_back.empty());
}

TEST_F(LentBlobs, without_a_place_or_an_agreement_or_where_bytes_belong_are_malformed) {
  EXPECT_FALSE(parse_batch(lending_batch(serialised, {7, 1}), &lending));
  EXPECT_FALSE(parse_batch(lending_batch(serialised, {7, 4096, 0}), &lending));
  EXPECT_FALSE(parse_batch(lending_batch(serialised, {"a", "b", "c"}), &lending));
  EXPECT_FALSE(parse_batch(lending_batch(serialised, place), nullptr));
  auto reply = parse_batch(lending_batch(array({"reply", 1, 1}), place), &lending);
  ASSERT_FALSE(reply);
  EXPECT_THAT(reply.error().message, HasSubstr("lends what it has to send"));
  Lending other([](std::uint64_t) {});
  EXPECT_FALSE(parse_batch(lending_batch(serialised, place), &other));
}

}  // namespace
}  // namespace dask::worker
