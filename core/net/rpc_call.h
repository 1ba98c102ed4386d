// One RPC request and the one answer to it. Handlers may keep the call and answer later; the connection waits.
// Thread ownership: the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/key.h"
#include "core/base/value.h"
#include "core/net/comm.h"

namespace dask::net {

class RpcCall {
 public:
  RpcCall(Value message, CommPtr from, std::function<void(Value)> answer)
      : msg(std::move(message)), comm(std::move(from)), answer_(std::move(answer)) {}
  // A call that nobody answered is answered with an error: a connection never hangs for a mistake of ours.
  ~RpcCall();

  Value msg;     // the request: op and keyword arguments
  CommPtr comm;  // where it came from

  void reply(Value value);
  // For an answer that the caller acknowledges with "OK" (get_data): `told` is called once, true when that came, false when the
  // connection ended before.
  void reply_acknowledged(Value value, std::function<void(bool)> told);
  // Dask's error reply: the client raises `cls` ("builtins.ValueError") with this text.
  void raise(std::string_view cls, std::string_view text);
  bool answered() const { return !answer_; }
  // The caller's connection has ended: nobody is answered any more, and `told` is called, once. A handler that waits drops its waiter.
  void on_abandoned(std::function<void()> told) { told_ = std::move(told); }
  void abandon();
  // For Connection: what reply_acknowledged() was given.
  std::function<void(bool)> take_acknowledgement() { return std::exchange(acknowledgement_, {}); }

 private:
  std::function<void(Value)> answer_;
  std::function<void()> told_;
  std::function<void(bool)> acknowledgement_;
};
using RpcCallPtr = std::shared_ptr<RpcCall>;

// Reads of common argument shapes. Lists may be given as one item, sets or None.
std::vector<Key> keys_of(const Value& value);
std::vector<std::string> strings_of(const Value& value);

}  // namespace dask::net
