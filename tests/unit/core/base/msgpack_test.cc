// The msgpack token reader and writer: shortest forms, and no lie about lengths believed.
#include "core/base/msgpack.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace dask::msgpack {
namespace {

using namespace std::string_view_literals;

std::string packed_int(std::int64_t v) {
  std::string out;
  append_int(out, v);
  return out;
}

TEST(Msgpack, integers_are_written_in_the_shortest_form) {
  EXPECT_EQ(packed_int(0), "\x00"sv);
  EXPECT_EQ(packed_int(127), "\x7f"sv);
  EXPECT_EQ(packed_int(128), "\xcc\x80"sv);
  EXPECT_EQ(packed_int(255), "\xcc\xff"sv);
  EXPECT_EQ(packed_int(256), "\xcd\x01\x00"sv);
  EXPECT_EQ(packed_int(65536), "\xce\x00\x01\x00\x00"sv);
  EXPECT_EQ(packed_int(1LL << 32), "\xcf\x00\x00\x00\x01\x00\x00\x00\x00"sv);
  EXPECT_EQ(packed_int(-1), "\xff"sv);
  EXPECT_EQ(packed_int(-32), "\xe0"sv);
  EXPECT_EQ(packed_int(-33), "\xd0\xdf"sv);
  EXPECT_EQ(packed_int(-129), "\xd1\xff\x7f"sv);
  EXPECT_EQ(packed_int(-32769), "\xd2\xff\xff\x7f\xff"sv);
  EXPECT_EQ(packed_int(std::numeric_limits<std::int64_t>::min()), "\xd3\x80\x00\x00\x00\x00\x00\x00\x00"sv);
}

TEST(Msgpack, every_integer_width_is_read) {
  for (std::int64_t v : {0LL, 127LL, 128LL, 255LL, 256LL, 65535LL, 65536LL, 4294967295LL, 4294967296LL, -1LL, -32LL, -33LL, -128LL, -129LL,
                         -32768LL, -32769LL, -2147483648LL, -2147483649LL}) {
    std::string bytes = packed_int(v);
    Token token;
    Reader reader(bytes);
    ASSERT_TRUE(reader.next(token));
    EXPECT_EQ(token.type, Type::kInt);
    EXPECT_EQ(token.integer, v);
    EXPECT_TRUE(reader.done());
  }
}

TEST(Msgpack, every_prefix_of_a_value_is_cut_off) {
  std::string bytes;
  append_map(bytes, 3);
  append_string(bytes, std::string(300, 's'));
  append_binary(bytes, std::string(70000, 'b'));
  append_int(bytes, -70000);
  append_real(bytes, 1.5);
  append_array(bytes, 20);
  for (int i = 0; i < 20; ++i) append_ext(bytes, 5, std::string(static_cast<std::size_t>(i), 'e'));
  append_nil(bytes);
  Reader whole(bytes);
  ASSERT_TRUE(whole.skip());
  EXPECT_TRUE(whole.done());
  for (std::size_t size = 0; size < bytes.size(); size += size < 400 || size > 70300 ? 1 : 997) {
    Reader reader(std::string_view(bytes).substr(0, size));
    EXPECT_FALSE(reader.skip()) << size;
  }
}

TEST(Msgpack, announced_sizes_beyond_the_bytes_are_refused) {
  for (std::string_view lie : {"\xdd\xff\xff\xff\xff\x01"sv, "\xdf\x00\x00\x00\x02\x01\x01"sv, "\xdb\xff\xff\xff\xff"sv,
                               "\xc6\x7f\xff\xff\xff"sv, "\x92\x01"sv, "\x81\x01"sv}) {
    Token token;
    EXPECT_FALSE(Reader(lie).next(token));
  }
}

TEST(Msgpack, a_very_deep_value_is_skipped_without_recursion) {
  std::string deep(1'000'000, '\x91');
  deep += '\x01';
  Reader reader(deep);
  EXPECT_TRUE(reader.skip());
  EXPECT_TRUE(reader.done());
}

}  // namespace
}  // namespace dask::msgpack
