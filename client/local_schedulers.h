// The schedulers of one program: "sync" runs tasks one after the other in the calling thread, "threads" on a pool that steals work,
// "processes" in child processes that are this program again. Values that nobody needs any more are let go while the graph runs. An
// exception of a task ends the computation and arrives as it was thrown (processes: as TaskError).
#pragma once

#include <vector>

#include "client/flat_graph.h"
#include "client/progress.h"
#include "core/native/value.h"

namespace dask::client {

// Each gives the values of graph.wanted. Futures in the graph are waited for first.
std::vector<native::NativeValue> run_sync(const FlatGraph& graph, Progress& progress);
std::vector<native::NativeValue> run_threads(const FlatGraph& graph, Progress& progress, unsigned threads);
std::vector<native::NativeValue> run_processes(const FlatGraph& graph, Progress& progress, unsigned processes);

// The value of a node that needs no computing: one that is here, or a future's.
native::NativeValue leaf_value(const Node& node);

}  // namespace dask::client
