// A column in Arrow's columnar format ("Arrow Columnar Format", arrow.apache.org) without Arrow's headers: what a table is made of.
// Bitmaps are LSB first, texts have 64-bit offsets (large_utf8). arrow/bridge.h hands the same memory to Arrow and back, uncopied.
// Doubles say "missing" with NaN, as pandas does, and have no bitmap.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "collections/dataframe/base/types.h"
#include "core/base/bytes.h"

namespace dask::dataframe {

struct ArrowColumn {
  Type type = Type::kInt64;
  std::int64_t length = 0;
  std::int64_t nulls = 0;
  Bytes validity;  // a bit per row, set where there is a value; empty when there are no nulls
  Bytes offsets;   // texts only: length + 1 int64
  Bytes data;      // int64, double, bits, or characters

  std::int64_t nbytes() const { return static_cast<std::int64_t>(validity.size() + offsets.size() + data.size()); }
};

// Columns of one length with names; the first `index_columns` label the rows (a groupby's keys).
struct TableData {
  std::vector<Field> schema;
  std::vector<ArrowColumn> columns;
  std::int64_t rows = 0;
  std::uint32_t index_columns = 0;
};
using TablePtr = std::shared_ptr<const TableData>;

// Collects values and gives them out as one ArrowColumn.
class ColumnBuilder {
 public:
  explicit ColumnBuilder(Type type) : type_(type) {}
  void append(const Vec& values);
  std::int64_t length() const { return length_; }
  ArrowColumn finish();

 private:
  void append_validity(bool valid);

  Type type_;
  std::int64_t length_ = 0, nulls_ = 0;
  std::vector<std::uint8_t> validity_;  // made when the first null comes
  std::vector<std::int64_t> offsets_ = {0};
  std::string characters_;
  std::vector<std::int64_t> ints_;
  std::vector<double> doubles_;
  std::vector<std::uint8_t> bits_;
};

// The column's values for kernels. Texts are views that keep the column's memory alive.
VecPtr to_vec(const ArrowColumn& column);
// All columns of a table.
Batch to_batch(const TableData& table);

}  // namespace dask::dataframe
