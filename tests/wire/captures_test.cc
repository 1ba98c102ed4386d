// Frames that stock peers sent to each other (capture.py says how they were recorded and what the files look like): every
// split of their arrival gives the same messages, and what is decoded and encoded again is what Python wrote, byte for byte.
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "core/wire/message.h"

namespace dask::wire {
namespace {

struct Direction {
  std::string name;
  std::string bytes;
};

std::vector<Direction> directions_of(const std::string& file) {
  std::ifstream stream("tests/wire/captures/" + file, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  std::string data = text.str();
  EXPECT_TRUE(data.starts_with("DASKCAP1")) << file;
  std::vector<Direction> directions;
  for (std::size_t at = 8; at < data.size();) {
    std::uint16_t name_size;
    std::uint64_t size;
    std::memcpy(&name_size, &data[at], 2);
    std::memcpy(&size, &data[at + 2 + name_size], 8);
    directions.push_back({data.substr(at + 2, name_size), data.substr(at + 10 + name_size, size)});
    at += 10 + name_size + size;
  }
  return directions;
}

std::vector<Frames> read_in_pieces(std::string_view bytes, FrameLimits limits, unsigned seed, std::size_t piece_max) {
  std::mt19937 random(seed);
  FrameReader reader(limits);
  std::vector<Frames> messages;
  while (!bytes.empty()) {
    std::span<char> space = reader.space();
    std::size_t n = std::min({bytes.size(), space.size(), 1 + random() % piece_max});
    std::memcpy(space.data(), bytes.data(), n);
    bytes.remove_prefix(n);
    auto result = reader.received(n);
    EXPECT_TRUE(result) << result.error().message;
    if (!result) break;
    Frames frames;
    while (reader.next(frames)) messages.push_back(frames);
  }
  EXPECT_TRUE(reader.at_boundary());
  return messages;
}

class Capture : public testing::TestWithParam<const char*> {};

TEST_P(Capture, gives_the_same_messages_however_it_arrives) {
  for (const Direction& direction : directions_of(GetParam())) {
    std::vector<Frames> whole = read_in_pieces(direction.bytes, {}, 0, direction.bytes.size());
    EXPECT_GE(whole.size(), 2u) << direction.name;
    for (unsigned seed = 1; seed <= 24; ++seed) {
      FrameLimits limits;
      if (seed % 3 == 0) limits.small_message_bytes = 512;  // nearly everything takes the way of big frames
      ASSERT_EQ(read_in_pieces(direction.bytes, limits, seed, std::size_t{1} << (1 + seed % 17)), whole)
          << direction.name << ", seed " << seed;
    }
  }
}

TEST_P(Capture, is_encoded_again_byte_for_byte) {
  for (const Direction& direction : directions_of(GetParam())) {
    for (const Frames& frames : read_in_pieces(direction.bytes, {}, 0, 1 << 20)) {
      auto message = decode_message(frames);
      ASSERT_TRUE(message) << direction.name << ": " << message.error().message;
      Frames again = encode_message(*message);
      EXPECT_EQ(again, frames) << direction.name << ": " << message->repr();
      auto twice = decode_message(again);
      ASSERT_TRUE(twice);
      EXPECT_EQ(*twice, *message);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Stock, Capture, testing::Values("client.bin", "worker.bin", "transfer.bin"), [](const auto& capture) {
  std::string name = capture.param;
  return name.substr(0, name.find('.'));
});

// The fields that a struct has in common with the message's value.
struct Compare {
  const Value& map;

  void key(const Key& k) const { EXPECT_EQ(k.value(), map["key"]); }
  void keys(const std::vector<Key>& keys) const {
    ASSERT_EQ(keys.size(), map["keys"].size());
    for (std::size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(keys[i].value(), map["keys"].array_if()->at(i));
  }
  void startstops(const std::vector<StartStop>& items) const {
    ASSERT_EQ(items.size(), map["startstops"].size());
    for (std::size_t i = 0; i < items.size(); ++i) {
      const Value& item = map["startstops"].array_if()->at(i);
      EXPECT_EQ(items[i].action, item["action"].as_string());
      EXPECT_EQ(items[i].start, item["start"].as_double());
      EXPECT_EQ(items[i].stop, item["stop"].as_double());
    }
  }

  void operator()(const TaskFinishedMsg& m) const {
    key(m.key);
    EXPECT_EQ(m.run_id, map["run_id"].as_int());
    EXPECT_EQ(m.nbytes, map["nbytes"].as_int());
    EXPECT_EQ(m.type, map["type"]);
    EXPECT_EQ(m.typename_, map["typename"].as_string());
    EXPECT_EQ(m.thread, map["thread"]);
    EXPECT_EQ(m.stimulus_id, map["stimulus_id"].as_string());
    startstops(m.startstops);
  }
  void operator()(const TaskErredMsg& m) const {
    key(m.key);
    EXPECT_EQ(m.run_id, map["run_id"].as_int());
    EXPECT_EQ(m.exception, map["exception"]);
    EXPECT_EQ(m.traceback, map["traceback"]);
    EXPECT_EQ(m.exception_text, map["exception_text"].as_string());
    EXPECT_EQ(m.traceback_text, map["traceback_text"].as_string());
    EXPECT_EQ(m.stimulus_id, map["stimulus_id"].as_string());
    startstops(m.startstops);
  }
  void operator()(const ReleaseWorkerDataMsg& m) const { key(m.key); }
  void operator()(const RescheduleMsg& m) const { key(m.key); }
  void operator()(const LongRunningMsg& m) const {
    key(m.key);
    EXPECT_EQ(m.compute_duration, map["compute_duration"].as_double(-1));
  }
  void operator()(const AddKeysMsg& m) const { keys(m.keys); }
  void operator()(const FreeKeysMsg& m) const { keys(m.keys); }
  void operator()(const ClientReleasesKeysMsg& m) const {
    keys(m.keys);
    EXPECT_EQ(m.client, map["client"].as_string());
  }
  void operator()(const OtherMsg& m) const {
    EXPECT_EQ(m.op, map["op"].as_string());
    EXPECT_EQ(m.fields, map);
  }
};

TEST(Captures, hot_operations_are_read_as_their_values) {
  std::map<std::string, int> seen;
  for (const char* file : {"client.bin", "worker.bin"}) {
    for (const Direction& direction : directions_of(file)) {
      if (!direction.name.ends_with(">")) continue;  // decode_stream is the scheduler's ear
      for (const Frames& frames : read_in_pieces(direction.bytes, {}, 0, 1 << 20)) {
        Value message = decode_message(frames).value();
        if (!message.is_array()) continue;
        auto stream = decode_stream(frames);
        ASSERT_TRUE(stream) << direction.name << ": " << stream.error().message;
        ASSERT_EQ(stream->size(), message.size());
        for (std::size_t i = 0; i < stream->size(); ++i) {
          const Value& map = message.array_if()->at(i);
          ++seen[std::string(map["op"].as_string())];
          std::visit(Compare{map}, stream->at(i));
        }
      }
    }
  }
  for (const char* op : {"task-finished", "task-erred", "release-worker-data", "add-keys", "long-running", "reschedule",
                         "client-releases-keys", "update-graph"}) {
    EXPECT_GT(seen[op], 0) << op;
  }
}

}  // namespace
}  // namespace dask::wire
