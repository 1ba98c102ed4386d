// FrameReader: T, the lengths, then the frames in segments: a run of small frames is copied out of the shared buffer into one
// exact buffer (a retained payload pins its own message only), a big frame is received straight into memory of its own.
#include "core/wire/frames.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/wire/payload_memory.h"

namespace dask::wire {

namespace {

constexpr std::size_t kReceiveBufferBytes = 16 * 1024;  // of a new connection; grows with what arrives
constexpr std::size_t kReceiveBufferMax = 256 * 1024;   // beyond this a burst waits in the socket
constexpr std::size_t kReceiveSpaceMin = 4 * 1024;      // `space()` is at least this
constexpr std::size_t kLengthsKept = 16 * 1024;         // frames whose lengths' memory is used again

std::uint64_t read_u64(const char* at) {
  std::uint64_t value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

void append_u64(std::string& out, std::uint64_t value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); }

// One big frame under construction.
class BigFrame {
 public:
  void start(std::uint64_t size) {
    size_ = size;
    filled_ = 0;
  }
  std::uint64_t missing() const { return size_ - filled_; }
  // Room for the rest; empty when there is no memory for it.
  std::span<char> space() {
    if (!data_) data_ = payload_memory(size_);
    if (!data_) return {};
    return {data_.get() + filled_, size_ - filled_};
  }
  void filled(std::size_t n) { filled_ += n; }
  std::uint64_t size() const { return size_; }
  std::string_view received() const { return {data_.get(), data_ ? filled_ : 0}; }
  void drop() { data_ = nullptr; }
  Bytes take() {
    const char* data = data_.get();
    return Bytes(std::exchange(data_, nullptr), data, size_);
  }

 private:
  std::shared_ptr<char> data_;
  std::uint64_t filled_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace

struct FrameReader::Impl {
  explicit Impl(FrameLimits l) : limits(l) {}

  enum class State { kHead, kLengths, kBody, kBigFrame, kBroken };

  FrameLimits limits;
  State state = State::kHead;

  // The shared receive buffer: [begin, end) is received and not yet taken.
  std::unique_ptr<char[]> buffer;
  std::size_t capacity = 0;
  std::size_t begin = 0;
  std::size_t end = 0;

  // The message under construction.
  std::uint64_t frame_count = 0;
  std::uint64_t body_in_one_go = 0;  // T without the prelude
  std::uint64_t body_bytes = 0;
  bool split_seen = false;  // T ends at a frame's edge
  std::vector<std::uint64_t> lengths;
  std::size_t frame_index = 0;  // of the next frame to take
  Frames frames;
  BigFrame big;
  bool space_is_big = false;  // the last `space()` was of the big frame

  // Complete messages, oldest at `ready_begin`; their vectors are used again.
  std::vector<Frames> ready;
  std::size_t ready_begin = 0;
  std::size_t ready_end = 0;

  std::size_t available() const { return end - begin; }

  void reallocate(std::size_t new_capacity) {
    auto fresh = std::make_unique_for_overwrite<char[]>(new_capacity);
    if (available()) std::memcpy(fresh.get(), buffer.get() + begin, available());
    end = available();
    begin = 0;
    buffer = std::move(fresh);
    capacity = new_capacity;
  }

  std::span<char> shared_space() {
    if (begin == end) begin = end = 0;
    if (capacity - end < kReceiveSpaceMin && begin > 0) {
      std::memmove(buffer.get(), buffer.get() + begin, available());
      end -= begin;
      begin = 0;
    }
    if (capacity - end < kReceiveSpaceMin) reallocate(std::max(kReceiveBufferBytes, capacity * 2));
    return {buffer.get() + end, capacity - end};
  }

  Result<void> parse();
  Result<void> parse_head();
  Result<void> parse_lengths(bool& more);
  Result<void> parse_body(bool& more);
  Result<void> fill_big_frame(bool& more);
  void finish_message();
};

Result<void> FrameReader::Impl::parse() {
  bool more = true;
  while (more) {
    switch (state) {
      case State::kHead:
        if (available() < 16) return {};
        DASK_TRY_VOID(parse_head());
        break;
      case State::kLengths: DASK_TRY_VOID(parse_lengths(more)); break;
      case State::kBody: DASK_TRY_VOID(parse_body(more)); break;
      case State::kBigFrame: DASK_TRY_VOID(fill_big_frame(more)); break;
      case State::kBroken: return fail(ErrorCode::kMalformed, "the frames were broken before");
    }
  }
  return {};
}

Result<void> FrameReader::Impl::parse_head() {
  std::uint64_t in_one_go = read_u64(buffer.get() + begin);
  frame_count = read_u64(buffer.get() + begin + 8);
  begin += 16;
  if (frame_count > limits.frames_max) {
    return fail(ErrorCode::kMalformed,
                fmt::format("a message announces {} frames; at most {} are allowed", frame_count, limits.frames_max));
  }
  std::uint64_t prelude = 8 + 8 * frame_count;
  if (in_one_go < prelude) {
    return fail(ErrorCode::kMalformed,
                fmt::format("a message's head announces {} bytes, but its prelude alone has {}", in_one_go, prelude));
  }
  body_in_one_go = in_one_go - prelude;
  body_bytes = 0;
  split_seen = body_in_one_go == 0;
  lengths.clear();
  state = State::kLengths;
  return {};
}

Result<void> FrameReader::Impl::parse_lengths(bool& more) {
  while (lengths.size() < frame_count && available() >= 8) {
    std::uint64_t length = read_u64(buffer.get() + begin);
    begin += 8;
    if (length > limits.message_bytes_max - body_bytes) {
      return fail(ErrorCode::kMalformed, fmt::format("a message announces a frame of {} bytes; messages may have at most {} bytes", length,
                                                     limits.message_bytes_max));
    }
    body_bytes += length;
    split_seen = split_seen || body_bytes == body_in_one_go;
    lengths.push_back(length);
  }
  if (lengths.size() < frame_count) {
    more = false;
    return {};
  }
  if (!split_seen) {
    return fail(ErrorCode::kMalformed,
                fmt::format("a message's head announces {} bytes of frames in one go, which is no frame's end", body_in_one_go));
  }
  frames.clear();
  frames.reserve(lengths.size());
  frame_index = 0;
  state = State::kBody;
  return {};
}

Result<void> FrameReader::Impl::parse_body(bool& more) {
  if (frame_index == lengths.size()) {
    finish_message();
    return {};
  }
  // The next segment: as many frames as fit into one small buffer, at least one.
  std::uint64_t segment = lengths[frame_index];
  std::size_t last = frame_index + 1;
  if (segment > limits.small_message_bytes) {
    big.start(segment);
    state = State::kBigFrame;
    return {};
  }
  while (last < lengths.size() && segment + lengths[last] <= limits.small_message_bytes) segment += lengths[last++];
  if (available() < segment) {
    if (capacity < segment) reallocate(segment + kReceiveSpaceMin);
    more = false;
    return {};
  }
  Bytes bytes = Bytes::copy({buffer.get() + begin, static_cast<std::size_t>(segment)});
  begin += segment;
  std::size_t offset = 0;
  for (; frame_index < last; ++frame_index) {
    frames.push_back(bytes.slice(offset, lengths[frame_index]));
    offset += lengths[frame_index];
  }
  return {};
}

Result<void> FrameReader::Impl::fill_big_frame(bool& more) {
  while (big.missing() > 0 && available() > 0) {
    std::span<char> room = big.space();
    if (room.empty()) {
      return fail(ErrorCode::kLimit, fmt::format("no memory for a frame of {} bytes; the peer is dropped", lengths[frame_index]));
    }
    std::size_t n = std::min(available(), room.size());
    std::memcpy(room.data(), buffer.get() + begin, n);
    big.filled(n);
    begin += n;
  }
  if (big.missing() > 0) {
    more = false;
    return {};
  }
  frames.push_back(big.take());
  ++frame_index;
  state = State::kBody;
  return {};
}

void FrameReader::Impl::finish_message() {
  if (ready_begin == ready_end) ready_begin = ready_end = 0;
  if (ready_end == ready.size()) ready.emplace_back();
  ready[ready_end++].swap(frames);
  frames.clear();
  if (lengths.capacity() > kLengthsKept) std::vector<std::uint64_t>().swap(lengths);
  state = State::kHead;
}

FrameReader::FrameReader(FrameLimits limits) : impl_(std::make_unique<Impl>(limits)) {}
FrameReader::~FrameReader() = default;
FrameReader::FrameReader(FrameReader&&) noexcept = default;
FrameReader& FrameReader::operator=(FrameReader&&) noexcept = default;

std::span<char> FrameReader::space() {
  // Without memory for the big frame its bytes go to the shared buffer, and `received` says so.
  if (impl_->state == Impl::State::kBigFrame && impl_->available() == 0) {
    std::span<char> room = impl_->big.space();
    impl_->space_is_big = !room.empty();
    if (impl_->space_is_big) return room;
  }
  impl_->space_is_big = false;
  return impl_->shared_space();
}

Result<void> FrameReader::received(std::size_t n) {
  if (impl_->space_is_big) {
    impl_->big.filled(n);
  } else {
    impl_->end += n;
  }
  impl_->space_is_big = false;
  auto result = impl_->parse();
  if (!result) {
    impl_->state = Impl::State::kBroken;
  } else if (impl_->begin == impl_->end && impl_->state != Impl::State::kBigFrame && impl_->capacity < kReceiveBufferMax &&
             n > impl_->capacity / 2) {
    impl_->reallocate(impl_->capacity * 2);  // bursts fill the buffer: read more at once
  }
  return result;
}

std::optional<FrameReader::Arriving> FrameReader::big_frame() const {
  if (impl_->state != Impl::State::kBigFrame || impl_->available() > 0) return std::nullopt;
  return Arriving{impl_->big.size(), impl_->big.received()};
}

Result<void> FrameReader::big_frame_arrived(Bytes frame) {
  impl_->big.drop();
  impl_->frames.push_back(std::move(frame));
  ++impl_->frame_index;
  impl_->state = Impl::State::kBody;
  auto result = impl_->parse();
  if (!result) impl_->state = Impl::State::kBroken;
  return result;
}

bool FrameReader::next(Frames& frames) {
  frames.clear();
  if (impl_->ready_begin == impl_->ready_end) return false;
  frames.swap(impl_->ready[impl_->ready_begin++]);
  return true;
}

bool FrameReader::at_boundary() const {
  return impl_->state == Impl::State::kHead && impl_->available() == 0 && impl_->ready_begin == impl_->ready_end;
}

std::string frames_prelude(const Frames& frames) {
  std::uint64_t in_one_go = 0;
  bool big_seen = false;
  for (const Bytes& frame : frames) {
    if (frame.size() >= kBigFrameBytes) {
      if (big_seen) break;
      if (in_one_go > std::max<std::uint64_t>(2048, frame.size() / 20)) break;
      big_seen = true;
    }
    in_one_go += frame.size();
  }
  std::string prelude;
  prelude.reserve(16 + 8 * frames.size());
  append_u64(prelude, 8 + 8 * frames.size() + in_one_go);
  append_u64(prelude, frames.size());
  for (const Bytes& frame : frames) append_u64(prelude, frame.size());
  return prelude;
}

}  // namespace dask::wire
