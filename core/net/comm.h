// Comm: one connection that speaks Dask's messages, after the handshake. Listener and connect() make them.
// Written output is queued and sent at the end of the loop's turn; a peer that does not read makes the queue grow up to
// CommLimits::outgoing_bytes_max, then the comm is closed with kLimit. Source: distributed/comm/tcp.py, comm/core.py.
// Thread ownership: the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/net/loop.h"
#include "core/wire/frames.h"

namespace dask::net {

struct CommLimits {
  std::uint64_t outgoing_bytes_max = 64ULL << 30;
  Loop::Duration handshake_timeout = std::chrono::seconds(30);
  Loop::Duration connect_timeout = std::chrono::seconds(30);
  int listen_backlog = 2048;
};

// scheme://host:port. Dask's forms: "tcp://10.0.0.1:8786", "10.0.0.1:8786", ":8786", "tcp://[::1]:8786".
struct Address {
  std::string scheme = "tcp";
  std::string host;  // empty: all interfaces (listen), this host (connect)
  std::uint16_t port = 0;
  std::string str() const;
};
Result<Address> parse_address(std::string_view text);

// Receives a frame of `size` bytes straight off `socket` to where it belongs, behind what has come of it, and calls `done` later, once,
// with all of it. Until then nobody else reads there. False when it cannot: the comm receives.
using TakeFrame =
    std::function<bool(int socket, std::string_view received, std::uint64_t size, std::function<void(Result<Bytes> frame)> done)>;
// Smaller frames are received by the comm.
inline constexpr std::uint64_t kTakenFrameBytesMin = 4 << 20;

class Comm : public std::enable_shared_from_this<Comm> {
 public:
  virtual ~Comm() = default;

  // Called for every message, in order; never from inside send() or on_message(). Set once, before the turn ends in which the
  // comm was made.
  virtual void on_message(std::function<void(wire::Frames)> handler) = 0;
  // Called once when the connection has ended for any reason but close()/abort() of ours.
  virtual void on_closed(std::function<void(Error)> handler) = 0;

  // Who receives large frames, if not the comm.
  virtual void take_frames_with(TakeFrame take) { static_cast<void>(take); }

  virtual void send(wire::Frames frames) = 0;
  // Stops/continues to read: later messages wait in the kernel (update-graph blocks later messages of its client).
  virtual void pause_reading() = 0;
  virtual void resume_reading() = 0;

  // Sends what is queued, then ends the connection; no handler is called any more.
  virtual void close() = 0;
  // Ends it at once.
  virtual void abort() = 0;
  virtual bool closed() const = 0;

  virtual std::string peer_address() const = 0;  // tcp://1.2.3.4:5678
  virtual std::string local_address() const = 0;
  virtual std::uint64_t outgoing_bytes() const = 0;  // queued, not yet handed to the kernel
  // What the peer said in its handshake.
  virtual const Value& peer_handshake() const = 0;
};
using CommPtr = std::shared_ptr<Comm>;

class Listener {
 public:
  virtual ~Listener() = default;
  virtual std::string address() const = 0;  // with the real port: tcp://127.0.0.1:40123
  virtual std::uint16_t port() const = 0;
  virtual void close() = 0;
};

// Listens and calls `accepted` for each connection whose handshake is done. kUnavailable when the address is in use; the
// message names it and says what to do.
Result<std::unique_ptr<Listener>> listen(Loop& loop, const Address& address, std::function<void(CommPtr)> accepted, CommLimits limits = {});

// Connects and shakes hands. `done` is called exactly once, later.
void connect(Loop& loop, const Address& address, std::function<void(Result<CommPtr>)> done, CommLimits limits = {});

}  // namespace dask::net
