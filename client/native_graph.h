// A FlatGraph as the bytes of a NativeGraph message (docs/native-protocol.md). The only file of the client that knows Protobuf is behind
// it.
#pragma once

#include <functional>
#include <string>

#include "client/flat_graph.h"
#include "core/base/result.h"

namespace dask::client {

// `is_there` says of a node that is a future whether the scheduler knows its key; other leaves are sent as values.
Result<std::string> encode_graph(const FlatGraph& graph, const std::function<bool(const Node&)>& is_there);

}  // namespace dask::client
