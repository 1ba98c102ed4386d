// Durations and sizes in Dask's notation. Source: dask/utils.py, parse_timedelta and parse_bytes.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <map>
#include <string>

#include "core/runtime/config.h"

namespace dask {

namespace {

struct Quantity {
  double number = 1;
  std::string unit;  // lower case
};

// "5.4 kB" -> 5.4, "kb". A unit alone counts once: "1" is understood before it.
bool split_quantity(std::string_view text, Quantity& quantity) {
  std::string compact;
  for (char c : text) {
    if (c != ' ') compact += c;
  }
  auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  std::size_t unit_at = compact.size();
  while (unit_at > 0 && is_letter(compact[unit_at - 1])) --unit_at;
  for (char c : compact.substr(unit_at)) quantity.unit += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (unit_at == 0) return !compact.empty();
  auto [end, error] = std::from_chars(compact.data(), compact.data() + unit_at, quantity.number);
  return error == std::errc() && end == compact.data() + unit_at && std::isfinite(quantity.number) && quantity.number >= 0;
}

}  // namespace

Result<double> parse_timedelta(std::string_view text) {
  // clang-format off
  static const std::map<std::string, double, std::less<>> seconds_of{
      {"", 1}, {"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800},
      {"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}, {"week", 604800}, {"millisecond", 1e-3}, {"microsecond", 1e-6}, {"nanosecond", 1e-9},
      {"seconds", 1}, {"minutes", 60}, {"hours", 3600}, {"days", 86400}, {"weeks", 604800}, {"milliseconds", 1e-3}, {"microseconds", 1e-6}, {"nanoseconds", 1e-9}};
  // clang-format on
  Quantity quantity;
  auto unit = seconds_of.end();
  if (split_quantity(text, quantity)) unit = seconds_of.find(quantity.unit);
  if (unit == seconds_of.end()) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{:.100}' is no duration; use a number and a unit, for example '500ms', '30s', '5 minutes', '1h'", text));
  }
  return quantity.number * unit->second;
}

Result<std::uint64_t> parse_bytes(std::string_view text) {
  // clang-format off
  static const std::map<std::string, double, std::less<>> bytes_of{
      {"", 1}, {"b", 1}, {"k", 1e3}, {"kb", 1e3}, {"m", 1e6}, {"mb", 1e6}, {"g", 1e9}, {"gb", 1e9}, {"t", 1e12}, {"tb", 1e12}, {"p", 1e15}, {"pb", 1e15},
      {"ki", 0x1p10}, {"kib", 0x1p10}, {"mi", 0x1p20}, {"mib", 0x1p20}, {"gi", 0x1p30}, {"gib", 0x1p30}, {"ti", 0x1p40}, {"tib", 0x1p40}, {"pi", 0x1p50}, {"pib", 0x1p50}};
  // clang-format on
  Quantity quantity;
  auto unit = bytes_of.end();
  if (split_quantity(text, quantity)) unit = bytes_of.find(quantity.unit);
  if (unit == bytes_of.end() || quantity.number * unit->second >= 0x1p63) {
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("'{:.100}' is no size; use a number and a unit, for example '100MB', '64MiB', '1e9'", text));
  }
  return static_cast<std::uint64_t>(quantity.number * unit->second);
}

}  // namespace dask
