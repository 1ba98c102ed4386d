// Outgoing: answers peers' get_data. So many at a time, then "busy": a peer that is told so asks another one or comes back.
// The values go out as the store gives them; what Python has not serialised yet is awaited, and everything else is answered at once.
// Source: distributed/worker.py (get_data). Thread ownership: the loop's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/net/rpc_call.h"
#include "core/runtime/clock.h"
#include "worker/store/store.h"

namespace dask::worker {

// "tcp://1.2.3.4:5678" -> "1.2.3.4"
std::string host_of(const std::string& address);

// A value that could not be serialised, as Dask sends it: the receiver raises TypeError with this text.
OpaquePtr serialisation_error(const std::string& text);
// True when this is one; `text` gets what it says.
bool is_serialisation_error(const Opaque& data, std::string& text);

class Outgoing {
 public:
  // `count_limit`: distributed.worker.connections.incoming; nullopt: no limit. Doubled for peers on our own host.
  Outgoing(Store& store, const Clock& clock, std::optional<std::uint64_t> count_limit)
      : store_(store), clock_(clock), limit_(count_limit) {}

  void set_host(std::string host) { host_ = std::move(host); }
  // While paused one transfer at a time goes out.
  void set_paused(bool paused) { paused_ = paused; }
  void get_data(const net::RpcCallPtr& call);

  std::uint64_t count() const { return count_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t count_total() const { return count_total_; }
  std::uint64_t bytes_total() const { return bytes_total_; }

 private:
  Store& store_;
  const Clock& clock_;
  std::optional<std::uint64_t> limit_;
  std::string host_;
  bool paused_ = false;
  std::uint64_t count_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t count_total_ = 0;
  std::uint64_t bytes_total_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);

 public:
  ~Outgoing() { *alive_ = false; }
};

}  // namespace dask::worker
