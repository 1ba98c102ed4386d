// A batch of nothing but keys to free is patient; whatever else is written makes it urgent, and takes the keys along.
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

TEST(Stream, keys_to_free_alone_are_patient_and_leave_with_the_next_message) {
  const auto comm = std::make_shared<CaughtComm>();
  Stream stream(comm);
  stream.free_key(Key::from_string("x").msgpack(), "s");
  stream.remove_replica(Key::from_string("y").msgpack(), "s");
  EXPECT_TRUE(stream.patient());
  EXPECT_FALSE(stream.empty());
  stream.message(Value(Value::Map{{"op", "keep-alive"}}));
  EXPECT_FALSE(stream.patient());
  stream.flush();
  EXPECT_TRUE(stream.patient());
  ASSERT_EQ(comm->sent.size(), 1u);
  const auto batch = wire::decode_message(comm->sent[0]);
  ASSERT_TRUE(batch) << batch.error().message;
  std::vector<std::string> operations;
  for (const Value& message : *batch->array_if()) operations.emplace_back(message["op"].as_string());
  EXPECT_EQ(operations, (std::vector<std::string>{"free-keys", "remove-replicas", "keep-alive"}));
}

}  // namespace
}  // namespace dask::scheduler
