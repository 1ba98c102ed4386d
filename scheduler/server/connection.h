// Connection: one accepted comm. It starts as RPC (one request, one answer, in order) and may become a stream when a worker
// or client registers. Bad input ends the connection with a line in the log, nothing else.
// Thread ownership: the loop's thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>

#include "core/net/comm.h"
#include "core/wire/message.h"
#include "scheduler/server/rpc_call.h"

namespace dask::scheduler {

class Server;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Server& server, net::CommPtr comm) : server_(server), comm_(std::move(comm)) {}

  void start();
  net::Comm& comm() { return *comm_; }
  const net::CommPtr& comm_ptr() const { return comm_; }

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

  Server& server_;
  net::CommPtr comm_;
  std::deque<wire::Frames> waiting_;
  bool busy_ = false;
  std::weak_ptr<RpcCall> call_;  // that is being served
  std::function<void(std::vector<StreamMsg>)> on_batch_;
  std::function<void()> on_end_;
};

}  // namespace dask::scheduler
