// The lazy classes of <dask/dataframe.h>: every operation makes a bigger expression; compute() turns it into a graph.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <ostream>

#include "collections/dataframe/frame_impl.h"
#include "collections/dataframe/tasks.h"
#include "dask/dataframe.h"

namespace dask::dataframe {

using detail::Frame;
using detail::Grouped;
using detail::Reduced;
using detail::Rows;
using detail::RowsPtr;
using detail::Source;
using detail::Value;

namespace {

template <class T>
T or_raise(Result<T> result) {
  if (!result) raise(result.error());
  return *std::move(result);
}

Series series(RowsPtr rows, std::string name, Expr expr) {
  return Series(std::make_shared<const Value>(Value{std::move(rows), std::move(name), std::move(expr)}));
}

const NamedExpr& find_column(const std::vector<NamedExpr>& columns, const std::string& name) {
  const auto found = std::find_if(columns.begin(), columns.end(), [&](const NamedExpr& column) { return column.name == name; });
  if (found != columns.end()) return *found;
  std::vector<std::string> names;
  for (const NamedExpr& column : columns) names.push_back(column.name);
  throw std::invalid_argument(fmt::format("there is no column '{}'; the columns are: {}", name, fmt::join(names, ", ")));
}

// Rows of `rows` for which `condition` is true.
RowsPtr filtered(const RowsPtr& rows, const Series& condition) {
  const Value& value = *condition.impl();
  if (value.expr.type() != Type::kBoolean) {
    throw std::invalid_argument(
        fmt::format("df[...] takes a column of truths to choose rows, but {} is {}; compare it first, or give a column's name",
                    value.expr.text(), dask_name(value.expr.type())));
  }
  if (!contains(*value.rows, *rows)) common_rows(rows, value.rows, "a filter");
  Rows fewer = *rows;
  if (std::find(fewer.filters.begin(), fewer.filters.end(), value.expr) == fewer.filters.end()) fewer.filters.push_back(value.expr);
  return std::make_shared<const Rows>(std::move(fewer));
}

Expr literal(const Literal& value) {
  return std::visit([](const auto& v) { return Expr::literal(v); }, value.value());
}

Series binary(Op op, const Series& left, const Series& right) {
  const Value &a = *left.impl(), &b = *right.impl();
  RowsPtr rows = common_rows(a.rows, b.rows, "an operation on two columns");
  return series(std::move(rows), a.name == b.name ? a.name : std::string(), or_raise(make_binary(op, a.expr, b.expr)));
}
Series binary(Op op, const Series& left, const Literal& right) {
  const Value& a = *left.impl();
  return series(a.rows, a.name, or_raise(make_binary(op, a.expr, literal(right))));
}
Series binary(Op op, const Literal& left, const Series& right) {
  const Value& b = *right.impl();
  return series(b.rows, b.name, or_raise(make_binary(op, literal(left), b.expr)));
}
Series unary(Op op, const Value& value) { return series(value.rows, value.name, or_raise(make_unary(op, value.expr))); }

Scalar reduce(AggregateKind kind, const Value& value) {
  or_raise(result_type(kind, value.expr.type()));
  return Scalar(std::make_shared<const Reduced>(Reduced{value.rows, Aggregate{kind, value.expr, value.name}}));
}

Series aggregate(AggregateKind kind, const Grouped& groups, const Value* column) {
  Aggregate aggregate;
  aggregate.kind = kind;
  Type type = Type::kInt64;
  if (column && kind != AggregateKind::kSize) {
    type = or_raise(result_type(kind, column->expr.type()));
    aggregate.input = column->expr;
    aggregate.name = column->name;
  }
  auto source = std::make_shared<Source>();
  source->grouped_rows = groups.rows;
  source->key = groups.key;
  source->schema = {{groups.key.name, groups.key.expr.type()}, {aggregate.name, type}};
  source->aggregate = std::move(aggregate);
  auto rows = std::make_shared<const Rows>(Rows{source, {}});
  return series(std::move(rows), source->schema[1].name, Expr::column(1, source->schema[1]));
}

DataFrame select_columns(const Frame& frame, const std::vector<std::string>& names) {
  Frame fewer{frame.rows, {}};
  for (const std::string& name : names) fewer.columns.push_back(find_column(frame.columns, name));
  if (names.empty()) throw std::invalid_argument("df[{}] selects no column");
  return DataFrame(std::make_shared<const Frame>(std::move(fewer)));
}

std::string type_text(Type type) { return std::string(dask_name(type)); }

Scalar row_count(const RowsPtr& rows) {
  return Scalar(std::make_shared<const Reduced>(Reduced{rows, Aggregate{AggregateKind::kSize, Expr{}, "size"}}));
}

}  // namespace

// ---- Scalar ----------------------------------------------------------------------------------------------------------------------

NodePtr Scalar::node() const { return graph_of(*impl_->rows, detail::reduction_stage(impl_->aggregate)); }
Cell Scalar::compute(const ComputeOptions& options) const { return Column(detail::compute_table(node(), options).data(), 0)[0]; }
std::string Scalar::repr() const {
  const Aggregate& aggregate = impl_->aggregate;
  const Type type = or_raise(result_type(aggregate.kind, aggregate.input.nodes.empty() ? Type::kInt64 : aggregate.input.type()));
  return fmt::format("dd.Scalar<{}, dtype={}>", detail::describe(*impl_), type_text(type));
}
std::ostream& operator<<(std::ostream& out, const Scalar& scalar) { return out << scalar.repr(); }

// ---- Series ----------------------------------------------------------------------------------------------------------------------

const std::string& Series::name() const { return impl_->name; }
Type Series::dtype() const { return impl_->expr.type(); }
Series Series::isna() const { return unary(Op::kIsMissing, *impl_); }
Series Series::notna() const { return unary(Op::kNotMissing, *impl_); }
Series Series::operator[](const Series& condition) const { return series(filtered(impl_->rows, condition), impl_->name, impl_->expr); }
Scalar Series::sum() const { return reduce(AggregateKind::kSum, *impl_); }
Scalar Series::mean() const { return reduce(AggregateKind::kMean, *impl_); }
Scalar Series::min() const { return reduce(AggregateKind::kMin, *impl_); }
Scalar Series::max() const { return reduce(AggregateKind::kMax, *impl_); }
Scalar Series::count() const { return reduce(AggregateKind::kCount, *impl_); }

NodePtr Series::node() const { return graph_of(*impl_->rows, detail::columns_stage(*impl_->rows, {{impl_->name, impl_->expr}})); }
Column Series::compute(const ComputeOptions& options) const {
  const Table table = detail::compute_table(node(), options);
  return Column(table.data(), static_cast<std::uint32_t>(table.data()->columns.size() - 1));
}
Column Series::head(std::int64_t n) const {
  const Table table = detail::first_table(*impl_->rows, detail::columns_stage(*impl_->rows, {{impl_->name, impl_->expr}}), n);
  return Column(table.data(), static_cast<std::uint32_t>(table.data()->columns.size() - 1));
}
std::string Series::repr() const {
  return fmt::format("dd.Series<{}, npartitions={}, dtype={}>", detail::describe(*impl_),
                     impl_->rows->source->scan ? detail::scan_of(*impl_->rows).blocks.size() : 1, type_text(dtype()));
}
std::ostream& operator<<(std::ostream& out, const Series& one) { return out << one.repr(); }

Series DateAccessor::year() const { return unary(Op::kYear, *impl_); }
Series DateAccessor::month() const { return unary(Op::kMonth, *impl_); }
Series DateAccessor::day() const { return unary(Op::kDay, *impl_); }
Series DateAccessor::hour() const { return unary(Op::kHour, *impl_); }
Series DateAccessor::minute() const { return unary(Op::kMinute, *impl_); }
Series DateAccessor::second() const { return unary(Op::kSecond, *impl_); }
Series DateAccessor::dayofweek() const { return unary(Op::kDayOfWeek, *impl_); }
Series DateAccessor::weekday() const { return dayofweek(); }
Series DateAccessor::dayofyear() const { return unary(Op::kDayOfYear, *impl_); }

#define DASK_DATAFRAME_OPERATOR(op, name)                                                                \
  Series operator op(const Series& left, const Series& right) { return binary(Op::name, left, right); }  \
  Series operator op(const Series& left, const Literal& right) { return binary(Op::name, left, right); } \
  Series operator op(const Literal& left, const Series& right) { return binary(Op::name, left, right); }
DASK_DATAFRAME_OPERATOR(+, kAdd)
DASK_DATAFRAME_OPERATOR(-, kSubtract)
DASK_DATAFRAME_OPERATOR(*, kMultiply)
DASK_DATAFRAME_OPERATOR(/, kDivide)
DASK_DATAFRAME_OPERATOR(==, kEqual)
DASK_DATAFRAME_OPERATOR(!=, kNotEqual)
DASK_DATAFRAME_OPERATOR(<, kLess)
DASK_DATAFRAME_OPERATOR(<=, kLessEqual)
DASK_DATAFRAME_OPERATOR(>, kGreater)
DASK_DATAFRAME_OPERATOR(>=, kGreaterEqual)
DASK_DATAFRAME_OPERATOR(&, kAnd)
DASK_DATAFRAME_OPERATOR(|, kOr)
#undef DASK_DATAFRAME_OPERATOR
Series operator!(const Series& operand) { return unary(Op::kNot, *operand.impl()); }
Series operator~(const Series& operand) { return unary(Op::kNot, *operand.impl()); }
Series operator-(const Series& operand) { return unary(Op::kNegate, *operand.impl()); }

// ---- groupby ---------------------------------------------------------------------------------------------------------------------

Series SeriesGroupBy::sum() const { return aggregate(AggregateKind::kSum, *groups_, column_.get()); }
Series SeriesGroupBy::mean() const { return aggregate(AggregateKind::kMean, *groups_, column_.get()); }
Series SeriesGroupBy::min() const { return aggregate(AggregateKind::kMin, *groups_, column_.get()); }
Series SeriesGroupBy::max() const { return aggregate(AggregateKind::kMax, *groups_, column_.get()); }
Series SeriesGroupBy::count() const { return aggregate(AggregateKind::kCount, *groups_, column_.get()); }
Series SeriesGroupBy::size() const { return aggregate(AggregateKind::kSize, *groups_, column_.get()); }

SeriesGroupBy GroupBy::operator[](const std::string& column) const {
  const NamedExpr& found = find_column(impl_->columns, column);
  return SeriesGroupBy(impl_, std::make_shared<const Value>(Value{impl_->rows, found.name, found.expr}));
}
Series GroupBy::size() const { return aggregate(AggregateKind::kSize, *impl_, nullptr); }

// ---- DataFrame -------------------------------------------------------------------------------------------------------------------

std::vector<std::string> DataFrame::columns() const {
  std::vector<std::string> names;
  for (const NamedExpr& column : impl_->columns) names.push_back(column.name);
  return names;
}
Type DataFrame::dtype(const std::string& column) const { return find_column(impl_->columns, column).expr.type(); }
std::int64_t DataFrame::npartitions() const {
  return impl_->rows->source->scan ? static_cast<std::int64_t>(detail::scan_of(*impl_->rows).blocks.size()) : 1;
}

Series DataFrame::operator[](const std::string& column) const {
  const NamedExpr& found = find_column(impl_->columns, column);
  return series(impl_->rows, found.name, found.expr);
}
DataFrame DataFrame::operator[](std::initializer_list<const char*> names) const {
  return select_columns(*impl_, {names.begin(), names.end()});
}
DataFrame DataFrame::operator[](const std::vector<std::string>& names) const { return select_columns(*impl_, names); }
DataFrame DataFrame::operator[](const Series& condition) const {
  return DataFrame(std::make_shared<const Frame>(Frame{filtered(impl_->rows, condition), impl_->columns}));
}

GroupBy DataFrame::groupby(const std::string& column) const { return groupby((*this)[column]); }
GroupBy DataFrame::groupby(const Series& key) const {
  const Value& value = *key.impl();
  if (!contains(*value.rows, *impl_->rows)) common_rows(impl_->rows, value.rows, "groupby");
  return GroupBy(std::make_shared<const Grouped>(Grouped{impl_->rows, {value.name, value.expr}, impl_->columns}));
}

NodePtr DataFrame::node() const { return graph_of(*impl_->rows, detail::columns_stage(*impl_->rows, impl_->columns)); }
Table DataFrame::compute(const ComputeOptions& options) const { return detail::compute_table(node(), options); }
Table DataFrame::head(std::int64_t n) const {
  return detail::first_table(*impl_->rows, detail::columns_stage(*impl_->rows, impl_->columns), n);
}
std::string DataFrame::repr() const { return detail::describe(*impl_); }
std::ostream& operator<<(std::ostream& out, const DataFrame& frame) { return out << frame.repr(); }

// ---- functions -------------------------------------------------------------------------------------------------------------------

DataFrame read_csv(const std::vector<std::string>& paths, const ReadCsvOptions& options) {
  csv::PlanOptions plan_options;
  plan_options.separator = options.sep;
  plan_options.dtype = options.dtype;
  plan_options.usecols = options.usecols;
  plan_options.blocksize_bytes = options.blocksize;
  plan_options.sample_bytes = options.sample;
  plan_options.assume_missing = options.assume_missing;
  for (const auto& [name, type] : options.dtype) {
    if (type == Type::kTimestamp)
      throw std::invalid_argument(
          fmt::format("dtype of '{}': dates are read with parse_dates = {{{{\"{}\", {{\"{}\"}}}}}}", name, name, name));
  }
  for (const auto& [name, parts] : options.parse_dates) {
    std::vector<std::variant<std::int64_t, std::string>> refs;
    for (const ColumnRef& part : parts) refs.push_back(part.value());
    plan_options.parse_dates.emplace_back(name, std::move(refs));
  }
  auto source = std::make_shared<Source>();
  source->scan = std::make_shared<const csv::ScanPlan>(or_raise(csv::plan_scan(paths, plan_options)));
  source->schema = schema_of(source->scan->layout);
  Frame frame{std::make_shared<const Rows>(Rows{source, {}}), {}};
  for (std::uint32_t i = 0; i < source->schema.size(); ++i)
    frame.columns.push_back({source->schema[i].name, Expr::column(i, source->schema[i])});
  return DataFrame(std::make_shared<const Frame>(std::move(frame)));
}
DataFrame read_csv(const std::string& path, const ReadCsvOptions& options) { return read_csv(std::vector<std::string>{path}, options); }

std::int64_t len(const DataFrame& frame, const ComputeOptions& options) { return row_count(frame.impl()->rows).compute(options); }
std::int64_t len(const Series& one, const ComputeOptions& options) { return row_count(one.impl()->rows).compute(options); }

}  // namespace dask::dataframe
