// Keys against Python's own answers (key_golden.inc) and the rules of their canonical form.
#include "core/base/key.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace dask {
namespace {

using namespace std::string_view_literals;

struct Golden {
  std::string_view msgpack, str, repr, split, group;
};

const std::vector<Golden> kGolden = {
#include "key_golden.inc"
};

Key key(const Value& value) { return Key::from_value(value).value(); }

TEST(Key, is_spelled_and_split_as_python_does) {
  for (const Golden& golden : kGolden) {
    auto parsed = Key::from_msgpack(golden.msgpack);
    ASSERT_TRUE(parsed) << golden.repr;
    EXPECT_EQ(parsed->str(), golden.str);
    EXPECT_EQ(parsed->repr(), golden.repr);
    EXPECT_EQ(key_split(golden.msgpack), golden.split) << golden.repr;
    EXPECT_EQ(key_split_group(golden.msgpack), golden.group) << golden.repr;
  }
}

TEST(Key, survives_the_way_through_a_value) {
  for (const Golden& golden : kGolden) {
    Key original = Key::from_msgpack(golden.msgpack).value();
    EXPECT_EQ(key(original.value()).msgpack(), golden.msgpack) << golden.repr;
  }
}

TEST(Key, equals_what_python_calls_equal) {
  std::vector<std::vector<Value>> classes = {
      {1, 1.0, true},
      {0, -0.0, 0.0, false},
      {"1"},
      {Bytes::literal("1")},
      {nullptr},
      {1.5},
      {2, 2.0},
      {Value(Value::Array{"x", 1}), Value(Value::Array{"x", 1.0}), Value(Value::Array{"x", true})},
      {Value(Value::Array{"x", Value::Array{1}})},
      {18446744073709549568.0, 18446744073709549568ULL},
      {-9223372036854775808.0, std::numeric_limits<std::int64_t>::min()},
      {18446744073709551616.0},
  };
  for (std::size_t i = 0; i < classes.size(); ++i) {
    for (std::size_t j = 0; j < classes.size(); ++j) {
      for (const Value& a : classes[i]) {
        for (const Value& b : classes[j]) {
          EXPECT_EQ(key(a) == key(b), i == j) << a.repr() << " and " << b.repr();
          EXPECT_EQ(canonical_key(key(a).msgpack()) == canonical_key(key(b).msgpack()), i == j) << a.repr() << " and " << b.repr();
          if (i == j) {
            EXPECT_EQ(std::hash<Key>()(key(a)), std::hash<Key>()(key(b))) << a.repr() << " and " << b.repr();
          }
        }
      }
    }
  }
}

TEST(Key, in_a_wider_form_than_needed_is_the_same_key) {
  for (auto [wide, narrow] :
       {std::pair{"\xd9\x01x"sv, "\xa1x"sv}, std::pair{"\xda\x00\x01x"sv, "\xa1x"sv}, std::pair{"\xdb\x00\x00\x00\x01x"sv, "\xa1x"sv},
        std::pair{"\xcd\x00\x05"sv, "\x05"sv}, std::pair{"\xd1\xff\xff"sv, "\xff"sv}, std::pair{"\xdc\x00\x01\x05"sv, "\x91\x05"sv},
        std::pair{"\xca\x3f\x80\x00\x00"sv, "\x01"sv}, std::pair{"\xc5\x00\x01x"sv, "\xc4\x01x"sv},
        std::pair{"\xd1\x01\x2c"sv, "\xcd\x01\x2c"sv}}) {
    EXPECT_FALSE(is_plainly_canonical(wide));
    EXPECT_EQ(canonical_key(wide), narrow);
    EXPECT_TRUE(Key::equal(wide, narrow));
    EXPECT_EQ(Key::hash(wide), Key::hash(narrow));
  }
}

TEST(Key, of_a_string_is_plainly_canonical_at_every_width) {
  for (std::size_t size : {0, 1, 31, 32, 255, 256, 65535, 65536}) {
    Key name = Key::from_string(std::string(size, 'a'));
    EXPECT_TRUE(is_plainly_canonical(name.msgpack())) << size;
    EXPECT_EQ(canonical_key(name.msgpack()), name.msgpack()) << size;
    EXPECT_EQ(name.str().size(), size);
  }
}

TEST(Key, that_is_no_key_is_refused) {
  std::string deep(kKeyDepthMax + 1, '\x91');
  for (std::string_view bad : {""sv, "\x80"sv, "\x91\x80"sv, "\xa2x"sv, "\x01\x01"sv, "\xc1"sv, "\xd4\x01\x01"sv, "\xa1\xff"sv,
                               "\xa3\xed\xa0\x80"sv, "\xdd\xff\xff\xff\xff"sv, std::string_view(deep)}) {
    auto parsed = Key::from_msgpack(bad);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code, ErrorCode::kMalformed);
  }
  EXPECT_FALSE(Key::from_value(Value::map()));
  EXPECT_FALSE(Key::from_value(Value(Value::Set{})));
  EXPECT_FALSE(Key::from_value("\xff"));
}

TEST(Key, that_is_empty_answers_without_reading_anything) {
  Key none;
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.str(), "");
  EXPECT_TRUE(none.value().is_nil());
  EXPECT_EQ(key_split(none.msgpack()), "Other");
  EXPECT_EQ(none, Key());
}

TEST(Key, hashes_differ_where_names_differ_little) {
  std::vector<std::size_t> seen;
  for (int i = 0; i < 20'000; ++i) seen.push_back(Key::hash(key(Value::Array{"inc-0123456789abcdef0123456789abcdef", i}).msgpack()));
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());
}

TEST(Key, copies_share_their_bytes_and_outlive_each_other) {
  static_assert(sizeof(Key) == sizeof(void*));
  Key last;
  {
    const Key first = Key::from_string("inc-0123456789abcdef");
    Key copy = first;
    EXPECT_EQ(copy.msgpack().data(), first.msgpack().data());
    EXPECT_EQ(copy.hash(), Key::hash(first.msgpack()));
    last = std::move(copy);
    EXPECT_TRUE(copy.empty());  // NOLINT(bugprone-use-after-move): what is left is a key, the empty one
    const Key& itself = last;
    last = itself;
  }
  EXPECT_EQ(last.str(), "inc-0123456789abcdef");
  EXPECT_EQ(last, Key::from_string("inc-0123456789abcdef"));
  EXPECT_FALSE(last == Key::from_string("inc-0123456789abcdee"));
}

TEST(Key, may_be_copied_and_hashed_by_several_threads) {
  const Key shared = key(Value::Array{"inc-0123456789abcdef", 7});
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        const Key mine = shared;
        if (mine.hash() != Key::hash(mine.msgpack()) || !(mine == shared)) ++wrong;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace dask
