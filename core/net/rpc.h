// RPC as Dask does it: one map per message with `op`, `reply`, keyword arguments; strictly serial per connection, several
// pooled connections per peer. Source: distributed/core.py (Server.handle_comm, ConnectionPool, send_recv).
// Thread ownership: the loop's thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/net/comm.h"

namespace dask::net {

// A pool of outgoing connections. Idle ones are kept (at most connections_max in all) and reused.
class RpcPool {
 public:
  struct Limits {
    std::size_t connections_max = 512;
    Loop::Duration reply_timeout = Loop::Duration::zero();  // zero: no limit; a worker may compute for hours in `run`
  };
  explicit RpcPool(Loop& loop);
  RpcPool(Loop& loop, Limits limits);
  ~RpcPool();

  // Sends {"op": op, "reply": true, **arguments} to `address` and calls `done` exactly once with the reply. A reply whose
  // status is "uncaught-error" is handed over as it is. `acknowledge`: after the reply send "OK" (get_data's second step)
  // unless its status is "busy".
  void call(const std::string& address, Value message, std::function<void(Result<Value>)> done, bool acknowledge = false);
  // Who receives large frames of the replies that are acknowledged, those of get_data.
  void take_frames_with(TakeFrame take);
  // Closes the idle connections to `address` (the worker left); calls under way fail when their connection ends.
  void forget(const std::string& address);
  void close();
  std::size_t open_connections() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace dask::net
