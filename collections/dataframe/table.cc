// Computed tables for people: reading cells and printing as pandas does.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <stdexcept>

#include "collections/dataframe/base/arrow_column.h"
#include "collections/dataframe/base/calendar.h"
#include "dask/dataframe_table.h"

namespace dask::dataframe {
namespace {

// pandas' display.max_rows, and how many it shows at each end of a longer table.
constexpr std::int64_t kShownRowsMax = 60;
constexpr std::int64_t kShownRowsAtEnds = 5;
// Significant digits of a printed fraction (display.precision).
constexpr int kPrecision = 6;

bool is_plain(double value) {
  return value == 0 || std::isnan(value) || std::isinf(value) || (std::fabs(value) < 1e15 && std::fabs(value) >= 1e-5);
}

// How many decimals the number needs, at most kPrecision.
int decimals_of(double value) {
  if (std::isnan(value) || std::isinf(value)) return 1;
  std::string text = fmt::format("{:.{}f}", value, kPrecision);
  while (text.back() == '0' && text[text.size() - 2] != '.') text.pop_back();
  return static_cast<int>(text.size() - text.find('.') - 1);
}

std::string number_text(double value, int decimals) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return is_plain(value) ? fmt::format("{:.{}f}", value, decimals) : fmt::format("{:.{}e}", value, kPrecision);
}

Cell cell_of(const Vec& values, std::size_t row) {
  switch (values.type) {
    case Type::kInt64: return values.ints[row] == kNaT ? Cell() : Cell(values.ints[row]);
    case Type::kTimestamp: return values.ints[row] == kNaT ? Cell() : Cell(Timestamp{values.ints[row]});
    case Type::kFloat64: return std::isnan(values.doubles[row]) ? Cell() : Cell(values.doubles[row]);
    case Type::kBoolean: return values.bools[row] == kMissingBool ? Cell() : Cell(values.bools[row] != 0);
    case Type::kUtf8: return values.texts[row].data() == nullptr ? Cell() : Cell(std::string(values.texts[row]));
  }
  return {};
}

std::string shown(const Cell& cell, Type type) {
  if (!cell.is_missing()) return cell.text();
  return type == Type::kTimestamp ? "NaT" : type == Type::kFloat64 || type == Type::kInt64 ? "NaN" : "<NA>";
}

// Which rows are printed; -1 stands for the dots.
std::vector<std::int64_t> shown_rows(std::int64_t rows) {
  std::vector<std::int64_t> out;
  for (std::int64_t row = 0; row < rows; ++row) {
    if (rows > kShownRowsMax && row == kShownRowsAtEnds) {
      out.push_back(-1);
      row = rows - kShownRowsAtEnds;
    }
    out.push_back(row);
  }
  return out;
}

// The texts of some rows of a column (-1: dots), fractions with the same number of decimals.
template <class CellOf>
std::vector<std::string> texts_of(const std::vector<std::int64_t>& rows, Type type, CellOf cell_at) {
  int decimals = 1;
  for (const std::int64_t row : rows)
    if (row >= 0 && type == Type::kFloat64) decimals = std::max(decimals, decimals_of(cell_at(row).number()));
  std::vector<std::string> texts;
  for (const std::int64_t row : rows) {
    const Cell cell = row < 0 ? Cell() : cell_at(row);
    texts.push_back(row < 0 ? "..." : type == Type::kFloat64 ? number_text(cell.number(), decimals) : shown(cell, type));
  }
  return texts;
}

// Lays out cells in columns: the first aligned left, others right.
std::string laid_out(const std::vector<std::vector<std::string>>& columns, std::size_t gap) {
  std::vector<std::size_t> widths;
  for (const auto& column : columns) {
    std::size_t width = 0;
    for (const std::string& text : column) width = std::max(width, text.size());
    widths.push_back(width);
  }
  std::string out;
  for (std::size_t line = 0; line < columns[0].size(); ++line) {
    if (line > 0) out += '\n';
    for (std::size_t i = 0; i < columns.size(); ++i)
      out += i == 0 ? fmt::format("{:<{}}", columns[i][line], widths[i]) : fmt::format("{:>{}}", columns[i][line], gap + widths[i]);
    out.erase(out.find_last_not_of(' ') + 1);
  }
  return out;
}

}  // namespace

std::string Timestamp::text() const { return timestamp_text(nanoseconds, nanoseconds % kNanosecondsPerDay == 0); }

// ---- Cell ------------------------------------------------------------------------------------------------------------------------

double Cell::number() const {
  if (is_missing()) return kNaN;
  if (const auto* value = std::get_if<std::int64_t>(&value_)) return static_cast<double>(*value);
  if (const auto* value = std::get_if<double>(&value_)) return *value;
  if (const auto* value = std::get_if<bool>(&value_)) return *value;
  throw std::invalid_argument(fmt::format("'{}' is not a number", text()));
}

std::int64_t Cell::integer() const {
  if (const auto* value = std::get_if<std::int64_t>(&value_)) return *value;
  const double value = number();
  if (!(value >= -0x1p63 && value < 0x1p63) || std::trunc(value) != value)
    throw std::invalid_argument(fmt::format("{} is not a whole number", text()));
  return static_cast<std::int64_t>(value);
}

Cell::operator bool() const {
  if (const auto* value = std::get_if<bool>(&value_)) return *value;
  if (is_missing()) throw std::invalid_argument("a missing value is neither true nor false");
  return number() != 0;
}

Cell::operator std::string() const {
  if (const auto* value = std::get_if<std::string>(&value_)) return *value;
  throw std::invalid_argument(fmt::format("{} is not a text", text()));
}

Cell::operator Timestamp() const {
  if (const auto* value = std::get_if<Timestamp>(&value_)) return *value;
  throw std::invalid_argument(fmt::format("{} is not a date", text()));
}

std::string Cell::text() const {
  if (const auto* value = std::get_if<std::int64_t>(&value_)) return fmt::format("{}", *value);
  if (const auto* value = std::get_if<double>(&value_)) return number_text(*value, decimals_of(*value));
  if (const auto* value = std::get_if<bool>(&value_)) return *value ? "True" : "False";
  if (const auto* value = std::get_if<std::string>(&value_)) return *value;
  if (const auto* value = std::get_if<Timestamp>(&value_)) return value->text();
  return "NaN";
}

std::ostream& operator<<(std::ostream& out, const Cell& cell) { return out << cell.text(); }

// ---- Column ----------------------------------------------------------------------------------------------------------------------

struct Column::View {
  VecPtr values, labels;  // no labels: rows are numbered
};

Column::Column(std::shared_ptr<const TableData> data, std::uint32_t position) : data_(std::move(data)), position_(position) {
  View view{to_vec(data_->columns[position_]), nullptr};
  if (data_->index_columns > 0) view.labels = to_vec(data_->columns[0]);
  view_ = std::make_shared<const View>(std::move(view));
}

const std::string& Column::name() const { return data_->schema[position_].name; }
Type Column::type() const { return data_->schema[position_].type; }
std::int64_t Column::size() const { return data_->rows; }

Cell Column::operator[](std::int64_t row) const {
  if (row < 0 || row >= size()) throw std::out_of_range(fmt::format("row {} of column '{}', which has {} rows", row, name(), size()));
  return cell_of(*view_->values, static_cast<std::size_t>(row));
}

Cell Column::label(std::int64_t row) const {
  if (row < 0 || row >= size()) throw std::out_of_range(fmt::format("row {} of column '{}', which has {} rows", row, name(), size()));
  return view_->labels ? cell_of(*view_->labels, static_cast<std::size_t>(row)) : Cell(row);
}

Cell Column::at(std::string_view wanted) const {
  for (std::int64_t row = 0; row < size(); ++row)
    if (const Cell cell = label(row); cell == wanted || (std::holds_alternative<Timestamp>(cell.variant()) && cell.text() == wanted))
      return (*this)[row];
  throw std::out_of_range(fmt::format("column '{}' has no row with the label '{}'", name(), wanted));
}

Cell Column::at(std::int64_t wanted) const {
  for (std::int64_t row = 0; row < size(); ++row) {
    const Cell cell = label(row);
    if (!std::holds_alternative<std::string>(cell.variant()) && !std::holds_alternative<Timestamp>(cell.variant()) && cell == wanted)
      return (*this)[row];
  }
  throw std::out_of_range(fmt::format("column '{}' has no row with the label {}", name(), wanted));
}

std::vector<double> Column::numbers() const {
  std::vector<double> out;
  for (std::int64_t row = 0; row < size(); ++row) out.push_back((*this)[row].number());
  return out;
}

std::vector<std::string> Column::texts() const {
  std::vector<std::string> out;
  for (std::int64_t row = 0; row < size(); ++row) out.push_back(shown((*this)[row], type()));
  return out;
}

std::string Column::repr() const {
  const bool is_named = data_->index_columns > 0 && !data_->schema[0].name.empty();
  std::string out = is_named ? data_->schema[0].name + "\n" : std::string();
  const std::vector<std::int64_t> rows = shown_rows(size());
  const auto labels = texts_of(rows, view_->labels ? view_->labels->type : Type::kInt64, [this](std::int64_t row) { return label(row); });
  const auto values = texts_of(rows, type(), [this](std::int64_t row) { return (*this)[row]; });
  out += rows.empty() ? "Series([])" : laid_out({labels, values}, 4);
  out += '\n';
  if (!name().empty()) out += fmt::format("Name: {}, ", name());
  if (size() > kShownRowsMax) out += fmt::format("Length: {}, ", size());
  return out + fmt::format("dtype: {}", dask_name(type()));
}

std::ostream& operator<<(std::ostream& out, const Column& column) { return out << column.repr(); }

// ---- Table -----------------------------------------------------------------------------------------------------------------------

Table::Table() : data_(std::make_shared<const TableData>()) {}
std::int64_t Table::rows() const { return data_->rows; }

std::vector<std::string> Table::columns() const {
  std::vector<std::string> names;
  for (std::size_t i = data_->index_columns; i < data_->schema.size(); ++i) names.push_back(data_->schema[i].name);
  return names;
}

Column Table::column(std::string_view name) const {
  for (std::uint32_t i = data_->index_columns; i < data_->schema.size(); ++i)
    if (data_->schema[i].name == name) return Column(data_, i);
  throw std::invalid_argument(fmt::format("there is no column '{}'; the columns are: {}", name, fmt::join(columns(), ", ")));
}
Column Table::operator[](std::string_view name) const { return column(name); }

std::string Table::repr() const {
  if (data_->schema.size() == data_->index_columns) return "Empty DataFrame";
  std::vector<std::vector<std::string>> columns(1);
  const std::vector<std::int64_t> rows = shown_rows(data_->rows);
  for (std::uint32_t i = data_->index_columns; i < data_->schema.size(); ++i) {
    const Column column(data_, i);
    if (i == data_->index_columns) {
      columns[0].push_back(data_->index_columns > 0 ? data_->schema[0].name : "");
      const auto labels = texts_of(rows, data_->index_columns > 0 ? data_->schema[0].type : Type::kInt64,
                                   [&](std::int64_t row) { return column.label(row); });
      columns[0].insert(columns[0].end(), labels.begin(), labels.end());
    }
    columns.emplace_back(1, data_->schema[i].name);
    const auto values = texts_of(rows, column.type(), [&](std::int64_t row) { return column[row]; });
    columns.back().insert(columns.back().end(), values.begin(), values.end());
  }
  std::string out = laid_out(columns, 2);
  if (data_->rows == 0) out = fmt::format("Empty DataFrame\nColumns: [{}]", fmt::join(this->columns(), ", "));
  if (data_->rows > kShownRowsMax) out += fmt::format("\n\n[{} rows x {} columns]", data_->rows, columns.size() - 1);
  return out;
}

std::ostream& operator<<(std::ostream& out, const Table& table) { return out << table.repr(); }

}  // namespace dask::dataframe
