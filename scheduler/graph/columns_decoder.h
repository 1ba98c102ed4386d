// The columns of a "lowered" answer, checked: every index lies in its range, every offset in its blob. Then what Python left to
// us: tasks that no wanted key needs are dropped, cycles found, ranks given. Private to scheduler/graph. Pure.
#pragma once

#include <utility>
#include <vector>

#include "core/base/result.h"
#include "scheduler/graph/helper_message.h"
#include "scheduler/graph/lowered_graph.h"

namespace dask::scheduler {

struct RawGraph {
  GraphColumns columns;            // as the helper numbered them, without `order`
  std::vector<std::uint8_t> data;  // per task: a DataNode
  std::vector<std::uint32_t> wanted;
};

// kMalformed: the helper does not follow the protocol.
Result<RawGraph> decode_columns(const HelperMessage& message);

// Keeps only the wanted keys' tasks. Gives for each of the helper's tasks its new index, UINT32_MAX when it is dropped.
std::vector<std::uint32_t> cull(RawGraph& graph);

// Fills columns.order: the client's priorities, or ranks of our own. kUserCode when the graph has a cycle, in Dask's words.
Result<void> give_order(RawGraph& graph, std::vector<std::pair<Key, double>> internal_priority);

}  // namespace dask::scheduler
