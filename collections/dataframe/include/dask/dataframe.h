// dask::dataframe: lazy dataframes over CSV files, computed block by block by any of Dask's schedulers.
//
//   namespace dd = dask::dataframe;
//   auto df = dd::read_csv("data/nycflights/*.csv", {.parse_dates = {{"Date", {0, 1, 2}}},
//                          .dtype = {{"TailNum", dd::utf8}, {"CRSElapsedTime", dd::float64}, {"Cancelled", dd::boolean}}});
//   auto largest_delay = df[!df["Cancelled"]].groupby("Origin")["DepDelay"].mean().max();
//   double minutes = largest_delay.compute();
//
// Only what a result needs is read: columns that nobody asks for are not parsed, filters run while the files are read.
// Mistakes in the program (an unknown column, text plus number) throw std::invalid_argument where they are written; what is wrong with
// files throws DataError. Missing values are pandas': empty, NA, NaN, null and the like; an int64 column has none.
// Thread safety: all types are immutable handles; copies are cheap and may be used by any thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "dask/dataframe_table.h"
#include "dask/graph.h"

namespace dask::dataframe {

// A file that cannot be read, a malformed line, a value that is not of its column's type. The text names file, line and column.
class DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace detail {
struct Rows;
struct Value;
struct Frame;
struct Grouped;
struct Reduced;
struct DateParts;
}  // namespace detail

// A column of a file by position or name.
class ColumnRef {
 public:
  ColumnRef(int position) : ref_(std::int64_t{position}) {}
  ColumnRef(const char* name) : ref_(std::string(name)) {}
  ColumnRef(std::string name) : ref_(std::move(name)) {}
  const std::variant<std::int64_t, std::string>& value() const { return ref_; }

 private:
  std::variant<std::int64_t, std::string> ref_;
};

struct ReadCsvOptions {
  char sep = ',';
  // New columns of dates, each joined from several: {{"Date", {0, 1, 2}}}. Those are no columns of their own then.
  std::map<std::string, std::vector<ColumnRef>> parse_dates = {};
  // Types that the sample would guess wrong.
  std::map<std::string, Type> dtype = {};
  std::optional<std::vector<std::string>> usecols = {};
  std::int64_t blocksize = 64 << 20;  // bytes of a partition; 0: one partition a file
  std::int64_t sample = 256'000;      // bytes of the first file from which types are guessed
  bool assume_missing = false;        // whole numbers that are not in dtype become float64, which can be missing
};

class Series;
class GroupBy;

// A value in an expression beside a column.
class Literal {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> Literal(T value) {
    if constexpr (std::is_same_v<T, bool>)
      value_ = value;
    else if constexpr (std::is_floating_point_v<T>)
      value_ = static_cast<double>(value);
    else
      value_ = static_cast<std::int64_t>(value);
  }
  Literal(const char* value) : value_(std::string(value)) {}
  Literal(std::string value) : value_(std::move(value)) {}
  using Variant = std::variant<std::int64_t, double, bool, std::string>;
  const Variant& value() const { return value_; }

 private:
  Variant value_;
};

// One lazy number, text or date.
class Scalar {
 public:
  Cell compute(const ComputeOptions& options = {}) const;
  std::string repr() const;  // dd.Scalar<max(mean(DepDelay) by Origin), dtype=float64>
  NodePtr node() const;      // the task whose Table has the value as its only cell
  std::string visualize(const std::string& filename = "mydask.svg") const {
    const NodePtr last = node();
    return graph::visualize(std::span(&last, 1), filename);
  }
  friend std::ostream& operator<<(std::ostream& out, const Scalar& scalar);

  explicit Scalar(std::shared_ptr<const detail::Reduced> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const detail::Reduced> impl_;
};

// The parts of dates, as numbers. Monday is day 0 of the week.
class DateAccessor {
 public:
  Series year() const;
  Series month() const;
  Series day() const;
  Series hour() const;
  Series minute() const;
  Series second() const;
  Series dayofweek() const;
  Series weekday() const;  // dayofweek
  Series dayofyear() const;

  explicit DateAccessor(std::shared_ptr<const detail::Value> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const detail::Value> impl_;
};

// One lazy column. Operators take columns of the same dataframe and literals; a date may be compared with a text ("1995-12-31").
class Series {
 public:
  const std::string& name() const;
  Type dtype() const;
  DateAccessor dt() const { return DateAccessor(impl_); }
  Series isna() const;
  Series notna() const;
  Series operator[](const Series& condition) const;  // the rows where it is true

  // Missing values are skipped.
  Scalar sum() const;
  Scalar mean() const;
  Scalar min() const;
  Scalar max() const;
  Scalar count() const;

  Column compute(const ComputeOptions& options = {}) const;
  Column head(std::int64_t n = 5) const;
  std::string repr() const;
  NodePtr node() const;  // the task whose Table has the column
  std::string visualize(const std::string& filename = "mydask.svg") const {
    const NodePtr last = node();
    return graph::visualize(std::span(&last, 1), filename);
  }
  friend std::ostream& operator<<(std::ostream& out, const Series& series);

  explicit Series(std::shared_ptr<const detail::Value> impl) : impl_(std::move(impl)) {}
  const std::shared_ptr<const detail::Value>& impl() const { return impl_; }

 private:
  std::shared_ptr<const detail::Value> impl_;
};

#define DASK_DATAFRAME_OPERATOR(op)                             \
  Series operator op(const Series& left, const Series& right);  \
  Series operator op(const Series& left, const Literal& right); \
  Series operator op(const Literal& left, const Series& right);
DASK_DATAFRAME_OPERATOR(+)
DASK_DATAFRAME_OPERATOR(-)
DASK_DATAFRAME_OPERATOR(*)
DASK_DATAFRAME_OPERATOR(/)
DASK_DATAFRAME_OPERATOR(==)
DASK_DATAFRAME_OPERATOR(!=)
DASK_DATAFRAME_OPERATOR(<)
DASK_DATAFRAME_OPERATOR(<=)
DASK_DATAFRAME_OPERATOR(>)
DASK_DATAFRAME_OPERATOR(>=)
DASK_DATAFRAME_OPERATOR(&)
DASK_DATAFRAME_OPERATOR(|)
#undef DASK_DATAFRAME_OPERATOR
Series operator!(const Series& operand);
Series operator~(const Series& operand);  // the same, as Python writes it
Series operator-(const Series& operand);

// A column of groups: rows with the same key. Results are sorted by key; rows whose key is missing are left out.
class SeriesGroupBy {
 public:
  Series sum() const;
  Series mean() const;
  Series min() const;
  Series max() const;
  Series count() const;  // of values that are not missing
  Series size() const;   // of rows

  SeriesGroupBy(std::shared_ptr<const detail::Grouped> groups, std::shared_ptr<const detail::Value> column)
      : groups_(std::move(groups)), column_(std::move(column)) {}

 private:
  std::shared_ptr<const detail::Grouped> groups_;
  std::shared_ptr<const detail::Value> column_;
};

class GroupBy {
 public:
  SeriesGroupBy operator[](const std::string& column) const;
  Series size() const;

  explicit GroupBy(std::shared_ptr<const detail::Grouped> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const detail::Grouped> impl_;
};

// A lazy table.
class DataFrame {
 public:
  std::vector<std::string> columns() const;
  Type dtype(const std::string& column) const;
  std::int64_t npartitions() const;

  Series operator[](const std::string& column) const;
  Series operator[](const char* column) const { return (*this)[std::string(column)]; }
  DataFrame operator[](std::initializer_list<const char*> columns) const;
  DataFrame operator[](const std::vector<std::string>& columns) const;
  DataFrame operator[](const Series& condition) const;  // the rows where it is true

  GroupBy groupby(const std::string& column) const;
  GroupBy groupby(const char* column) const { return groupby(std::string(column)); }
  GroupBy groupby(const Series& key) const;

  Table compute(const ComputeOptions& options = {}) const;
  Table head(std::int64_t n = 5) const;  // reads only as many blocks as it takes
  std::string repr() const;              // names and types; computes nothing
  NodePtr node() const;
  std::string visualize(const std::string& filename = "mydask.svg") const {
    const NodePtr last = node();
    return graph::visualize(std::span(&last, 1), filename);
  }
  friend std::ostream& operator<<(std::ostream& out, const DataFrame& frame);

  explicit DataFrame(std::shared_ptr<const detail::Frame> impl) : impl_(std::move(impl)) {}
  const std::shared_ptr<const detail::Frame>& impl() const { return impl_; }

 private:
  std::shared_ptr<const detail::Frame> impl_;
};

// A path may have * ? [ ] in it. Reads headers and a sample; files must have the same columns.
DataFrame read_csv(const std::string& path, const ReadCsvOptions& options = {});
DataFrame read_csv(const std::vector<std::string>& paths, const ReadCsvOptions& options = {});

// How many rows there are; computes that.
std::int64_t len(const DataFrame& frame, const ComputeOptions& options = {});
std::int64_t len(const Series& series, const ComputeOptions& options = {});

}  // namespace dask::dataframe
