// Values become bytes and are the same afterwards, in both forms; bytes that lie become errors.
#include "core/native/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

#include "core/native/value.h"
#include "proto/dask_native.pb.h"

namespace dask::native {
namespace {

struct Point {
  double x = 0, y = 0;
  auto dask_fields() { return std::tie(x, y); }
  friend bool operator==(const Point&, const Point&) = default;
};
struct Path {
  std::string name;
  std::vector<Point> points;
  std::vector<Path> parts;  // a type may hold itself
  auto dask_fields() { return std::tie(name, points, parts); }
  friend bool operator==(const Path&, const Path&) = default;
};
enum class Colour : std::uint8_t { kRed = 1, kBlue = 200 };

template <class T>
std::string written(const T& value) {
  Writer writer;
  write(writer, value);
  EXPECT_EQ(writer.error(), "");
  return writer.out();
}
template <class T>
T through_bytes(const T& value) {
  const std::string bytes = written(value);
  Reader reader(bytes);
  T out{};
  EXPECT_TRUE(read(reader, out)) << reader.error();
  EXPECT_TRUE(reader.done());
  return out;
}
template <class T>
T through_frames(const T& value) {
  Result<Serialized> serialized = NativeValue::of(value).serialize();
  EXPECT_TRUE(serialized);
  const Result<T> back = NativeValue::from_serialized(*std::move(serialized)).template get_as<T>();
  EXPECT_TRUE(back) << back.error().message;
  return back ? *back : T{};
}
template <class T>
void expect_same(const T& value) {
  EXPECT_EQ(through_bytes(value), value);
  EXPECT_EQ(through_frames(value), value);
}
template <class T>
std::string error_of(std::string_view bytes) {
  Reader reader(bytes);
  T out{};
  EXPECT_FALSE(read(reader, out));
  return reader.error();
}

TEST(Codec, scalars_come_back) {
  expect_same(true);
  expect_same(-1);
  expect_same(INT64_MIN);
  expect_same(UINT64_MAX);
  expect_same<std::int8_t>(-128);
  expect_same('x');
  expect_same(1.5);
  expect_same(1.5f);
  expect_same(Colour::kBlue);
  expect_same(None{});
  expect_same(std::string("a\0b", 3));
}

TEST(Codec, containers_come_back_nested) {
  expect_same(std::vector<std::string>{"a", "", "c"});
  expect_same(std::vector<bool>{true, false});
  expect_same(std::array<int, 3>{1, 2, 3});
  expect_same(std::optional<int>());
  expect_same(std::optional<int>(7));
  expect_same(std::tuple<int, std::string, double>{1, "two", 3.0});
  expect_same(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
  expect_same(std::unordered_map<int, std::pair<int, int>>{{1, {2, 3}}});
  expect_same(std::set<int>{3, 1, 2});
  expect_same(std::unordered_set<std::string>{"x", "y"});
  expect_same(std::vector<char>{'a', '\0'});
}

TEST(Codec, numbers_come_back_few_and_many) {
  for (const std::size_t size : {std::size_t{0}, kPackedNumbersMin - 1, kPackedNumbersMin, std::size_t{100'000}}) {
    std::vector<double> reals(size);
    std::vector<std::int32_t> integers(size);
    for (std::size_t i = 0; i < size; ++i) reals[i] = 0.5 * static_cast<double>(i), integers[i] = -static_cast<int>(i);
    expect_same(reals);
    expect_same(integers);
  }
}

TEST(Codec, types_of_the_user_come_back) {
  expect_same(Point{1, 2});
  expect_same(Path{"outer", {{1, 2}}, {{"inner", {}, {}}}});
}

TEST(Codec, protobuf_messages_come_back) {
  dask_native::v1::NativeError message;
  message.set_message("broken");
  EXPECT_EQ(through_bytes(message).message(), "broken");
}

TEST(Codec, plain_values_are_what_any_msgpack_reader_understands) {
  EXPECT_EQ(written(std::map<std::string, int>{{"a", 1}}),
            "\x81\xa1"
            "a\x01");
  EXPECT_TRUE(NativeValue::of(std::vector<int>{1, 2}).serialize()->plain);
  EXPECT_FALSE(NativeValue::of(std::vector<int>(kPackedNumbersMin)).serialize()->plain);
}

TEST(Codec, big_buffers_are_shared_with_the_value_not_copied) {
  const NativeValue value = NativeValue::of(std::vector<double>(10'000, 1.0));
  const auto serialized = value.serialize();
  ASSERT_EQ(serialized->frames.size(), 2u);
  EXPECT_EQ(serialized->frames[1].data(), reinterpret_cast<const char*>(value.get_if<std::vector<double>>()->data()));
}

TEST(Codec, shared_buffers_outlive_the_value) {
  Serialized serialized;
  {
    const NativeValue value = NativeValue::of(std::vector<double>(10'000, 2.0));
    serialized = *value.serialize();
  }
  EXPECT_EQ(NativeValue::from_serialized(serialized).get_as<std::vector<double>>()->back(), 2.0);
}

TEST(Codec, numbers_of_another_type_are_converted_when_they_fit) {
  const auto ints = NativeValue::of(std::vector<int>(100, 3));
  EXPECT_EQ(ints.get_as<std::vector<double>>()->at(99), 3.0);
  EXPECT_EQ(NativeValue::of(3).get_as<double>(), 3.0);
  EXPECT_EQ(NativeValue::of(300).get_as<std::int8_t>().error().message,
            "a int cannot be read as signed char: 300 does not fit into signed char");
  EXPECT_FALSE(
      NativeValue::of(std::vector<int>(100, 300)).get_as<std::vector<std::uint16_t>>().value_or(std::vector<std::uint16_t>()).empty());
  EXPECT_FALSE(NativeValue::of(std::vector<int>(100, -1)).get_as<std::vector<std::uint64_t>>());
  EXPECT_FALSE(NativeValue::of(std::vector<double>(100, 1.5)).get_as<std::vector<int>>());
}

TEST(Codec, wrong_bytes_are_named) {
  EXPECT_EQ(error_of<int>(written(std::string("x"))), "expected an integer, found text");
  EXPECT_EQ(error_of<int>(""), "expected an integer, found the end of the bytes");
  EXPECT_EQ(error_of<std::string>(written(1)), "expected text, found an integer");
  EXPECT_EQ(error_of<unsigned>(written(-1)), "-1 does not fit into an unsigned integer");
  EXPECT_EQ(error_of<Point>(written(std::vector<int>{1})), "1 fields are no dask::native::(anonymous namespace)::Point");
  EXPECT_THAT(error_of<std::vector<int>>("\xdd\xff\xff\xff\xff"), testing::HasSubstr("expected a list"));
}

TEST(Codec, frames_that_are_missing_are_an_error) {
  Serialized serialized = *NativeValue::of(std::vector<double>(10'000)).serialize();
  serialized.frames.pop_back();
  EXPECT_THAT(NativeValue::from_serialized(serialized).get_as<std::vector<double>>().error().message, testing::HasSubstr("missing"));
  serialized.frames.clear();
  EXPECT_FALSE(NativeValue::from_serialized(serialized).get_as<std::vector<double>>());
}

TEST(Codec, every_prefix_of_a_value_is_refused) {
  const std::string bytes = written(std::vector<Path>{{"a", {{1, 2}}, {}}});
  for (std::size_t size = 0; size < bytes.size(); ++size) error_of<std::vector<Path>>(std::string_view(bytes).substr(0, size));
}

TEST(Codec, nbytes_counts_what_a_value_holds) {
  EXPECT_EQ(NativeValue::of(1).nbytes(), 4);
  EXPECT_GE(NativeValue::of(std::vector<double>(1000)).nbytes(), 8000);
  EXPECT_GE(NativeValue::of(std::vector<std::string>(2, std::string(500, 'x'))).nbytes(), 1000);
}

struct Handle {
  explicit Handle(int number);
};
static_assert(Serializable<std::vector<std::map<std::string, Point>>>);
static_assert(!Serializable<Handle>);
static_assert(!Serializable<std::vector<Handle>>);
static_assert(!Serializable<int*>);
static_assert(!Serializable<std::string_view>);
static_assert(!Serializable<long double>);

}  // namespace
}  // namespace dask::native
