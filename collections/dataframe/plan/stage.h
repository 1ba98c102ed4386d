// One pass over rows: filter them, then either keep columns or aggregate. A query is a chain of stages; the first runs on every block
// of the files at once with the reading (all partition-wise steps are fused into it), the later ones on the single table before them.
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "collections/dataframe/base/arrow_column.h"
#include "collections/dataframe/csv/scan_spec.h"
#include "collections/dataframe/expr/aggregate.h"
#include "collections/dataframe/expr/expression.h"
#include "core/base/result.h"

namespace dask::dataframe {

struct NamedExpr {
  std::string name;
  Expr expr;
  auto dask_fields() { return std::tie(name, expr); }
  auto dask_fields() const { return std::tie(name, expr); }
};

struct Stage {
  std::vector<Expr> predicates;
  // Either these columns (the first `index_columns` are labels), …
  std::vector<NamedExpr> columns;
  std::uint32_t index_columns = 0;
  std::int64_t limit = -1;  // rows; -1: all
  // … or these aggregates, per key when there is one.
  std::vector<NamedExpr> keys;  // none or one
  std::vector<Aggregate> aggregates;

  bool is_aggregation() const { return !aggregates.empty(); }
  auto dask_fields() { return std::tie(predicates, columns, index_columns, limit, keys, aggregates); }
  auto dask_fields() const { return std::tie(predicates, columns, index_columns, limit, keys, aggregates); }
};

// The columns of the table that a stage ends in.
std::vector<Field> output_schema(const Stage& stage);
// A stage that came as bytes: everything in it fits its input.
Result<void> check(const Stage& stage, const std::vector<Field>& input);
std::vector<Field> schema_of(const csv::Layout& layout);
Result<void> check(const csv::Layout& layout);

// Runs a stage on one block. Only the columns that it uses are parsed, those of filters first and the others only where filters hold.
// Aggregations give states, not results.
Result<TableData> scan_block(const csv::Layout& layout, const csv::Block& block, const Stage& stage);
// Makes one table of several of the same stage: states are merged, columns follow each other.
Result<TableData> combine(const Stage& stage, const std::vector<TablePtr>& parts);
// States to results.
Result<TableData> finish(const Stage& stage, const TableData& states);
// Runs a whole stage on one table, to its results.
Result<TableData> run_on_table(const Stage& stage, const TableData& table);

}  // namespace dask::dataframe
