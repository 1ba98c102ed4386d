// A stage on a block, on partial results, on a table.
#include "collections/dataframe/plan/stage.h"

#include <fmt/format.h>

#include <algorithm>

#include "collections/dataframe/csv/block_reader.h"
#include "collections/dataframe/expr/evaluate.h"

namespace dask::dataframe {
namespace {

// Where a stage's rows end: in an aggregator or in columns.
class Sink {
 public:
  explicit Sink(const Stage& stage)
      : stage_(stage),
        aggregator_(stage.keys.empty() ? nullptr : &stage.keys[0].expr, stage.keys.empty() ? std::string() : stage.keys[0].name,
                    stage.aggregates) {
    for (const NamedExpr& column : stage.columns) builders_.emplace_back(column.expr.type());
  }

  // False when no more rows are wanted.
  bool consume(const Batch& batch) {
    if (stage_.is_aggregation()) {
      aggregator_.consume(batch);
      return true;
    }
    for (std::size_t i = 0; i < builders_.size(); ++i) builders_[i].append(*evaluate(stage_.columns[i].expr, batch));
    rows_ += static_cast<std::int64_t>(batch.rows);
    return stage_.limit < 0 || rows_ < stage_.limit;
  }
  std::int64_t rows_wanted() const { return stage_.limit < 0 ? -1 : std::max<std::int64_t>(0, stage_.limit - rows_); }

  Aggregator& aggregator() { return aggregator_; }

  TableData columns() {
    TableData table;
    table.rows = rows_;
    table.index_columns = stage_.index_columns;
    for (std::size_t i = 0; i < builders_.size(); ++i) {
      table.schema.push_back({stage_.columns[i].name, stage_.columns[i].expr.type()});
      table.columns.push_back(builders_[i].finish());
    }
    return table;
  }

 private:
  const Stage& stage_;
  Aggregator aggregator_;
  std::vector<ColumnBuilder> builders_;
  std::int64_t rows_ = 0;
};

// The columns that a stage's filters read, and those that all the rest reads.
struct Needs {
  std::vector<bool> by_filters, by_rest;
};
Needs needs_of(const Stage& stage, std::size_t columns) {
  Needs needs{std::vector<bool>(columns), std::vector<bool>(columns)};
  for (const Expr& predicate : stage.predicates) predicate.mark_columns(needs.by_filters);
  for (const NamedExpr& column : stage.columns) column.expr.mark_columns(needs.by_rest);
  for (const NamedExpr& key : stage.keys) key.expr.mark_columns(needs.by_rest);
  for (const Aggregate& aggregate : stage.aggregates) aggregate.input.mark_columns(needs.by_rest);
  return needs;
}

void truncate(std::vector<std::uint32_t>& selection, std::int64_t rows_wanted) {
  if (rows_wanted >= 0 && selection.size() > static_cast<std::size_t>(rows_wanted)) selection.resize(static_cast<std::size_t>(rows_wanted));
}

std::vector<std::uint32_t> all_rows(std::size_t rows) {
  std::vector<std::uint32_t> selection(rows);
  for (std::uint32_t row = 0; row < rows; ++row) selection[row] = row;
  return selection;
}

// Runs filters and sink over the rows of one block.
class BlockScan {
 public:
  BlockScan(csv::BlockReader reader, const Stage& stage, std::size_t columns)
      : reader_(std::move(reader)), stage_(stage), needs_(needs_of(stage, columns)), space_(columns), sink_(stage) {
    batch_.columns.resize(columns);
  }

  Result<TableData> run() {
    for (;;) {
      DASK_TRY(const bool more, reader_.next());
      if (!more) break;
      batch_.rows = reader_.rows();
      const std::vector<std::uint32_t>* selection = nullptr;
      if (!stage_.predicates.empty() || sink_.rows_wanted() >= 0) {
        for (std::uint32_t i = 0; i < batch_.columns.size(); ++i)
          if (needs_.by_filters[i]) DASK_TRY_VOID(parse(i, nullptr));
        selection_ = stage_.predicates.empty() ? all_rows(batch_.rows) : select(stage_.predicates, batch_);
        truncate(selection_, sink_.rows_wanted());
        selection = &selection_;
      }
      const bool all = !selection || selection->size() == batch_.rows;
      for (std::uint32_t i = 0; i < batch_.columns.size(); ++i) {
        if (!needs_.by_rest[i]) continue;
        if (needs_.by_filters[i]) {
          if (!all) batch_.columns[i] = take(*batch_.columns[i], *selection);
        } else {
          DASK_TRY_VOID(parse(i, all ? nullptr : selection));
        }
      }
      if (!all) batch_.rows = selection->size();
      if (!sink_.consume(batch_)) break;
    }
    return stage_.is_aggregation() ? sink_.aggregator().states() : sink_.columns();
  }

 private:
  // Into the column's own space, which is used again for the next rows.
  Result<void> parse(std::uint32_t column, const std::vector<std::uint32_t>* selection) {
    batch_.columns[column] = nullptr;
    if (!space_[column] || space_[column].use_count() > 1) space_[column] = std::make_shared<Vec>();
    DASK_TRY_VOID(reader_.parse(column, selection, *space_[column]));
    batch_.columns[column] = space_[column];
    return {};
  }

  csv::BlockReader reader_;
  const Stage& stage_;
  Needs needs_;
  std::vector<std::shared_ptr<Vec>> space_;
  Batch batch_;
  std::vector<std::uint32_t> selection_;
  Sink sink_;
};

// A stage whose input is not at hand: enough that merging its results reads nothing that is not there.
Result<void> check_form(const Stage& stage) {
  const auto empty = [](const NamedExpr& named) { return named.expr.nodes.empty(); };
  const bool bad_aggregate = std::any_of(stage.aggregates.begin(), stage.aggregates.end(), [](const Aggregate& aggregate) {
    if (aggregate.kind > AggregateKind::kMax) return true;
    if (aggregate.input.nodes.empty()) return aggregate.kind != AggregateKind::kSize;
    return aggregate.input.type() > Type::kTimestamp || !result_type(aggregate.kind, aggregate.input.type());
  });
  if (bad_aggregate || stage.keys.size() > 1 || std::any_of(stage.keys.begin(), stage.keys.end(), empty) ||
      std::any_of(stage.columns.begin(), stage.columns.end(), empty) || (!stage.columns.empty() && stage.is_aggregation())) {
    return fail(ErrorCode::kMalformed, "a stage that is none");
  }
  return {};
}

}  // namespace

std::vector<Field> schema_of(const csv::Layout& layout) {
  std::vector<Field> schema;
  for (const csv::Column& column : layout.columns) schema.push_back({column.name, column.type});
  return schema;
}

Result<void> check(const csv::Layout& layout) {
  const bool good =
      layout.fields > 0 && layout.fields <= 100'000 && layout.separator.size() == 1 &&
      std::all_of(layout.columns.begin(), layout.columns.end(), [&](const csv::Column& column) {
        return column.type <= Type::kTimestamp && !column.fields.empty() &&
               (column.fields.size() == 1 || column.type == Type::kTimestamp) &&
               std::all_of(column.fields.begin(), column.fields.end(), [&](std::uint32_t field) { return field < layout.fields; });
      });
  if (!good) return fail(ErrorCode::kMalformed, "a task of a dataframe with a layout that is none");
  return {};
}

std::vector<Field> output_schema(const Stage& stage) {
  std::vector<Field> schema;
  for (const NamedExpr& column : stage.columns) schema.push_back({column.name, column.expr.type()});
  for (const NamedExpr& key : stage.keys) schema.push_back({key.name, key.expr.type()});
  for (const Aggregate& aggregate : stage.aggregates) {
    const auto type = result_type(aggregate.kind, aggregate.input.nodes.empty() ? Type::kInt64 : aggregate.input.type());
    schema.push_back({aggregate.name, type ? *type : Type::kInt64});
  }
  return schema;
}

Result<void> check(const Stage& stage, const std::vector<Field>& input) {
  for (const Expr& predicate : stage.predicates) {
    DASK_TRY_VOID(check(predicate, input));
    if (predicate.type() != Type::kBoolean) return fail(ErrorCode::kMalformed, "a filter that is not true or false");
  }
  for (const NamedExpr& column : stage.columns) DASK_TRY_VOID(check(column.expr, input));
  for (const NamedExpr& key : stage.keys) DASK_TRY_VOID(check(key.expr, input));
  for (const Aggregate& aggregate : stage.aggregates) {
    if (aggregate.kind > AggregateKind::kMax) return fail(ErrorCode::kMalformed, "an unknown aggregation");
    if (aggregate.kind == AggregateKind::kSize && aggregate.input.nodes.empty()) continue;
    DASK_TRY_VOID(check(aggregate.input, input));
    DASK_TRY([[maybe_unused]] const Type type, result_type(aggregate.kind, aggregate.input.type()));
  }
  if (stage.keys.size() > 1 || (!stage.columns.empty() && stage.is_aggregation()) || stage.index_columns > stage.columns.size())
    return fail(ErrorCode::kMalformed, "a stage that is none");
  return {};
}

Result<TableData> scan_block(const csv::Layout& layout, const csv::Block& block, const Stage& stage) {
  DASK_TRY_VOID(check(layout));
  DASK_TRY_VOID(check(stage, schema_of(layout)));
  const Needs needs = needs_of(stage, layout.columns.size());
  std::vector<std::uint32_t> wanted;
  for (std::uint32_t i = 0; i < layout.columns.size(); ++i)
    if (needs.by_filters[i] || needs.by_rest[i]) wanted.push_back(i);
  DASK_TRY(csv::BlockReader reader, csv::BlockReader::open(layout, block, wanted));
  return BlockScan(std::move(reader), stage, layout.columns.size()).run();
}

Result<TableData> combine(const Stage& stage, const std::vector<TablePtr>& parts) {
  DASK_TRY_VOID(check_form(stage));
  Sink sink(stage);
  for (const TablePtr& part : parts) {
    if (stage.is_aggregation()) {
      DASK_TRY_VOID(sink.aggregator().merge(*part));
      continue;
    }
    std::vector<Field> expected;
    for (const NamedExpr& column : stage.columns) expected.push_back({column.name, column.expr.type()});
    if (part->schema != expected) return fail(ErrorCode::kMalformed, "a part of another dataframe");
  }
  if (stage.is_aggregation()) return sink.aggregator().states();
  TableData table;
  table.index_columns = stage.index_columns;
  for (std::size_t i = 0; i < stage.columns.size(); ++i) {
    ColumnBuilder builder(stage.columns[i].expr.type());
    for (const TablePtr& part : parts) builder.append(*to_vec(part->columns[i]));
    table.schema.push_back({stage.columns[i].name, stage.columns[i].expr.type()});
    table.columns.push_back(builder.finish());
  }
  for (const TablePtr& part : parts) table.rows += part->rows;
  return table;
}

Result<TableData> finish(const Stage& stage, const TableData& states) {
  if (!stage.is_aggregation()) return states;
  DASK_TRY_VOID(check_form(stage));
  Sink sink(stage);
  DASK_TRY_VOID(sink.aggregator().merge(states));
  return sink.aggregator().finish();
}

Result<TableData> run_on_table(const Stage& stage, const TableData& table) {
  DASK_TRY_VOID(check(stage, table.schema));
  Sink sink(stage);
  Batch batch = to_batch(table);
  if (!stage.predicates.empty() || stage.limit >= 0) {
    std::vector<std::uint32_t> selection = stage.predicates.empty() ? all_rows(batch.rows) : select(stage.predicates, batch);
    truncate(selection, stage.limit);
    for (VecPtr& column : batch.columns) column = take(*column, selection);
    batch.rows = selection.size();
  }
  sink.consume(batch);
  return stage.is_aggregation() ? sink.aggregator().finish() : sink.columns();
}

}  // namespace dask::dataframe
