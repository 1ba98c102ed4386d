// Incoming: asks peers for data. One request for GatherDep, and the RPC `gather` (replicate, rebalance) that tries holder after holder.
// Knows no state machine: it says what came, and what became of what did not. Source: distributed/utils_comm.py (gather_from_workers).
// Thread ownership: the loop's thread. Must not outlive the pool.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/key.h"
#include "core/base/result.h"
#include "core/net/loop.h"
#include "core/net/rpc.h"

namespace dask::worker {

// A peer's answer to get_data.
struct Gathered {
  enum class Outcome : std::uint8_t { kOk, kBusy, kNetworkFailure, kFailure };
  Outcome outcome = Outcome::kOk;
  std::vector<std::pair<Key, OpaquePtr>> data;            // keys that the peer does not have are missing
  std::vector<std::pair<Key, std::string>> unserialised;  // the peer could not serialise these: its words
  Value failure;                                          // kFailure: the peer's error reply, or nil with `text`
  std::string text;
};

class Incoming {
 public:
  Incoming(net::Loop& loop, net::RpcPool& pool) : loop_(loop), pool_(pool) {}
  ~Incoming() { *alive_ = false; }

  void set_who(std::string address) { who_ = std::move(address); }
  // One get_data. `done` is called once, unless this object goes first.
  void get_data(const std::string& worker, const std::vector<Key>& keys, std::function<void(Gathered)> done);

  // Fetches every key from one of its holders; asks busy ones again. `got` gets what comes, as it comes; then `done` those that nobody
  // gave.
  using WhoHas = std::vector<std::pair<Key, std::vector<std::string>>>;
  void gather(WhoHas who_has, std::function<void(std::vector<std::pair<Key, OpaquePtr>>)> got, std::function<void(std::vector<Key>)> done);

 private:
  struct Round;
  void next_round(const std::shared_ptr<Round>& round);

  net::Loop& loop_;
  net::RpcPool& pool_;
  std::string who_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace dask::worker
