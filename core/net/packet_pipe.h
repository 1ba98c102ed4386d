// PacketPipe: packets that may carry a descriptor, over a SOCK_SEQPACKET pair to another process of this machine.
// Thread ownership: the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "core/net/loop.h"
#include "core/runtime/process.h"

namespace dask::net {

class PacketPipe {
 public:
  static constexpr std::size_t kPacketBytesMax = 4096;  // longer ones are cut

  PacketPipe(Loop& loop, FileDescriptor socket);
  // Closes; no handler is called any more.
  ~PacketPipe();

  void on_packet(std::function<void(std::string_view)> handler);
  // Called once when the other side is gone.
  void on_closed(std::function<void()> handler);
  // The other side gets a duplicate of `descriptor` (-1: none). What the kernel does not take at once waits, with a duplicate of our own.
  void send(std::string_view packet, int descriptor = -1);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace dask::net
