// What the handles of <dask/dataframe.h> point to: expressions over rows of a source. Nothing here reads data.
//
// A source is files, or the table of a groupby. Rows are a source with filters. Everything that stands on the same source and filters
// may be combined; a filter's condition may also stand on fewer filters (df[flown].groupby(df["Date"]) means the flown rows' dates).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "collections/dataframe/csv/scan_plan.h"
#include "collections/dataframe/plan/stage.h"
#include "dask/dataframe.h"

namespace dask::dataframe::detail {

struct Source {
  std::vector<Field> schema;
  // Files, or else a groupby of other rows.
  std::shared_ptr<const csv::ScanPlan> scan;
  std::shared_ptr<const Rows> grouped_rows;
  NamedExpr key;
  Aggregate aggregate;
};

struct Rows {
  std::shared_ptr<const Source> source;
  std::vector<Expr> filters;
};
using RowsPtr = std::shared_ptr<const Rows>;

struct Value {  // a Series
  RowsPtr rows;
  std::string name;
  Expr expr;
};

struct Frame {
  RowsPtr rows;
  std::vector<NamedExpr> columns;
};

struct Grouped {
  RowsPtr rows;
  NamedExpr key;
  std::vector<NamedExpr> columns;  // of the frame
};

struct Reduced {  // a Scalar
  RowsPtr rows;
  Aggregate aggregate;
};

// True when rows of `inner` are rows of `outer`: the same source, and all of outer's filters among inner's.
bool contains(const Rows& outer, const Rows& inner);
// The rows on which both stand. Throws std::invalid_argument that says what to do.
RowsPtr common_rows(const RowsPtr& a, const RowsPtr& b, const std::string& what);

// The query that computes rows with this last stage (whose filters are added from the rows).
NodePtr graph_of(const Rows& rows, Stage last);
// The files at the bottom.
const csv::ScanPlan& scan_of(const Rows& rows);
// A stage that keeps columns of rows, labels first.
Stage columns_stage(const Rows& rows, const std::vector<NamedExpr>& columns);
Stage reduction_stage(const Aggregate& aggregate);

Table compute_table(const NodePtr& node, const ComputeOptions& options);
Table first_table(const Rows& rows, Stage stage, std::int64_t n);

std::string describe(const Value& value);
std::string describe(const Reduced& reduced);
std::string describe(const Frame& frame);

}  // namespace dask::dataframe::detail
