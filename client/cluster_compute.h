// Computing on the current client's cluster: what compute() and persist() do with the scheduler "distributed".
#pragma once

#include <span>
#include <vector>

#include "dask/graph.h"

namespace dask::client {

bool has_current_client();
std::vector<native::NativeValue> compute_on_cluster(std::span<const NodePtr> wanted);
std::vector<NodePtr> persist_on_cluster(std::span<const NodePtr> wanted);

}  // namespace dask::client
