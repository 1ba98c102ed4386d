// Dask's TCP framing: u64 T, prelude (u64 nframes, u64 len[nframes]), frames. A reader accepts any split m of the frames
// between "inside T" and "after T"; a writer chooses it so that big buffers stand alone. Frames over 2 GiB are legal.
// Source: distributed/comm/tcp.py, distributed/protocol/utils.py. Pure: bytes in, bytes out, no socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"

namespace dask::wire {

// One message as it stands on the wire: frames[0] is msgpack, the others are sub-headers and payloads.
using Frames = std::vector<Bytes>;

// Named limits of what a peer may announce before we allocate for it.
struct FrameLimits {
  std::size_t frames_max = 1'000'000;            // frames in one message
  std::uint64_t message_bytes_max = 1ULL << 40;  // all frames of one message together
  std::size_t small_message_bytes = 64 * 1024;   // messages up to here are parsed from the shared receive buffer
};

// Incremental reader. The owner reads from its socket into `space()`, then says how much came with `received(n)`;
// then takes complete messages with `next()` until it gives nothing. Large frames are received straight into
// memory of their own, of which the kernel gives only what really arrives: a lying length costs nothing.
class FrameReader {
 public:
  explicit FrameReader(FrameLimits limits = {});
  ~FrameReader();
  FrameReader(FrameReader&&) noexcept;
  FrameReader& operator=(FrameReader&&) noexcept;

  // Where the next bytes go; never empty.
  std::span<char> space();
  // Says that `n` bytes arrived in `space()`. kMalformed when they break the format: drop the peer.
  Result<void> received(std::size_t n);
  // The next complete message into `frames`; false when more bytes are needed.
  bool next(Frames& frames);
  // The big frame that is being received, while nothing of it waits in the shared buffer: its size, and what of it has come.
  struct Arriving {
    std::uint64_t size = 0;
    std::string_view received;
  };
  std::optional<Arriving> big_frame() const;
  // The big frame has been received, by somebody else and whole.
  Result<void> big_frame_arrived(Bytes frame);
  // True between messages: the end of the connection here loses nothing.
  bool at_boundary() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Frames from this size on are given memory of their own by the peer that reads them (see frames_prelude).
inline constexpr std::size_t kBigFrameBytes = 64 * 1024;

// The prelude (T, nframes, lengths) for `frames`. T counts frames up to the second big one, or up to the first when what stands
// before it is not negligible (tcp.py's _add_frames_header): a Python peer then puts each big buffer into memory of its own.
std::string frames_prelude(const Frames& frames);

}  // namespace dask::wire
