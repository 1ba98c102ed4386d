// The five column types of a dataframe, and Vec: one column of a batch of rows while kernels work on it.
// Missing values: NaN in float64, kNaT in timestamps and int64 (so int64 holds -2^63 + 1 and up), a null view in utf8, kMissingBool.
// Tables between tasks are Arrow (table.h); a Vec is what lies in the processor's cache in between.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "dask/dataframe_types.h"

namespace dask::dataframe {

// Dask's names for users (int64, float64, bool, string, datetime64[ns]), and those of `dtype` options in C++ (int64, …, utf8).
std::string_view dask_name(Type type);
std::string_view option_name(Type type);

inline constexpr std::int64_t kNaT = std::numeric_limits<std::int64_t>::min();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
inline constexpr std::uint8_t kMissingBool = 2;
inline constexpr std::string_view kMissingText{};  // data() == nullptr; an empty text has a non-null data()

// Only the vector of its type is filled. Timestamps are nanoseconds since 1970 in `ints`. Texts are views; `keep_alive` owns what
// they point to where that is not the reader's buffer (which lives until the reader's next batch).
struct Vec {
  Type type = Type::kInt64;
  std::vector<std::int64_t> ints;
  std::vector<double> doubles;
  std::vector<std::uint8_t> bools;
  std::vector<std::string_view> texts;
  std::shared_ptr<const void> keep_alive;

  std::size_t size() const {
    switch (type) {
      case Type::kInt64:
      case Type::kTimestamp: return ints.size();
      case Type::kFloat64: return doubles.size();
      case Type::kBoolean: return bools.size();
      case Type::kUtf8: return texts.size();
    }
    return 0;
  }
  void reset(Type new_type) {
    type = new_type;
    ints.clear();
    doubles.clear();
    bools.clear();
    texts.clear();
    keep_alive = nullptr;
  }
};
using VecPtr = std::shared_ptr<const Vec>;

// Some rows of a source: one Vec per column of its schema, null where nobody asked for the column.
struct Batch {
  std::size_t rows = 0;
  std::vector<VecPtr> columns;
};

// A column as a schema knows it.
struct Field {
  std::string name;
  Type type = Type::kInt64;
  friend bool operator==(const Field&, const Field&) = default;
};

}  // namespace dask::dataframe
