// The pool of connections: one call per connection at a time, reuse, limits, and peers that are gone or silent.
#include "core/net/rpc.h"

#include <gmock/gmock.h>

#include "tests/unit/core/net/net_fixture.h"

namespace dask::net::test {

using testing::HasSubstr;

Value op(const char* name) {
  Value message = Value::map();
  message.set("op", name);
  return message;
}

// Answers every call with its op, unless the op is "silence" or "leave".
struct Echo {
  explicit Echo(Loop& loop) {
    listener = *listen(loop, loopback(), [this](CommPtr comm) {
      std::weak_ptr<Comm> weak = comm;
      comm->on_message([this, weak](wire::Frames frames) {
        Value message = *wire::decode_message(frames);
        messages.push_back(message);
        if (message["op"].as_string() == "leave") return weak.lock()->abort();
        if (message.is_map() && message["op"].as_string() != "silence") weak.lock()->send(wire::encode_message(message["op"]));
      });
      comm->on_closed([](const Error&) {});
      comms.push_back(std::move(comm));
    });
  }
  std::unique_ptr<Listener> listener;
  std::vector<CommPtr> comms;
  std::vector<Value> messages;
};

struct Rpc : testing::Test {
  Loop loop;
  Echo echo{loop};
  std::vector<Result<Value>> replies;
  std::function<void(Result<Value>)> take = [this](Result<Value> reply) { replies.push_back(std::move(reply)); };
  std::string address = echo.listener->address();
  bool wait(std::size_t count) {
    return run_until(loop, [&] { return replies.size() >= count; });
  }
};

TEST_F(Rpc, one_connection_serves_calls_that_follow_each_other) {
  RpcPool pool(loop);
  for (std::size_t i = 1; i <= 5; ++i) {
    pool.call(address, op("identity"), take);
    ASSERT_TRUE(wait(i));
    EXPECT_EQ(replies.back()->as_string(), "identity");
  }
  EXPECT_EQ(echo.comms.size(), 1u);
  EXPECT_EQ(pool.open_connections(), 1u);
  EXPECT_TRUE(echo.messages[0]["reply"].as_bool());
}

TEST_F(Rpc, calls_beyond_the_limit_wait_for_a_connection) {
  RpcPool pool(loop, {.connections_max = 2});
  for (int i = 0; i < 20; ++i) pool.call(address, op("identity"), take);
  ASSERT_TRUE(wait(20));
  EXPECT_EQ(echo.comms.size(), 2u);
  Echo other(loop);
  pool.call(other.listener->address(), op("other"), take);
  ASSERT_TRUE(wait(21));
  EXPECT_EQ(replies.back()->as_string(), "other");
  EXPECT_LE(pool.open_connections(), 2u);
}

TEST_F(Rpc, a_dead_address_fails_with_its_name) {
  RpcPool pool(loop);
  echo.listener->close();
  pool.call(address, op("identity"), take);
  EXPECT_TRUE(replies.empty());
  pool.call("nonsense:x", op("identity"), take);
  EXPECT_TRUE(replies.empty());
  ASSERT_TRUE(wait(2));
  std::string both;
  for (auto& reply : replies) both += reply.error().message + "\n";
  EXPECT_THAT(both, HasSubstr(address));
  EXPECT_THAT(both, HasSubstr("nonsense:x"));
  EXPECT_EQ(pool.open_connections(), 0u);
}

TEST_F(Rpc, a_peer_that_leaves_fails_the_call_and_the_next_one_connects_anew) {
  RpcPool pool(loop);
  pool.call(address, op("leave"), take);
  ASSERT_TRUE(wait(1));
  EXPECT_EQ(replies[0].error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(replies[0].error().message, HasSubstr("'leave'"));
  pool.call(address, op("identity"), take);
  ASSERT_TRUE(wait(2));
  EXPECT_TRUE(replies[1]);
}

TEST_F(Rpc, a_silent_peer_is_given_up_at_the_time_limit) {
  RpcPool pool(loop, {.reply_timeout = std::chrono::milliseconds(20)});
  pool.call(address, op("silence"), take);
  ASSERT_TRUE(wait(1));
  EXPECT_EQ(replies[0].error().code, ErrorCode::kTimeout);
  EXPECT_EQ(pool.open_connections(), 0u);
}

TEST_F(Rpc, acknowledge_says_ok_after_the_reply) {
  RpcPool pool(loop);
  pool.call(address, op("get_data"), take, true);
  ASSERT_TRUE(run_until(loop, [&] { return echo.messages.size() == 2; }));
  EXPECT_EQ(echo.messages[1].as_string(), "OK");
}

TEST_F(Rpc, forget_closes_idle_connections) {
  RpcPool pool(loop);
  pool.call(address, op("identity"), take);
  ASSERT_TRUE(wait(1));
  pool.forget(address);
  EXPECT_EQ(pool.open_connections(), 0u);
}

TEST_F(Rpc, an_idle_connection_that_ends_is_forgotten) {
  RpcPool pool(loop);
  pool.call(address, op("identity"), take);
  ASSERT_TRUE(wait(1));
  echo.comms[0]->abort();
  ASSERT_TRUE(run_until(loop, [&] { return pool.open_connections() == 0; }));
}

TEST_F(Rpc, close_fails_everything_that_is_under_way_exactly_once) {
  RpcPool pool(loop, {.connections_max = 1});
  pool.call(address, op("silence"), take);
  pool.call(address, op("identity"), take);
  ASSERT_TRUE(run_until(loop, [&] { return !echo.messages.empty(); }));
  pool.close();
  EXPECT_TRUE(replies.empty());
  pool.call(address, op("late"), take);
  ASSERT_TRUE(wait(3));
  for (auto& reply : replies) EXPECT_EQ(reply.error().code, ErrorCode::kUnavailable);
}

}  // namespace dask::net::test
