// Messages: decoding never crashes, and what decodes encodes to bytes that decode to the same.
// Input: one byte for the number of frames, two for each frame's size (little-endian), then the frames.
#include <variant>

#include "core/wire/message.h"
#include "tests/fuzz/fuzz.h"

using namespace dask;
using namespace dask::wire;

namespace {

void visit_stream(const std::vector<StreamMsg>& messages) {
  for (const StreamMsg& message : messages) {
    std::visit(
        [](const auto& m) {
          if constexpr (requires { m.keys; }) {
            for (const Key& key : m.keys) FUZZ_EXPECT(Key::from_msgpack(key.msgpack()));
          } else if constexpr (requires { m.key; }) {
            FUZZ_EXPECT(Key::from_msgpack(m.key.msgpack()));
          } else {
            m.fields.repr();
          }
        },
        message);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  std::vector<std::size_t> sizes(take_byte(input) % 16);
  for (std::size_t& length : sizes) {
    length = take_byte(input);
    length += 256u * take_byte(input);
  }
  Frames frames;
  for (std::size_t length : sizes) frames.push_back(Bytes::copy(take(input, length)));
  frames.push_back(Bytes::copy(input));

  auto message = decode_message(frames);
  auto stream = decode_stream(frames);
  if (stream) visit_stream(*stream);
  if (message) {
    message->repr();
    Frames again = encode_message(*message);
    auto second = decode_message(again);
    FUZZ_EXPECT(second);
    FUZZ_EXPECT(encode_message(*second) == again);
  }
  if (auto value = decode_msgpack(frames[0])) {
    std::string bytes = encode_msgpack(*value);
    auto second = decode_msgpack(Bytes::copy(bytes));
    FUZZ_EXPECT(second && encode_msgpack(*second) == bytes);
  }
  return 0;
}
