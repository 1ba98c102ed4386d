// One RPC request and the one answer to it. Handlers may keep the call and answer later; the connection waits.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/key.h"
#include "core/base/value.h"
#include "core/net/comm.h"

namespace dask::scheduler {

class RpcCall {
 public:
  RpcCall(Value message, net::CommPtr from, std::function<void(Value)> answer)
      : msg(std::move(message)), comm(std::move(from)), answer_(std::move(answer)) {}
  // A call that nobody answered is answered with an error: a connection never hangs for a mistake of ours.
  ~RpcCall();

  Value msg;          // the request: op and keyword arguments
  net::CommPtr comm;  // where it came from

  void reply(Value value);
  // Dask's error reply: the client raises `cls` ("builtins.ValueError") with this text.
  void raise(std::string_view cls, std::string_view text);
  bool answered() const { return !answer_; }
  // The caller's connection has ended: nobody is answered any more, and `told` is called, once. A handler that waits drops its waiter.
  void on_abandoned(std::function<void()> told) { told_ = std::move(told); }
  void abandon();

 private:
  std::function<void(Value)> answer_;
  std::function<void()> told_;
};
using RpcCallPtr = std::shared_ptr<RpcCall>;

class Server;
using RpcHandler = std::function<void(Server&, RpcCallPtr)>;
// By operation.
using RpcTable = std::map<std::string, RpcHandler, std::less<>>;

// Each group of operations adds itself to the table.
void add_data_operations(RpcTable& table);            // rpc_data.cc: gather, scatter, who_has, …
void add_cluster_operations(RpcTable& table);         // rpc_cluster.cc: identity, retire_workers, broadcast, restart, …
void add_info_operations(RpcTable& table);            // rpc_info.cc: events, logs, metadata, story, …
void add_dump_operations(RpcTable& table);            // rpc_dump.cc: dump_state, get_cluster_state
void add_profile_operations(RpcTable& table);         // rpc_profile.cc: profile, profile_metadata
void add_adjust_operations(RpcTable& table);          // rpc_adjust.cc: set_restrictions, set_resources, task metadata
void add_measure_operations(RpcTable& table);         // rpc_measure.cc: memory_sampler_*, benchmark_hardware
void add_memory_manager_operations(RpcTable& table);  // memory_manager.cc: amm_handler
void add_replica_operations(RpcTable& table);         // rpc_replicas.cc: replicate, rebalance
void add_extension_operations(RpcTable& table);       // rpc_extensions.cc: locks, events, queues, variables, published datasets

// Shared by the groups: reads of common argument shapes. Lists may be given as one item, sets or None.
std::vector<Key> keys_of(const Value& value);
std::vector<std::string> strings_of(const Value& value);

}  // namespace dask::scheduler
