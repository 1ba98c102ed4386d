// What a pickled exception is can be told without running it: its class and its arguments.
#include <gtest/gtest.h>

#include "core/wire/pickle.h"

namespace dask::wire {
namespace {

using namespace std::string_view_literals;

TEST(PickleCall, exceptions_that_we_write_are_read_again) {
  const auto call = unpickle_call(pickle_exception("builtins", "ValueError", "bad \xc3\xa9"));
  ASSERT_TRUE(call) << call.error().message;
  EXPECT_EQ(call->callable, "builtins.ValueError");
  EXPECT_EQ(call->arguments, (Value::Array{"bad \xc3\xa9"}));
}

TEST(PickleCall, a_killed_worker_has_its_task) {
  const auto call = unpickle_call(pickle_killed_worker(Value("inc-1"), "tcp://10.0.0.1:1", 3));
  ASSERT_TRUE(call) << call.error().message;
  EXPECT_EQ(call->callable, "distributed.scheduler.KilledWorker");
  ASSERT_EQ(call->arguments.size(), 3u);
  EXPECT_EQ(call->arguments[0].as_string(), "inc-1");
  EXPECT_EQ(call->arguments[2].as_int(), 3);
}

// pickle.dumps(KeyError("x", 1)) of CPython, protocol 4.
TEST(PickleCall, exceptions_that_python_writes_are_read) {
  const auto call = unpickle_call(
      "\x80\x04\x95\x20\0\0\0\0\0\0\0\x8c\x08"
      "builtins\x94\x8c\x08KeyError\x94\x93\x94\x8c\x01x\x94K\x01\x86\x94R\x94."sv);
  ASSERT_TRUE(call) << call.error().message;
  EXPECT_EQ(call->callable, "builtins.KeyError");
  EXPECT_EQ(call->arguments, (Value::Array{"x", 1}));
}

TEST(PickleCall, what_is_no_call_and_what_is_cut_off_are_refused) {
  EXPECT_FALSE(unpickle_call("\x80\x04K\x01."sv));
  EXPECT_FALSE(unpickle_call(""));
  const std::string whole = pickle_exception("builtins", "ValueError", "bad");
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(unpickle_call(std::string_view(whole).substr(0, size)));
  EXPECT_FALSE(unpickle_scalar(whole));
}

}  // namespace
}  // namespace dask::wire
