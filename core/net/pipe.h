// FramePipe: whole messages over a connected unix stream socket, both ways: u64 length (little-endian), then the bytes.
// How a program talks to its child processes (graph helper, executors). Large messages are received into memory of their
// own and sent from where they are. Ends when the other side does.
// Thread ownership: the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/net/loop.h"
#include "core/runtime/process.h"

namespace dask::net {

class FramePipe {
 public:
  struct Limits {
    std::uint64_t message_bytes_max = 1ULL << 40;
    std::uint64_t outgoing_bytes_max = 64ULL << 30;
  };
  FramePipe(Loop& loop, FileDescriptor socket);
  FramePipe(Loop& loop, FileDescriptor socket, Limits limits);
  // Closes; no handler is called any more.
  ~FramePipe();

  // Called for every message, in order. Reading starts when it is set.
  void on_message(std::function<void(Bytes)> handler);
  // Called once when the other side is gone or out of step (kUnavailable, kMalformed, kLimit).
  void on_closed(std::function<void(Error)> handler);

  // Sends the parts as one message; big ones are not copied. Dropped when the pipe is closed.
  void send(std::vector<Bytes> parts);
  std::uint64_t outgoing_bytes() const;  // queued, not yet handed to the kernel
  void close();
  bool closed() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace dask::net
