// A FlatGraph as the bytes of a NativeGraph message (docs/native-protocol.md). The only file of the client that knows Protobuf is behind
// it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "client/flat_graph.h"
#include "core/base/result.h"

namespace dask::client {

// `is_there` says of a node that is a future whether the scheduler knows its key; other leaves are sent as values. `inline_bytes_max`: of
// results that may come along with the report that they are there.
Result<std::string> encode_graph(const FlatGraph& graph, const std::function<bool(const Node&)>& is_there, std::uint32_t inline_bytes_max);

}  // namespace dask::client
