// One field's characters to a value, as pandas' read_csv understands them. Pure functions; a field is given without its quotes.
// Numbers are exact: short ones by integer arithmetic and one division by a power of ten below 1e23, others by std::from_chars.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "collections/dataframe/base/types.h"

namespace dask::dataframe::csv {

// The result of parsing: a value, a missing one (pandas' default na_values), or not of this type.
enum class Parsed : std::uint8_t { kValue, kMissing, kWrong };

// Empty, NA, NaN, null, None and the others of pandas' STR_NA_VALUES.
bool is_missing_text(std::string_view field);
inline bool is_missing(std::string_view field) {
  if (field.empty()) return true;
  // What all of them begin with.
  switch (field.front()) {
    case '#':
    case '-':
    case '1':
    case '<':
    case 'N':
    case 'n': return is_missing_text(field);
    default: return false;
  }
}

Parsed parse_float_slow(std::string_view field, double& out);
Parsed parse_int_slow(std::string_view field, std::int64_t& out);
// true/True/TRUE, false/False/FALSE, and numbers: 0 is false.
Parsed parse_bool(std::string_view field, std::uint8_t& out);
// Year, month, day in this order, separated by - / . or blanks, or eight digits; then, optionally, T or a blank and
// HH:MM[:SS[.fraction]][Z].
Parsed parse_timestamp(std::string_view field, std::int64_t& out);
bool is_valid_utf8(std::string_view text);

namespace detail {
// The value of up to eight digits whose first character is the lowest byte; `length` of 1 to 8 of them count. Wrong if not all digits.
inline bool parse_digits8(std::uint64_t chars, unsigned length, std::uint64_t& value) {
  chars <<= 64 - 8 * length;  // what is missing in front becomes zero bytes
  const std::uint64_t zeros = length == 8 ? 0x3030303030303030u : 0x3030303030303030u << (64 - 8 * length);
  const std::uint64_t digits = chars - zeros;
  if (((digits + 0x7676767676767676u) | digits) & 0x8080808080808080u) return false;
  std::uint64_t v = digits * 10 + (digits >> 8);
  v = (((v & 0x000000ff000000ffu) * 0x000f424000000064u) + (((v >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u)) >> 32;
  value = v & 0xffffffffu;
  return true;
}

inline std::uint64_t load8(const char* data) {
  std::uint64_t chars;
  std::memcpy(&chars, data, 8);
  return chars;
}
}  // namespace detail

// For fields in a reader's buffer: eight bytes from the field's start may be read whatever its length.
inline Parsed parse_float(std::string_view field, double& out) {
  constexpr double kPowers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
  const char* data = field.data();
  std::size_t size = field.size();
  const bool negative = size > 0 && *data == '-';
  data += negative;
  size -= negative;
  if (size == 0 || size > 8) [[unlikely]]
    return parse_float_slow(field, out);
  std::uint64_t chars = detail::load8(data);
  // The first '.' among the field's bytes: its digits are moved together over it.
  const std::uint64_t points = chars ^ 0x2e2e2e2e2e2e2e2eu;
  const std::uint64_t found = (points - 0x0101010101010101u) & ~points & 0x8080808080808080u;
  const unsigned point = found ? static_cast<unsigned>(__builtin_ctzll(found)) / 8 : 8;
  unsigned digits = static_cast<unsigned>(size);
  unsigned decimals = 0;
  if (point < size) {
    const std::uint64_t below = (std::uint64_t{1} << (8 * point)) - 1;
    chars = (chars & below) | ((chars >> 8) & ~below);
    --digits;
    decimals = digits - point;
    if (digits == 0) [[unlikely]]
      return parse_float_slow(field, out);
  }
  std::uint64_t value = 0;
  if (!detail::parse_digits8(chars, digits, value)) [[unlikely]]
    return parse_float_slow(field, out);
  const double magnitude = static_cast<double>(value) / kPowers[decimals];
  out = negative ? -magnitude : magnitude;
  return Parsed::kValue;
}

inline Parsed parse_int(std::string_view field, std::int64_t& out) {
  const char* data = field.data();
  std::size_t size = field.size();
  const bool negative = size > 0 && *data == '-';
  data += negative;
  size -= negative;
  std::uint64_t value = 0;
  if (size == 0 || size > 8 || !detail::parse_digits8(detail::load8(data), static_cast<unsigned>(size), value)) [[unlikely]]
    return parse_int_slow(field, out);
  out = negative ? -static_cast<std::int64_t>(value) : static_cast<std::int64_t>(value);
  return Parsed::kValue;
}

}  // namespace dask::dataframe::csv
