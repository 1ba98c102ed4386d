// From rows and filters to stages, and what lazy objects print.
#include "collections/dataframe/frame_impl.h"

#include <fmt/format.h>

#include <algorithm>

#include "collections/dataframe/tasks.h"
#include "dask/delayed.h"

namespace dask::dataframe::detail {
namespace {

// The chain of stages from the files up to these rows, which end in `last`.
const csv::ScanPlan& add_stages(const Rows& rows, Stage last, std::vector<Stage>& stages) {
  last.predicates = rows.filters;
  if (rows.source->scan) {
    stages.push_back(std::move(last));
    return *rows.source->scan;
  }
  Stage grouping;
  grouping.keys.push_back(rows.source->key);
  grouping.aggregates.push_back(rows.source->aggregate);
  const csv::ScanPlan& scan = add_stages(*rows.source->grouped_rows, std::move(grouping), stages);
  stages.push_back(std::move(last));
  return scan;
}

// Keeping all columns of a groupby's table, without a filter, changes nothing: the table is the result already.
bool is_identity(const Rows& rows, const Stage& stage) {
  if (!rows.source->grouped_rows || !rows.filters.empty() || stage.is_aggregation() || stage.columns.size() != 2 || stage.limit >= 0)
    return false;
  for (std::uint32_t i = 0; i < 2; ++i) {
    if (!(stage.columns[i].expr == Expr::column(i, rows.source->schema[i])) || stage.columns[i].name != rows.source->schema[i].name)
      return false;
  }
  return true;
}

std::string describe_filters(const Rows& rows) {
  std::string text;
  for (const Expr& filter : rows.filters) text += fmt::format("[{}]", filter.text());
  return text;
}

}  // namespace

bool contains(const Rows& outer, const Rows& inner) {
  if (outer.source != inner.source) return false;
  return std::all_of(outer.filters.begin(), outer.filters.end(), [&](const Expr& filter) {
    return std::find(inner.filters.begin(), inner.filters.end(), filter) != inner.filters.end();
  });
}

RowsPtr common_rows(const RowsPtr& a, const RowsPtr& b, const std::string& what) {
  if (contains(*a, *b) && contains(*b, *a)) return a;
  const std::string why = a->source != b->source ? "they come from different dataframes" : "they have different filters";
  throw std::invalid_argument(fmt::format("{} needs columns of the same rows, but {}; select both from the same dataframe", what, why));
}

NodePtr graph_of(const Rows& rows, Stage last) {
  std::vector<Stage> stages;
  const bool identity = is_identity(rows, last);
  const csv::ScanPlan& scan = add_stages(rows, std::move(last), stages);
  if (identity) stages.pop_back();
  return make_graph(scan, stages);
}

const csv::ScanPlan& scan_of(const Rows& rows) {
  const Rows* bottom = &rows;
  while (bottom->source->grouped_rows) bottom = bottom->source->grouped_rows.get();
  return *bottom->source->scan;
}

Stage columns_stage(const Rows& rows, const std::vector<NamedExpr>& columns) {
  Stage stage;
  if (rows.source->grouped_rows) {
    stage.columns.push_back({rows.source->schema[0].name, Expr::column(0, rows.source->schema[0])});
    stage.index_columns = 1;
  }
  stage.columns.insert(stage.columns.end(), columns.begin(), columns.end());
  return stage;
}

Stage reduction_stage(const Aggregate& aggregate) {
  Stage stage;
  stage.aggregates.push_back(aggregate);
  return stage;
}

Table compute_table(const NodePtr& node, const ComputeOptions& options) {
  try {
    return dask::detail::value_as<Table>(graph::compute(std::span(&node, 1), options).front(), node->key);
  } catch (const TaskError& error) {
    // The same mistake is the same exception, whichever process met it.
    if (error.type() == "dask::dataframe::DataError") throw DataError(error.what());
    if (error.type() == "std::invalid_argument") throw std::invalid_argument(error.what());
    throw;
  }
}

Table first_table(const Rows& rows, Stage stage, std::int64_t n) {
  if (n < 0) throw std::invalid_argument(fmt::format("head({}): the number of rows must not be negative", n));
  if (rows.source->scan) {
    stage.predicates = rows.filters;
    return first_rows(*rows.source->scan, std::move(stage), n);
  }
  stage.limit = n;
  return compute_table(graph_of(rows, std::move(stage)), {});
}

std::string describe(const Value& value) {
  const Source& source = *value.rows->source;
  if (source.grouped_rows && value.expr == Expr::column(1, source.schema[1])) {
    const std::string input = source.aggregate.input.nodes.empty() ? std::string() : source.aggregate.input.text();
    return fmt::format("{}({}) by {}{}{}", name_of(source.aggregate.kind), input, source.key.expr.text(),
                       describe_filters(*source.grouped_rows), describe_filters(*value.rows));
  }
  return value.expr.text() + describe_filters(*value.rows);
}

std::string describe(const Reduced& reduced) {
  const Expr& input = reduced.aggregate.input;
  return fmt::format("{}({})", name_of(reduced.aggregate.kind),
                     input.nodes.empty() ? std::string() : describe(Value{reduced.rows, reduced.aggregate.name, input}));
}

// Dask's picture of a lazy dataframe.
std::string describe(const Frame& frame) {
  const csv::ScanPlan& scan = scan_of(*frame.rows);
  const std::size_t partitions = frame.rows->source->scan ? scan.blocks.size() : 1;
  std::string head, types, dots;
  for (const NamedExpr& column : frame.columns) {
    const std::string type(dask_name(column.expr.type()));
    const std::size_t width = std::max(column.name.size(), type.size()) + 1;
    head += fmt::format("{:>{}}", column.name, width);
    types += fmt::format("{:>{}}", type, width);
    dots += fmt::format("{:>{}}", "...", width);
  }
  const std::string label = fmt::format("npartitions={}", partitions);
  const std::string blank(label.size(), ' ');
  return fmt::format("Dask DataFrame Structure:\n{}{}\n{}\n{}{}\n{}{}\nDask Name: read_csv{}", blank, head, label, blank, types, blank,
                     dots, describe_filters(*frame.rows));
}

}  // namespace dask::dataframe::detail
