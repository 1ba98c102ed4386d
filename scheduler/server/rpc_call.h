// The scheduler's table of RPC operations: which groups there are, and what a handler is.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "core/net/rpc_call.h"

namespace dask::scheduler {

using net::keys_of;
using net::RpcCall;
using net::RpcCallPtr;
using net::strings_of;

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
void add_shuffle_operations(RpcTable& table);         // shuffle_manager.cc: shuffle_*
void add_extension_operations(RpcTable& table);       // rpc_extensions.cc: locks, events, queues, variables, published datasets

}  // namespace dask::scheduler
