// Pickles: what Python writes is read (pickle_golden.inc), what we write is byte for byte what Python was seen to accept.
#include "core/wire/pickle.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace dask::wire {
namespace {

using namespace std::string_view_literals;

struct Golden {
  std::string_view pickle, repr;
};

const std::vector<Golden> kGolden = {
#include "pickle_golden.inc"
};

TEST(Unpickle, reads_what_python_writes) {
  for (const Golden& golden : kGolden) {
    auto value = unpickle_scalar(golden.pickle);
    ASSERT_TRUE(value) << golden.repr << ": " << value.error().message;
    EXPECT_EQ(value->repr(), golden.repr);
  }
}

TEST(Unpickle, says_cut_off_at_every_byte_before_the_end) {
  for (const Golden& golden : kGolden) {
    for (std::size_t size = 0; size < golden.pickle.size(); ++size)
      EXPECT_FALSE(unpickle_scalar(golden.pickle.substr(0, size))) << golden.repr << size;
  }
}

TEST(Unpickle, refuses_everything_that_would_call_python) {
  for (std::string_view pickle : {"cos\nsystem\n(S'true'\ntR."sv, "\x80\x04\x8c\x02os\x8c\x06system\x93."sv,
                                  "\x80\x02\x8a\x0a\1\1\1\1\1\1\1\1\1\1."sv, "\x80\x06N."sv}) {
    auto value = unpickle_scalar(pickle);
    ASSERT_FALSE(value);
    EXPECT_EQ(value.error().code, ErrorCode::kUnsupported) << value.error().message;
  }
}

TEST(Unpickle, refuses_broken_programs) {
  for (std::string_view pickle : {"."sv, "(."sv, "a."sv, "Na."sv, "]N.."sv, "h\x07."sv, "t."sv, "}(Nu."sv, "(Nd."sv, "}NNa."sv,
                                  "\x8b\xff\xff\xff\xff."sv, "Ix\n."sv, "0."sv, "2."sv, "q\1."sv}) {
    auto value = unpickle_scalar(pickle);
    if (pickle == "]N.."sv) {
      EXPECT_TRUE(value);  // what follows the first STOP does not matter
    } else {
      EXPECT_FALSE(value) << pickle;
    }
  }
}

TEST(Unpickle, does_not_unfold_laughter_or_loops) {
  // Each level is a tuple of the one below, twice: 2^60 items.
  std::string laughs = "N";
  for (int i = 0; i < 60; ++i) laughs += "2\x86";
  auto value = unpickle_scalar(laughs + ".");
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().code, ErrorCode::kLimit);
  EXPECT_FALSE(
      unpickle_scalar("]q\x01h\x01"
                      "a."));  // a list that holds itself
  std::string deep(100'000, ')');
  for (int i = 0; i < 100'000; ++i) deep += '\x85';
  EXPECT_FALSE(unpickle_scalar(deep + "."));
}

TEST(PickleException, is_the_program_that_python_accepts) {
  EXPECT_EQ(pickle_exception("builtins", "KeyError", "nope"),
            "\x80\x02"
            "cbuiltins\nKeyError\nX\x04\0\0\0nope\x85R."sv);
  EXPECT_EQ(pickle_exception("m", "Outer.Inner", "\xff"),
            "\x80\x04"
            "cm\nOuter.Inner\nX\x03\0\0\0\xef\xbf\xbd\x85R."sv);
  EXPECT_EQ(
      pickle_killed_worker(Value("x"), "tcp://a:1", 3),
      "\x80\x04"
      "cdistributed.scheduler\nKilledWorker\nX\x01\0\0\0xctypes\nSimpleNamespace\n)R}X\x07\0\0\0addressX\x09\0\0\0tcp://a:1sbJ\x03\0\0\0\x87R."sv);
  // What pickle_call writes of a value is what unpickle_scalar reads: the value between the global's line and the REDUCE.
  const Value::Array arguments{
      Value(Value::Array{"x", 0}),  Value(Value::Set{{"a", "b"}}), Value(Value::Map{{"GPU", 1.5}}), Value(), Value(true), Value(-1),
      Value(std::int64_t{1} << 40), Value(~std::uint64_t{0} >> 1), Value(Bytes::own("raw"))};
  std::string call = pickle_call("m", "C", arguments);
  const std::string start =
      "\x80\x04"
      "cm\nC\n";
  ASSERT_EQ(call.substr(0, start.size()), start);
  ASSERT_EQ(call.substr(call.size() - 2), "R.");
  auto read = unpickle_scalar(call.substr(start.size(), call.size() - start.size() - 2) + ".");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, Value(arguments));
  ShuffleRunFields run{7, "S", {"a", "b"}, {{Value(0), 1}, {Value(Value::Array{2, 3}), 0}}};
  EXPECT_EQ(pickle_shuffle_run_spec(run),  // tests/compat/test_shuffles.py has Python read it
            "\x80\x04X\x01\0\0\0a\x94\x30X\x01\0\0\0b\x94\x30"
            "cdistributed.shuffle._core\nShuffleRunSpec\n)\x81}(X\x06\0\0\0run_idJ\x07\0\0\0X\x04\0\0\0spec"
            "cdistributed.protocol.pickle\nloads\n\x8e\x01\0\0\0\0\0\0\0S\x85RX\x0a\0\0\0worker_for}("
            "J\0\0\0\0j\x01\0\0\0(J\x02\0\0\0J\x03\0\0\0tj\0\0\0\0uX\x07\0\0\0span_idNub."sv);
  EXPECT_EQ(unpickle_scalar(pickle_string("h\xc3\xa9"))->as_string(), "h\xc3\xa9");
}

TEST(ErrorMessage, has_the_fields_of_dask) {
  Value message = error_message("builtins", "ValueError", "it's bad");
  EXPECT_EQ(message["status"].as_string(), "uncaught-error");
  EXPECT_EQ(message["exception"].bytes()->view(), pickle_exception("builtins", "ValueError", "it's bad"));
  EXPECT_TRUE(message.find("traceback") && message["traceback"].is_nil());
  EXPECT_EQ(message["exception_text"].as_string(), "ValueError(\"it's bad\")");
  EXPECT_EQ(message["traceback_text"].as_string("?"), "");
  EXPECT_LT(error_message("builtins", "ValueError", std::string(1'000'000, 'x'))["exception_text"].as_string().size(), 11'000u);
}

}  // namespace
}  // namespace dask::wire
