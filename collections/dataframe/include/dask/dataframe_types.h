// The types of a dataframe's columns, with the names that read_csv's `dtype` takes: dd::int64, dd::float64, dd::boolean, dd::utf8.
#pragma once

#include <cstdint>

namespace dask::dataframe {

enum class Type : std::uint8_t { kInt64, kFloat64, kBoolean, kUtf8, kTimestamp };

inline constexpr Type int64 = Type::kInt64;
inline constexpr Type float64 = Type::kFloat64;
inline constexpr Type boolean = Type::kBoolean;
inline constexpr Type utf8 = Type::kUtf8;

}  // namespace dask::dataframe
