// A batch without an urgent message is patient; the first urgent one takes all along.
#include "scheduler/server/stream.h"

#include <gtest/gtest.h>

#include <vector>

namespace dask::scheduler {
namespace {

class CaughtComm final : public net::Comm {
 public:
  void on_message(std::function<void(wire::Frames)>) override {}
  void on_closed(std::function<void(Error)>) override {}
  void send(wire::Frames frames) override { sent.push_back(std::move(frames)); }
  void pause_reading() override {}
  void resume_reading() override {}
  void close() override {}
  void abort() override {}
  bool closed() const override { return false; }
  std::string peer_address() const override { return "tcp://peer:1"; }
  std::string local_address() const override { return "tcp://here:1"; }
  std::uint64_t outgoing_bytes() const override { return 0; }
  const Value& peer_handshake() const override { return nothing; }

  std::vector<wire::Frames> sent;
  Value nothing;
};

// The operations of the one batch that the stream sends now.
std::vector<std::string> flushed_operations(Stream& stream, const CaughtComm& comm) {
  stream.flush();
  EXPECT_TRUE(stream.patient());
  EXPECT_EQ(comm.sent.size(), 1u);
  std::vector<std::string> operations;
  if (comm.sent.empty()) return operations;
  const auto batch = wire::decode_message(comm.sent[0]);
  EXPECT_TRUE(batch);
  if (batch)
    for (const Value& message : *batch->array_if()) operations.emplace_back(message["op"].as_string());
  return operations;
}

TEST(Stream, keys_to_free_alone_are_patient_and_leave_with_the_next_message) {
  const auto comm = std::make_shared<CaughtComm>();
  Stream stream(comm);
  stream.free_key(Key::from_string("x").msgpack(), "s");
  stream.remove_replica(Key::from_string("y").msgpack(), "s");
  EXPECT_TRUE(stream.patient());
  EXPECT_FALSE(stream.empty());
  stream.message(Value(Value::Map{{"op", "keep-alive"}}));
  EXPECT_FALSE(stream.patient());
  EXPECT_EQ(flushed_operations(stream, *comm), (std::vector<std::string>{"free-keys", "remove-replicas", "keep-alive"}));
}

TEST(Stream, a_message_that_is_not_urgent_leaves_in_its_order_with_one_that_is) {
  const auto comm = std::make_shared<CaughtComm>();
  Stream stream(comm);
  stream.begin(false).value(Value(Value::Map{{"op", "first"}}));
  EXPECT_TRUE(stream.patient());
  stream.message(Value(Value::Map{{"op", "second"}}));
  stream.begin(false).value(Value(Value::Map{{"op", "third"}}));
  EXPECT_FALSE(stream.patient());
  EXPECT_EQ(flushed_operations(stream, *comm), (std::vector<std::string>{"first", "second", "third"}));
}

}  // namespace
}  // namespace dask::scheduler
