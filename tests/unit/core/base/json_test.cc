// JSON: what is written is JSON whatever the Value holds, and what is read is what was meant.
#include "core/base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace dask {
namespace {

TEST(JsonWriter, puts_commas_between_values_and_members) {
  JsonWriter w;
  w.begin_object().key("a").begin_array().integer(1).string("x").begin_array().end_array().end_array();
  w.key("b").begin_object().end_object().key("c").null().end_object();
  EXPECT_EQ(w.take(), R"({"a":[1,"x",[]],"b":{},"c":null})");
}

TEST(JsonWriter, escapes_what_JSON_forbids_in_strings) {
  EXPECT_EQ(to_json(Value("a\"b\\c\n\t\x01 é")), "\"a\\\"b\\\\c\\n\\t\\u0001 é\"");
  EXPECT_EQ(to_json(Value("bad \xff byte")), "\"bad \xef\xbf\xbd byte\"");
}

TEST(JsonWriter, rounds_without_trailing_zeros) {
  JsonWriter w;
  w.begin_array()
      .rounded(1.25, 1)
      .rounded(3.0, 2)
      .rounded(-0.001, 1)
      .rounded(1200, 0)
      .rounded(-2.05, 2)
      .rounded(0.000123, 6)
      .rounded(1e300, 3)
      .rounded(std::nan(""), 1)
      .end_array();
  EXPECT_EQ(w.take(), "[1.3,3,0,1200,-2.05,0.000123,1e+300,null]");
}

TEST(JsonWriter, makes_strings_of_keys_and_null_of_NaN) {
  const Value metrics(Value::Map{{Value(Value::Array{"execute", "x", "seconds"}), 0.5},
                                 {1, std::numeric_limits<double>::quiet_NaN()},
                                 {"inf", std::numeric_limits<double>::infinity()}});
  EXPECT_EQ(to_json(metrics), R"J({"('execute', 'x', 'seconds')":0.5,"1":null,"inf":null})J");
}

TEST(JsonWriter, keeps_floats_apart_from_integers) {
  EXPECT_EQ(to_json(Value(Value::Array{1.0, 1, 1e300, std::uint64_t{18446744073709551615ULL}, true})),
            "[1.0,1,1e+300,18446744073709551615,true]");
}

TEST(JsonWriter, writes_bytes_as_their_repr) { EXPECT_EQ(to_json(Value(Bytes::literal("\x80x"))), R"("b'\\x80x'")"); }

TEST(JsonReader, reads_back_what_was_written) {
  const std::string text = R"({"n":2,"workers":["tcp://a:1",null,true,-1.5e3],"nested":{"x":[[]]}})";
  auto value = parse_json(text);
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ((*value)["n"].as_int(), 2);
  EXPECT_EQ((*value)["workers"].size(), 4u);
  EXPECT_EQ(to_json(*value), R"({"n":2,"workers":["tcp://a:1",null,true,-1500.0],"nested":{"x":[[]]}})");
}

TEST(JsonReader, says_where_text_stops_being_JSON) {
  for (const char* text : {"", "{", "{\"a\":}", "[1,]", "nope", "\"\xff\"", "{} {}"}) {
    auto value = parse_json(text);
    ASSERT_FALSE(value.has_value()) << text;
    EXPECT_EQ(value.error().code, ErrorCode::kMalformed);
    EXPECT_NE(value.error().message.find("not JSON at byte"), std::string::npos) << value.error().message;
  }
}

TEST(JsonReader, refuses_nesting_beyond_its_limit) {
  EXPECT_TRUE(parse_json(std::string(kJsonDepthMax, '[') + std::string(kJsonDepthMax, ']')).has_value());
  auto value = parse_json(std::string(100'000, '['));
  ASSERT_FALSE(value.has_value());
  EXPECT_NE(value.error().message.find("256"), std::string::npos);
}

}  // namespace
}  // namespace dask
