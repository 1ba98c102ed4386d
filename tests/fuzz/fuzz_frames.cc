// FrameReader: any bytes in any pieces give the same messages or the same refusal, and messages written again are read again.
// Input: one byte for the pieces' size, one for the limit of small messages, then what stands on the wire.
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/wire/frames.h"
#include "tests/fuzz/fuzz.h"

using namespace dask;
using namespace dask::wire;

namespace {

struct Outcome {
  bool good = true;
  std::vector<Frames> messages;

  bool operator==(const Outcome&) const = default;
};

Outcome read(std::string_view bytes, FrameLimits limits, std::size_t piece) {
  FrameReader reader(limits);
  Outcome outcome;
  while (!bytes.empty()) {
    std::span<char> space = reader.space();
    FUZZ_EXPECT(!space.empty());
    std::string_view part = take(bytes, std::min(piece, space.size()));
    std::memcpy(space.data(), part.data(), part.size());
    outcome.good = reader.received(part.size()).has_value();
    Frames frames;
    while (reader.next(frames)) outcome.messages.push_back(frames);
    if (!outcome.good) break;
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  std::size_t piece = 1 + take_byte(input);
  FrameLimits limits;
  limits.small_message_bytes = 1 + take_byte(input);
  Outcome outcome = read(input, limits, piece);
  FUZZ_EXPECT(read(input, FrameLimits(), SIZE_MAX) == outcome);
  std::string again;
  for (const Frames& frames : outcome.messages) {
    again += frames_prelude(frames);
    for (const Bytes& frame : frames) again += frame.view();
  }
  Outcome second = read(again, limits, 3);
  FUZZ_EXPECT(second.good && second.messages == outcome.messages);
  return 0;
}
