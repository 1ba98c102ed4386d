// Values: Python's truth, numbers, equality and notation.
#include "core/base/value.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace dask {
namespace {

TEST(Value, numbers_read_as_ints_when_they_can) {
  EXPECT_EQ(Value(7).as_int(), 7);
  EXPECT_EQ(Value(7.9).as_int(), 7);
  EXPECT_EQ(Value(true).as_int(), 1);
  EXPECT_EQ(Value("7").as_int(-1), -1);
  EXPECT_EQ(Value(1e300).as_int(-1), -1);
  EXPECT_EQ(Value(std::nan("")).as_int(-1), -1);
  EXPECT_EQ(Value(~0ULL).as_int(-1), -1);
  EXPECT_EQ(Value(~0ULL).as_uint64(), ~0ULL);
  EXPECT_EQ(Value(-1).as_uint64(), std::nullopt);
  EXPECT_EQ(Value(3.0).as_uint64(), 3u);
  EXPECT_EQ(Value(3).as_double(), 3.0);
  EXPECT_EQ(Value(nullptr).as_double(2.5), 2.5);
}

TEST(Value, is_true_when_python_says_so) {
  for (const Value& falsy :
       {Value(), Value(false), Value(0), Value(0.0), Value(""), Value(Bytes()), Value::array(), Value::map(), Value(Value::Set{})}) {
    EXPECT_FALSE(falsy.as_bool(true)) << falsy.repr();
  }
  for (const Value& truthy : {Value(true), Value(-1), Value(0.5), Value("x"), Value(Value::Array{0})})
    EXPECT_TRUE(truthy.as_bool()) << truthy.repr();
}

TEST(Value, maps_keep_their_order_and_replace_in_place) {
  Value map;
  map.set("b", 1);
  map.set("a", 2);
  map.set("b", 3);
  EXPECT_EQ(map.repr(), "{'b': 3, 'a': 2}");
  EXPECT_EQ(map["b"].as_int(), 3);
  EXPECT_TRUE(map["c"].is_nil());
  EXPECT_EQ(map.find("c"), nullptr);
  EXPECT_EQ(Value(1).find("b"), nullptr);
}

TEST(Value, equality_is_pythons) {
  EXPECT_EQ(Value(1), Value(1.0));
  EXPECT_EQ(Value(1), Value(true));
  EXPECT_NE(Value(1), Value("1"));
  EXPECT_NE(Value("x"), Value(Bytes::literal("x")));
  EXPECT_NE(Value(std::nan("")), Value(std::nan("")));
  EXPECT_NE(Value(9007199254740993LL), Value(9007199254740992.0));
  EXPECT_EQ(Value(Value::Map{{"a", 1}, {"b", 2}}), Value(Value::Map{{"b", 2.0}, {"a", true}}));
  EXPECT_NE(Value(Value::Map{{"a", 1}}), Value(Value::Map{{"a", 2}}));
  EXPECT_EQ(Value(Value::Set{{1, 2}}), Value(Value::Set{{2, 1}}));
  EXPECT_NE(Value(Value::Set{{1}}), Value(Value::Array{1}));
  Opaque node{Opaque::Kind::kPickled, Bytes::literal("h"), {Bytes::literal("f")}};
  EXPECT_EQ(Value(std::make_shared<const Opaque>(node)), Value(std::make_shared<const Opaque>(node)));
}

TEST(Value, repr_is_pythons_notation) {
  Value value = Value::Map{{"none", nullptr},
                           {1, Value::Array{true, -2.0, 1e-7}},
                           {Value::Array{"k", 0}, Value::Array{"it's"}},
                           {"set", Value::Set{{1}}},
                           {"empty", Value::Set{}},
                           {"bytes", Bytes::literal("a\n\xff")},
                           {"node", std::make_shared<const Opaque>(Opaque{Opaque::Kind::kSerialized, {}, {Bytes::literal("abc")}})}};
  EXPECT_EQ(value.repr(),
            "{'none': None, 1: (True, -2.0, 1e-07), ('k', 0): (\"it's\",), 'set': {1}, 'empty': set(), 'bytes': b'a\\n\\xff', "
            "'node': <Serialized 3 bytes>}");
}

}  // namespace
}  // namespace dask
