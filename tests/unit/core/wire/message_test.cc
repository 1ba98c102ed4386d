// Messages as Values: opaque nodes are resolved, renumbered, and refused where they lie.
#include "core/wire/message.h"

#include <gtest/gtest.h>

namespace dask::wire {
namespace {

using namespace std::string_view_literals;

OpaquePtr node(Opaque::Kind kind, std::vector<std::string> parts) {
  auto opaque = std::make_shared<Opaque>();
  opaque->kind = kind;
  opaque->header = Bytes::own(encode_msgpack(Value(Value::Map{{"serializer", "pickle"}, {"num-sub-frames", parts.size()}})));
  for (std::string& part : parts) opaque->frames.push_back(Bytes::own(std::move(part)));
  return opaque;
}

Frames raw(std::vector<std::string_view> parts) {
  Frames frames;
  for (std::string_view part : parts) frames.push_back(Bytes::copy(part));
  return frames;
}

void expect_malformed(const Frames& frames, std::string_view words) {
  auto result = decode_message(frames);
  ASSERT_FALSE(result) << result->repr();
  EXPECT_EQ(result.error().code, ErrorCode::kMalformed);
  EXPECT_NE(result.error().message.find(words), std::string::npos) << result.error().message;
}

TEST(Message, comes_back_as_it_was) {
  Value message = Value::Map{{"op", "gather"},
                             {"keys", Value::Array{"x", Value::Array{"y", 0, 1.5}, -7, nullptr, true}},
                             {Value::Array{"t", 1}, Bytes::literal("\x00\xff"sv)},
                             {"set", Value::Set{{"a", "b"}}},
                             {"ext", Value::Ext{5, Bytes::literal("abcd")}},
                             {"data", Value::Map{{"k", node(Opaque::Kind::kSerialized, {"1", "", "333"})}}},
                             {"run_spec", node(Opaque::Kind::kPickled, {})},
                             {"big", ~0ULL},
                             {3.5, false}};
  Frames frames = encode_message(message);
  EXPECT_EQ(frames.size(), 1u + 4 + 1);
  auto decoded = decode_message(frames);
  ASSERT_TRUE(decoded) << decoded.error().message;
  EXPECT_EQ(*decoded, message);
  EXPECT_EQ(encode_message(*decoded), frames);
}

TEST(Message, forwards_opaque_nodes_with_new_numbers_and_the_same_bytes) {
  Frames frames =
      encode_message(Value(Value::Array{node(Opaque::Kind::kSerialized, {"one"}), node(Opaque::Kind::kPickled, {"two", "three"})}));
  auto decoded = decode_message(frames);
  ASSERT_TRUE(decoded);
  OpaquePtr second = decoded->array_if()->at(1).opaque();
  Frames forwarded = encode_message(Value(Value::Map{{"run_spec", second}}));
  ASSERT_EQ(forwarded.size(), 4u);
  EXPECT_EQ(forwarded[0].view(), "\x81\xa8run_spec\x81\xab__Pickled__\x01"sv);
  EXPECT_EQ(forwarded[1], frames[3]);
  EXPECT_EQ(forwarded[2].data(), frames[4].data());  // not copied
}

TEST(Message, skips_orphan_frames) {
  auto decoded = decode_message(raw({"\xc0", "orphan", ""}));
  ASSERT_TRUE(decoded);
  EXPECT_TRUE(decoded->is_nil());
}

TEST(Message, enum_maps_and_the_index_zero_stay_maps) {
  for (std::string_view bytes : {"\x84\xa8__Enum__\xc3\xa4name\xa1x\xaa__module__\xa1m\xa8__name__\xa1n"sv, "\x81\xae__Serialized__\x00"sv,
                                 "\x81\xa7__Set__\xc3"sv}) {
    auto decoded = decode_message(raw({bytes}));
    ASSERT_TRUE(decoded);
    EXPECT_TRUE(decoded->is_map());
    EXPECT_EQ(encode_message(*decoded)[0].view(), bytes);
  }
}

TEST(Message, that_lies_about_its_frames_is_malformed) {
  constexpr std::string_view kReference = "\x81\xae__Serialized__\x01"sv;
  constexpr std::string_view kTwoSubFrames = "\x81\xaenum-sub-frames\x02"sv;
  expect_malformed({}, "without frames");
  expect_malformed(raw({kReference}), "names frame 1");
  expect_malformed(raw({kReference, kTwoSubFrames, "x"}), "announces 2 sub-frames");
  expect_malformed(raw({kReference, "\x80"}), "no sub-header");
  expect_malformed(raw({kReference, ""}), "no sub-header");
  expect_malformed(raw({kReference, "\x81\xaenum-sub-frames\xff"}), "no sub-header");
  expect_malformed(raw({kReference, "\x81\xaenum-sub-frames\xcf\xff\xff\xff\xff\xff\xff\xff\xff"}), "no sub-header");
  expect_malformed(raw({"\x92\x81\xae__Serialized__\x01\x81\xae__Serialized__\x01"sv, kTwoSubFrames, "x", "y"}), "two nodes");
}

TEST(Message, that_is_no_msgpack_is_malformed) {
  expect_malformed(raw({""}), "cut off");
  expect_malformed(raw({"\xc1"}), "cut off");
  expect_malformed(raw({"\xa1\xff"}), "UTF-8");
  expect_malformed(raw({"\xc0\xc0"}), "follow");
  expect_malformed(raw({"\xdf\xff\xff\xff\xff"}), "cut off");
  expect_malformed(raw({std::string(kDepthMax + 1, '\x91') + '\x01'}), "deeper");
  EXPECT_TRUE(decode_message(raw({std::string(kDepthMax, '\x91') + '\x01'})));
}

TEST(Message, nested_lies_about_sizes_cost_no_memory) {
  // 255 arrays, each of which announces as many elements as bytes follow.
  std::string bytes;
  for (int i = 0; i < 255; ++i) bytes += "\xdd\x00\x0f\x00\x00"sv;
  bytes += std::string(0x0f0000, '\x01');
  EXPECT_FALSE(decode_message(raw({bytes})));
}

TEST(MessageWriter, counts_and_empties) {
  MessageWriter writer;
  EXPECT_TRUE(writer.empty());
  writer.map(1);
  writer.string("data");
  writer.opaque(*node(Opaque::Kind::kSerialized, {"12345"}));
  EXPECT_GT(writer.bytes_pending(), 40u);
  Frames frames = writer.take();
  EXPECT_EQ(frames.size(), 3u);
  EXPECT_TRUE(writer.empty());
  EXPECT_EQ(writer.bytes_pending(), 0u);
  EXPECT_TRUE(decode_message(frames));
}

TEST(BatchWriter, makes_lists_of_every_length) {
  BatchWriter batch;
  EXPECT_EQ(batch.take(), raw({"\x90"}));
  for (std::size_t count : {1, 15, 16, 65'535, 65'536}) {
    for (std::size_t i = 0; i < count; ++i) batch.message(Value(Value::Map{{"op", "x"}}));
    EXPECT_EQ(batch.count(), count);
    auto decoded = decode_message(batch.take());
    ASSERT_TRUE(decoded) << decoded.error().message;
    EXPECT_EQ(decoded->size(), count);
    EXPECT_TRUE(batch.empty());
  }
}

TEST(BatchWriter, numbers_opaque_nodes_across_its_messages) {
  BatchWriter batch;
  for (int i = 0; i < 3; ++i) {
    MessageWriter& writer = batch.begin();
    writer.map(1);
    writer.string("run_spec");
    writer.opaque(*node(Opaque::Kind::kPickled, {std::to_string(i)}));
  }
  auto decoded = decode_message(batch.take());
  ASSERT_TRUE(decoded);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ((*decoded->array_if())[i]["run_spec"].opaque()->frames.at(0).view(), std::to_string(i));
}

}  // namespace
}  // namespace dask::wire
