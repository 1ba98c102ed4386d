// OutputQueue: bytes on their way to a socket. Small pieces are copied together into one buffer, big ones are referenced and
// never copied; one gathering write sends many of them. Bytes that lie elsewhere (Bytes::source) are fetched a piece at a time when the
// socket takes them, into memory that stays in the processor's cache. Used by Comm and FramePipe, knows neither.
// Thread ownership: the loop's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/bytes.h"

namespace dask::net {

class OutputQueue {
 public:
  // Pieces up to here are copied: cheaper than a segment of its own in the gathering write.
  static constexpr std::size_t kCopyBytesMax = 8 * 1024;
  // So much of what lies elsewhere is fetched at once.
  static constexpr std::size_t kStageBytes = 256 * 1024;
  // What is less is not worth the way to another process.
  static constexpr std::size_t kHandOverBytesMin = 1 << 20;

  void add(const Bytes& bytes);
  void add_copy(std::string_view bytes);
  std::uint64_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }
  void clear();

  enum class Outcome {
    kEmpty,     // everything is with the kernel
    kBlocked,   // the kernel takes no more for now, or the turn's budget is spent: wait until writable
    kFailed,    // errno says why
    kHandOver,  // what comes next lies elsewhere and may send itself: hand_over()
    kGone,      // what should be sent next lay elsewhere and is there no more: the receiver cannot be told but by the end of the connection
  };
  // Writes to the non-blocking socket `fd`. With `may_hand_over` kHandOver comes before a large piece that lies elsewhere.
  Outcome write_to(int fd, bool may_hand_over = false);
  // Has the front piece sent by who has it; `sent` is called later. False: it cannot, and write_to() reads it.
  bool hand_over(int fd, std::function<void(int error)> sent);
  // The front piece that was handed over is sent. Whatever was cleared since is not missed.
  void handed_over();

 private:
  struct Segment {
    std::string small;  // used when `big` is empty
    Bytes big;
    std::size_t size() const { return big.empty() ? small.size() : big.size(); }
    std::string_view view() const { return big.empty() ? std::string_view(small) : big.view(); }
    const ByteSource* source() const { return big.source(); }
    bool stays = false;  // its source cannot send it
  };
  void consume(std::size_t n);
  // What of the first segment, which lies elsewhere, is to be sent next; empty when it is gone.
  std::string_view staged();

  std::deque<Segment> segments_;
  std::size_t offset_ = 0;  // how much of the first segment is sent
  std::uint64_t bytes_ = 0;
  std::string spare_;              // the last small buffer, for reuse
  std::unique_ptr<char[]> stage_;  // holds [stage_begin_, stage_begin_ + stage_size_) of the first segment
  std::size_t stage_begin_ = 0;
  std::size_t stage_size_ = 0;
  bool handing_over_ = false;
};

}  // namespace dask::net
