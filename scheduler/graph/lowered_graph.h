// What goes into the graph path and what comes out of it. Plain data.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/key.h"
#include "core/base/value.h"
#include "scheduler/machine/events.h"

namespace dask::scheduler {

// What a client sent, as far as lowering needs it. submitting_task, fifo_timeout and actors stay with the caller.
struct GraphRequest {
  std::string client;
  Value expr_ser;                                         // opaque node
  std::vector<Key> keys;                                  // wanted
  std::vector<std::pair<Key, double>> internal_priority;  // empty: the order is computed
  Value annotations;                                      // opaque node, plain value or nil
  Value code;                                             // the same
  Value span_metadata;                                    // the same
};

struct LoweredGraph {
  GraphColumns columns;               // only what the wanted keys need; `order` is always filled
  std::vector<std::uint32_t> wanted;  // per wanted key its index in columns.keys, UINT32_MAX when the graph does not mention it
  Value description;                  // map: code (list of maps), span_metadata, annotations; for people, not for decisions
};

// Pickled run specs of some tasks: their index in the columns.
struct SpecBatch {
  std::vector<std::pair<std::uint32_t, OpaquePtr>> specs;
};

}  // namespace dask::scheduler
