// Courier: our side of the thread in the executor that moves large frames between the interpreter's memory and sockets of peers
// (worker/courier). The connections stay ours: nobody else writes to them, or reads, until the courier has reported.
// Thread ownership: the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/net/loop.h"
#include "core/runtime/process.h"

namespace dask::net {
class PacketPipe;
}

namespace dask::worker {

class Courier : public std::enable_shared_from_this<Courier> {
 public:
  Courier(net::Loop& loop, FileDescriptor control);
  ~Courier();

  // Sends [address, address + size) of the executor's memory. `sent` is called later, once: 0, an errno, or ESTALE when the executor has
  // ended. False when kCourierTransfersMax are under way, or it has.
  bool send(int socket, std::uint64_t address, std::uint64_t size, std::function<void(int error)> sent);
  // Fills a new block of the executor's memory with `size` bytes, from `filled` on with what comes from the socket. `received` is called as
  // `sent` is; the block stays until free().
  using Received = std::function<void(int error, std::uint64_t block, std::uint64_t address)>;
  bool receive(int socket, std::uint64_t size, std::uint64_t filled, Received received);
  void free(std::uint64_t block);
  // The executor has ended, and with it all that is under way.
  void end();

  std::uint64_t sent_bytes() const { return sent_bytes_; }
  std::uint64_t received_bytes() const { return received_bytes_; }
  std::uint64_t refused() const { return refused_; }

 private:
  struct Transfer {
    std::uint64_t size = 0;
    std::function<void(int error, std::uint64_t address)> done;
  };
  bool may_begin();
  void take_report(std::string_view packet);

  net::Loop& loop_;
  std::unique_ptr<net::PacketPipe> pipe_;
  std::unordered_map<std::uint64_t, Transfer> under_way_;
  std::uint64_t last_id_ = 0;
  std::uint64_t sent_bytes_ = 0;
  std::uint64_t received_bytes_ = 0;
  std::uint64_t refused_ = 0;
  bool ended_ = false;
};

// Where the library that Python loads is: $DASK_NATIVE_COURIER, else beside this program; empty: nowhere.
std::string default_courier_library();

}  // namespace dask::worker
