// ChildPipe: messages over a connected socket with plain blocking reads and writes: how a computation talks to its child processes.
// The framing is Dask's (core/wire/frames). Thread ownership: one thread at a time.
#pragma once

#include "core/base/result.h"
#include "core/runtime/process.h"
#include "core/wire/frames.h"

namespace dask::client {

class ChildPipe {
 public:
  explicit ChildPipe(FileDescriptor socket) : socket_(std::move(socket)) {}

  // kUnavailable when the other side is gone.
  Result<void> send(const wire::Frames& frames);
  Result<wire::Frames> receive();

 private:
  FileDescriptor socket_;
  wire::FrameReader reader_;
};

}  // namespace dask::client
