// Connection: one accepted comm of a server. It starts as RPC (one request, one answer, in order) and may become a stream when a worker
// or client registers. Bad input ends the connection with a line in the log, nothing else.
// Thread ownership: the loop's thread.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/net/comm.h"
#include "core/net/rpc_call.h"
#include "core/wire/message.h"

namespace dask::net {

class Connection;

// What a server counts of its connections, for /metrics.
struct ConnectionCounters {
  std::uint64_t unknown_operations = 0;
  std::uint64_t malformed_messages = 0;
  std::uint64_t rpc_calls = 0;
  std::uint64_t stream_messages = 0;
};

// The server behind connections. It must outlive them.
class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;
  // A request that makes the connection something else (register-worker); true: it was one, and `message` is taken.
  virtual bool take_over(const std::shared_ptr<Connection>& connection, std::string_view op, Value& message) = 0;
  // A request to answer, now or later. A call that is dropped is answered with an error.
  virtual void serve(std::string_view op, RpcCallPtr call) = 0;
  // The connection has ended, or is to end: forget it. It may be on the stack.
  virtual void drop(Connection& connection) = 0;
  virtual Loop& loop() = 0;
  virtual ConnectionCounters& counters() = 0;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(ConnectionHost& host, CommPtr comm) : host_(host), comm_(std::move(comm)) {}

  void start();
  Comm& comm() { return *comm_; }
  const CommPtr& comm_ptr() const { return comm_; }

  // From now on every message goes to `on_batch`, and `on_end` is called once when the connection ends from outside.
  void become_stream(std::function<void(std::vector<StreamMsg>)> on_batch, std::function<void()> on_end);
  // What comes is thrown away until the peer ends the connection: it has been told to.
  void linger();
  // Ends it after what is queued; no handler is called any more.
  void close();

 private:
  void receive(wire::Frames frames);
  void serve_next();
  void serve(Value message);
  void ended(const Error& error);
  void abandon_call();
  void acknowledged(bool arrived);

  ConnectionHost& host_;
  CommPtr comm_;
  std::deque<wire::Frames> waiting_;
  bool busy_ = false;
  std::weak_ptr<RpcCall> call_;                // that is being served
  std::function<void(bool)> acknowledgement_;  // an answer was sent and the caller's "OK" is due
  std::function<void(std::vector<StreamMsg>)> on_batch_;
  std::function<void()> on_end_;
};

}  // namespace dask::net
