// Frames: any split, any arrival, zero lengths, lies.
#include "core/wire/frames.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <random>

namespace dask::wire {
namespace {

Frames frames_of(std::vector<std::string> parts) {
  Frames frames;
  for (std::string& part : parts) frames.push_back(Bytes::own(std::move(part)));
  return frames;
}

std::string pack(const std::vector<std::uint64_t>& words, const std::string& body = {}) {
  std::string out;
  for (std::uint64_t word : words) out.append(reinterpret_cast<const char*>(&word), 8);
  return out + body;
}

std::string on_the_wire(const Frames& frames) {
  std::string out = frames_prelude(frames);
  for (const Bytes& frame : frames) out += frame.view();
  return out;
}

// Feeds `bytes` in pieces of the sizes that `piece` gives; all messages that come out.
template <class Piece>
Result<std::vector<Frames>> feed(FrameReader& reader, std::string_view bytes, Piece piece) {
  std::vector<Frames> messages;
  while (!bytes.empty()) {
    std::span<char> space = reader.space();
    EXPECT_FALSE(space.empty());
    std::size_t n = std::min({bytes.size(), space.size(), std::max<std::size_t>(1, piece())});
    std::memcpy(space.data(), bytes.data(), n);
    bytes.remove_prefix(n);
    DASK_TRY_VOID(reader.received(n));
    Frames frames;
    while (reader.next(frames)) messages.push_back(frames);
  }
  return messages;
}

Result<std::vector<Frames>> feed(FrameReader& reader, std::string_view bytes) {
  return feed(reader, bytes, [] { return std::size_t{1} << 20; });
}

TEST(FrameReader, leaves_a_big_frame_to_somebody_else_and_goes_on_behind_it) {
  const Frames sent = frames_of({"head", std::string(200'000, 'x'), "between", std::string(100'000, 'y')});
  std::string bytes = on_the_wire(sent);
  const std::size_t begin = bytes.find("xxxx");
  for (const std::size_t come : {std::size_t{0}, std::size_t{5}, std::size_t{199'999}}) {
    FrameReader reader;
    EXPECT_FALSE(reader.big_frame());
    ASSERT_TRUE(feed(reader, std::string_view(bytes).substr(0, begin + come)));
    ASSERT_TRUE(reader.big_frame()) << come;
    EXPECT_EQ(reader.big_frame()->size, 200'000u);
    EXPECT_EQ(reader.big_frame()->received, std::string(come, 'x'));
    ASSERT_TRUE(reader.big_frame_arrived(Bytes::literal("in its place")));
    EXPECT_FALSE(reader.big_frame());
    auto messages = feed(reader, std::string_view(bytes).substr(begin + 200'000));
    ASSERT_TRUE(messages);
    ASSERT_EQ(messages->size(), 1u);
    EXPECT_EQ((*messages)[0], (Frames{sent[0], Bytes::literal("in its place"), sent[2], sent[3]}));
    EXPECT_TRUE(reader.at_boundary());
  }
}

TEST(FrameReader, a_big_frame_that_somebody_else_received_may_be_the_last) {
  FrameReader reader;
  const std::string bytes = on_the_wire(frames_of({"head", std::string(200'000, 'x')}));
  ASSERT_TRUE(feed(reader, std::string_view(bytes).substr(0, bytes.size() - 200'000)));
  ASSERT_TRUE(reader.big_frame_arrived(Bytes::literal("whole")));
  Frames frames;
  ASSERT_TRUE(reader.next(frames));
  EXPECT_EQ(frames[1].view(), "whole");
}

TEST(FrameReader, reads_messages_however_they_arrive) {
  std::vector<Frames> sent = {frames_of({"a", "", "bc"}),
                              frames_of({""}),
                              frames_of({}),
                              frames_of({std::string(200'000, 'x'), "y", std::string(70'000, 'z'), ""}),
                              frames_of({std::string(65'536, 'q'), std::string(65'537, 'r')}),
                              frames_of(std::vector<std::string>(5'000, "frame"))};
  std::string bytes;
  for (int round = 0; round < 3; ++round) {
    for (const Frames& frames : sent) bytes += on_the_wire(frames);
  }
  std::mt19937 random(1);
  for (std::size_t piece_max : {7ul, 1'000ul, 50'000ul, 1'000'000ul}) {
    FrameReader reader;
    auto messages = feed(reader, bytes, [&] { return random() % piece_max; });
    ASSERT_TRUE(messages) << messages.error().message;
    ASSERT_EQ(messages->size(), 3 * sent.size());
    for (std::size_t i = 0; i < messages->size(); ++i) EXPECT_EQ((*messages)[i], sent[i % sent.size()]) << i;
    EXPECT_TRUE(reader.at_boundary());
  }
}

TEST(FrameReader, accepts_every_split_at_a_frame_edge_and_no_other) {
  std::string body = "aabbbbcc";
  for (std::uint64_t in_one_go : {0, 2, 6, 8}) {
    FrameReader reader;
    auto messages = feed(reader, pack({32 + in_one_go, 3, 2, 4, 2}, body));
    ASSERT_TRUE(messages) << messages.error().message;
    EXPECT_EQ(messages->at(0), frames_of({"aa", "bbbb", "cc"}));
  }
  for (std::uint64_t in_one_go : {1, 3, 5, 7, 9}) {
    FrameReader reader;
    EXPECT_FALSE(feed(reader, pack({32 + in_one_go, 3, 2, 4, 2}, body))) << in_one_go;
  }
}

TEST(FrameReader, refuses_what_breaks_the_format_and_stays_broken) {
  for (const std::string& bad : {pack({0, 1, 1}), pack({8, 1, 1}), pack({~0ULL, 1, 1}), pack({16, ~0ULL}), pack({8'000'024, 1'000'001}),
                                 pack({16, 1, 1ULL << 63}), pack({24, 2, 1ULL << 40, 1}), pack({24, 2, ~0ULL, 2}), std::string(16, 'G')}) {
    FrameReader reader;
    auto result = feed(reader, bad);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kMalformed);
    EXPECT_FALSE(feed(reader, pack({16, 1, 0})));
    EXPECT_FALSE(reader.at_boundary());
  }
}

std::uint64_t resident_pages() {
  std::uint64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident;
}

TEST(FrameReader, takes_memory_for_what_arrives_and_not_for_what_is_announced) {
  // 64 GiB are announced, a kilobyte comes: the reader waits for the rest, and has taken one huge page at the most.
  FrameReader reader;
  const std::uint64_t before = resident_pages();
  ASSERT_TRUE(feed(reader, pack({16, 1, 64ULL << 30}, std::string(1'000, 'x'))));
  EXPECT_EQ(reader.space().size(), (64ULL << 30) - 1'000);
  EXPECT_LT(resident_pages() - before, 2'000u);  // of 4 KiB
  EXPECT_FALSE(reader.at_boundary());
}

TEST(FrameReader, gives_small_messages_memory_of_their_own) {
  FrameReader reader;
  auto messages = feed(reader, on_the_wire(frames_of({"one", "two"})) + on_the_wire(frames_of({"three"})));
  ASSERT_TRUE(messages);
  Bytes kept = messages->at(0)[1];
  messages->clear();
  ASSERT_TRUE(feed(reader, std::string(on_the_wire(frames_of({std::string(30'000, 'w')})))));
  EXPECT_EQ(kept.view(), "two");
}

TEST(FrameReader, keeps_its_state_when_it_is_moved) {
  std::string bytes = on_the_wire(frames_of({"head", std::string(100'000, 'b')}));
  FrameReader first;
  ASSERT_TRUE(feed(first, bytes.substr(0, 70'000)));
  FrameReader second = std::move(first);
  auto messages = feed(second, bytes.substr(70'000));
  ASSERT_TRUE(messages);
  EXPECT_EQ(messages->at(0)[1].size(), 100'000u);
}

std::uint64_t in_one_go(const Frames& frames) {
  std::string prelude = frames_prelude(frames);
  std::uint64_t total;
  std::memcpy(&total, prelude.data(), 8);
  return total - (8 + 8 * frames.size());
}

TEST(FramesPrelude, lets_each_big_buffer_stand_alone) {
  std::string big(100'000, 'b');
  EXPECT_EQ(in_one_go(frames_of({"m", "h", "small"})), 7u);
  EXPECT_EQ(in_one_go(frames_of({"m", "h", big})), 100'002u);
  EXPECT_EQ(in_one_go(frames_of({"m", "h", big, "h", big})), 100'003u);
  EXPECT_EQ(in_one_go(frames_of({std::string(10'000, 'm'), big})), 10'000u);
  EXPECT_EQ(in_one_go({}), 0u);
}

TEST(FramesPrelude, is_the_wires_for_a_handshake) { EXPECT_EQ(frames_prelude(frames_of({std::string(42, 'h')})), pack({58, 1, 42})); }

}  // namespace
}  // namespace dask::wire
