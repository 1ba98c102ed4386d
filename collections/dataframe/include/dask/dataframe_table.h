// Computed results: Table (a dataframe that is here), Column (one column of it, with the labels of its rows), Cell (one value).
// A Table is columns in Apache Arrow's format; arrow() in <dask/dataframe_arrow.h> hands them to Arrow without a copy.
// Thread safety: all are immutable and share their memory; copies are cheap.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "core/native/codec.h"
#include "dask/dataframe_types.h"

namespace dask::dataframe {

struct TableData;

// Nanoseconds since 1970, without a time zone.
struct Timestamp {
  std::int64_t nanoseconds = 0;
  std::string text() const;  // 1990-12-31, or 1990-12-31 23:59:59
  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

// One value, or a missing one. Converts to what it holds: numbers to each other (a missing one to NaN), texts to text;
// throws std::invalid_argument where that makes no sense.
class Cell {
 public:
  using Variant = std::variant<std::monostate, std::int64_t, double, bool, std::string, Timestamp>;
  Cell() = default;
  explicit Cell(Variant value) : value_(std::move(value)) {}

  bool is_missing() const { return value_.index() == 0; }
  double number() const;
  std::int64_t integer() const;  // throws for a fraction
  std::string text() const;      // as it is printed
  const Variant& variant() const { return value_; }

  operator double() const { return number(); }
  template <class T>
  requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) operator T() const { return static_cast<T>(integer()); }
  operator bool() const;
  operator std::string() const;
  operator Timestamp() const;

  template <class T>
  requires std::is_arithmetic_v<T>
  friend bool operator==(const Cell& cell, T value) { return !cell.is_missing() && cell.number() == static_cast<double>(value); }
  friend bool operator==(const Cell& cell, std::string_view value) {
    return std::holds_alternative<std::string>(cell.value_) && std::get<std::string>(cell.value_) == value;
  }
  friend bool operator==(const Cell& cell, const char* value) { return cell == std::string_view(value); }
  friend bool operator==(const Cell& a, const Cell& b) { return a.value_ == b.value_; }
  friend std::ostream& operator<<(std::ostream& out, const Cell& cell);

 private:
  Variant value_;
};

class Column;

class Table {
 public:
  Table();
  explicit Table(std::shared_ptr<const TableData> data) : data_(std::move(data)) {}

  std::int64_t rows() const;
  std::vector<std::string> columns() const;  // without the index
  // Throws std::invalid_argument that names the columns there are.
  Column column(std::string_view name) const;
  Column operator[](std::string_view name) const;
  // As pandas prints it: 60 rows at most, the first and last five of more.
  std::string repr() const;
  friend std::ostream& operator<<(std::ostream& out, const Table& table);

  const std::shared_ptr<const TableData>& data() const { return data_; }

 private:
  std::shared_ptr<const TableData> data_;
};

class Column {
 public:
  Column(std::shared_ptr<const TableData> data, std::uint32_t position);

  const std::string& name() const;
  Type type() const;
  std::int64_t size() const;
  Cell operator[](std::int64_t row) const;  // throws std::out_of_range
  // The label of a row: the groupby's key, or the row's number.
  Cell label(std::int64_t row) const;
  // The value with that label. Throws std::out_of_range when there is none.
  Cell at(std::string_view wanted) const;
  Cell at(const char* wanted) const { return at(std::string_view(wanted)); }
  Cell at(std::int64_t wanted) const;
  Cell at(int wanted) const { return at(static_cast<std::int64_t>(wanted)); }
  std::vector<double> numbers() const;     // missing ones as NaN
  std::vector<std::string> texts() const;  // missing ones as they are printed
  std::string repr() const;
  friend std::ostream& operator<<(std::ostream& out, const Column& column);

 private:
  struct View;
  std::shared_ptr<const TableData> data_;
  std::uint32_t position_;
  std::shared_ptr<const View> view_;
};

}  // namespace dask::dataframe

// Tables travel as an Arrow IPC stream, which any Arrow library reads.
template <>
struct dask::native::Codec<dask::dataframe::Table> {
  static void write(Writer& writer, const dask::dataframe::Table& table);
  static bool read(Reader& reader, dask::dataframe::Table& table);
  static std::int64_t nbytes(const dask::dataframe::Table& table);
};
