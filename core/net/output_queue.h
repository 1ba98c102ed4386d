// OutputQueue: bytes on their way to a socket. Small pieces are copied together into one buffer, big ones are referenced and
// never copied; one gathering write sends many of them. Used by Comm and FramePipe, knows neither.
// Thread ownership: the loop's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "core/base/bytes.h"

namespace dask::net {

class OutputQueue {
 public:
  // Pieces up to here are copied: cheaper than a segment of its own in the gathering write.
  static constexpr std::size_t kCopyBytesMax = 8 * 1024;

  void add(const Bytes& bytes);
  void add_copy(std::string_view bytes);
  std::uint64_t bytes() const { return bytes_; }
  bool empty() const { return bytes_ == 0; }
  void clear();

  enum class Outcome {
    kEmpty,    // everything is with the kernel
    kBlocked,  // the kernel takes no more for now, or the turn's budget is spent: wait until writable
    kFailed,   // errno says why
  };
  // Writes to the non-blocking socket `fd`.
  Outcome write_to(int fd);

 private:
  struct Segment {
    std::string small;  // used when `big` is empty
    Bytes big;
    std::string_view view() const { return big.empty() ? std::string_view(small) : big.view(); }
  };
  void consume(std::size_t n);

  std::deque<Segment> segments_;
  std::size_t offset_ = 0;  // how much of the first segment is sent
  std::uint64_t bytes_ = 0;
  std::string spare_;  // the last small buffer, for reuse
};

}  // namespace dask::net
