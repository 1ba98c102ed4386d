// The three native functions that a dataframe's graph is made of, and the graph itself. The same graph runs on every scheduler.
//
//   scan_block ×partitions  →  combine_parts (a tree, kTreeWidth wide)  →  finish_query
//
// What they throw is DataError (files) or std::invalid_argument (a task that is none).
#pragma once

#include <vector>

#include "collections/dataframe/csv/scan_plan.h"
#include "collections/dataframe/plan/stage.h"
#include "dask/dataframe_table.h"
#include "dask/graph.h"

namespace dask::dataframe {

// How many partial results one task merges.
inline constexpr std::size_t kTreeWidth = 16;

struct ScanTask {
  csv::Layout layout;
  csv::Block block;
  Stage stage;
  auto dask_fields() { return std::tie(layout, block, stage); }
  auto dask_fields() const { return std::tie(layout, block, stage); }
};

Table scan_partition(const ScanTask& task);
Table combine_parts(const Stage& stage, const std::vector<Table>& parts);
// Merges what is left of the first stage, then runs the others.
Table finish_query(const std::vector<Stage>& stages, const std::vector<Table>& parts);

// The last node of the graph of a query.
NodePtr make_graph(const csv::ScanPlan& scan, const std::vector<Stage>& stages);

// The first `limit` rows of a query of one stage: block after block, in this process, until there are enough.
Table first_rows(const csv::ScanPlan& scan, Stage stage, std::int64_t limit);

// Throws the error as the API does.
[[noreturn]] void raise(const Error& error);

}  // namespace dask::dataframe
