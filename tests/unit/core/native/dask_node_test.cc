// Values become nodes and come back: between C++ programs exactly, and from nodes that Python wrote.
#include "core/native/dask_node.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "core/wire/message.h"

namespace dask::native {
namespace {

template <class T>
T there_and_back(const T& value) {
  auto node = to_node(NativeValue::of<T>(value));
  if (!node) throw std::runtime_error(node.error().message);
  auto back = from_node(**node);
  if (!back) throw std::runtime_error(back.error().message);
  EXPECT_EQ(back->type_name(), type_name<T>());
  auto out = back->template get_as<T>();
  if (!out) throw std::runtime_error(out.error().message);
  return *out;
}

Opaque pickled(std::string pickle) {
  Opaque node;
  Value header = Value::map();
  header.set("serializer", "pickle");
  header.set("writeable", Value::array());
  node.header = Bytes::own(wire::encode_msgpack(header));
  node.frames = {Bytes::own(std::move(pickle))};
  return node;
}

TEST(DaskNode, ScalarsComeBack) {
  EXPECT_EQ(there_and_back(5), 5);
  EXPECT_EQ(there_and_back(std::int64_t{-5'000'000'000}), -5'000'000'000);
  EXPECT_EQ(there_and_back(std::uint64_t{18'000'000'000'000'000'000u}), 18'000'000'000'000'000'000u);
  EXPECT_EQ(there_and_back(2.5), 2.5);
  EXPECT_EQ(there_and_back(true), true);
  EXPECT_EQ(there_and_back(std::string("Grüße")), "Grüße");
}

TEST(DaskNode, ContainersComeBackInEveryForm) {
  for (std::size_t n : {0u, 3u, 100u, 2'000u, 100'000u}) {
    std::vector<double> numbers(n);
    for (std::size_t i = 0; i < n; ++i) numbers[i] = static_cast<double>(i) / 4;
    EXPECT_EQ(there_and_back(numbers), numbers) << n;
    std::vector<std::string> texts(n);
    for (std::size_t i = 0; i < n; ++i) texts[i] = std::to_string(i);
    EXPECT_EQ(there_and_back(texts), texts) << n;
    std::map<std::string, std::vector<std::int64_t>> map{{"a", std::vector<std::int64_t>(n, 7)}, {"b", {1, 2}}};
    EXPECT_EQ(there_and_back(map), map) << n;
  }
}

TEST(DaskNode, LargeNumbersAreNotCopied) {
  const auto value = NativeValue::of(std::vector<double>(100'000, 1.5));
  const auto node = to_node(value);
  ASSERT_TRUE(node) << node.error().message;
  ASSERT_EQ((*node)->frames.size(), 3u) << "pickle, numbers, msgpack";
  EXPECT_EQ(static_cast<const void*>((*node)->frames[1].data()), static_cast<const void*>(value.get_if<std::vector<double>>()->data()));
}

TEST(DaskNode, PythonsOwnPicklesAreRead) {
  // pickle.dumps({"a": [1, 2.5]}, protocol=5)
  const std::string pickle(
      "\x80\x05\x95\x18\0\0\0\0\0\0\0}\x94\x8c\x01"
      "a\x94]\x94(K\x01G@\x04\0\0\0\0\0\0es.",
      35);
  auto value = from_node(pickled(pickle));
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(value->type_name(), "Python dict");
  const auto map = value->get_as<std::map<std::string, std::vector<double>>>();
  ASSERT_TRUE(map) << map.error().message;
  EXPECT_EQ(map->at("a"), (std::vector<double>{1, 2.5}));
}

TEST(DaskNode, WhatOnlyPythonCanOpenIsRefusedWithAdvice) {
  auto value =
      from_node(pickled("\x80\x04"
                        "cposix\nsystem\nX\x04\0\0\0true\x85R."));
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(value.error().message.find("native functions take"), std::string::npos) << value.error().message;
}

TEST(DaskNode, BrokenSubHeadersAreErrors) {
  Opaque node = pickled("\x80\x04N.");
  node.header = Bytes::literal("\xc1");
  EXPECT_FALSE(from_node(node));
  Value header = Value::map();
  header.set("serializer", "pickle");
  header.set("split-num-sub-frames", Value(Value::Array{7}));
  header.set("split-offsets", Value(Value::Array{3}));
  node.header = Bytes::own(wire::encode_msgpack(header));
  EXPECT_FALSE(from_node(node));
  header = Value::map();
  header.set("serializer", "pickle");
  header.set("dask-native", Value(Value::Map{{"type", "int"}, {"head", 9}}));
  node.header = Bytes::own(wire::encode_msgpack(header));
  EXPECT_FALSE(from_node(node));
  header.set("compression", Value(Value::Array{"lz4"}));
  node.header = Bytes::own(wire::encode_msgpack(header));
  EXPECT_FALSE(from_node(node));
}

TEST(DaskNode, SubHeadersThatAreKeptBelongToTheirTypes) {
  const auto as_node = [](auto v) { return **to_node(NativeValue::of(std::move(v))); };
  for (int round = 0; round < 3; ++round) {
    const Opaque number = as_node(round), again = as_node(round + 1), text = as_node(std::string("x"));
    EXPECT_EQ(number.header, again.header);
    EXPECT_FALSE(number.header == text.header);
    for (int twice = 0; twice < 2; ++twice) {
      EXPECT_EQ(*from_node(number)->get_if<int>(), round);
      EXPECT_EQ(*from_node(again)->get_if<int>(), round + 1);
    }
    EXPECT_EQ(*from_node(text)->get_if<std::string>(), "x");
    EXPECT_EQ(from_node(text)->get_if<int>(), nullptr);
    // The same sub-header with other frames is not taken for what it was.
    Opaque more = number;
    more.frames.push_back(Bytes::literal("x"));
    EXPECT_EQ(*from_node(more)->get_as<int>(), round) << "its sub-header names one frame";
    Opaque none = number;
    none.frames.clear();
    EXPECT_FALSE(from_node(none));
  }
}

TEST(DaskNode, SplitFramesAreJoined) {
  Opaque node = pickled("");
  node.frames = {Bytes::literal("\x80\x04"), Bytes::literal("K\x05.")};
  Value header = Value::map();
  header.set("serializer", "pickle");
  header.set("split-num-sub-frames", Value(Value::Array{2}));
  header.set("split-offsets", Value(Value::Array{0}));
  node.header = Bytes::own(wire::encode_msgpack(header));
  auto value = from_node(node);
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(*value->get_as<int>(), 5);
}

TEST(DaskNode, NestingBeyondTheLimitIsRefused) {
  std::string deep(1000, '\x91');
  deep += '\xc0';
  EXPECT_FALSE(to_node(Serialized{"deep", true, {Bytes::own(deep)}}));
  EXPECT_FALSE(to_node(Serialized{"deep", true, {Bytes::own(std::string(10'000, '\x91') + '\xc0')}}));
}

}  // namespace
}  // namespace dask::native
