// The slow, complete ways to read a field; the fast ones are in the header.
#include "collections/dataframe/csv/parse.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "collections/dataframe/base/calendar.h"

namespace dask::dataframe::csv {
namespace {

// pandas/_libs/parsers.pyx, STR_NA_VALUES; sorted.
constexpr std::array<std::string_view, 18> kMissingTexts = {"#N/A", "#N/A N/A", "#NA",     "-1.#IND", "-1.#QNAN", "-NaN",
                                                            "-nan", "1.#IND",   "1.#QNAN", "<NA>",    "N/A",      "NA",
                                                            "NULL", "NaN",      "None",    "n/a",     "nan",      "null"};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r')) text.remove_suffix(1);
  return text;
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  return text.size() == lower.size() &&
         std::equal(text.begin(), text.end(), lower.begin(), [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + 32 : a) == b; });
}

// Reads 1 to `most` digits.
bool take_number(std::string_view& text, std::size_t most, int& out) {
  std::size_t n = 0;
  out = 0;
  while (n < text.size() && n < most && text[n] >= '0' && text[n] <= '9') out = out * 10 + (text[n++] - '0');
  text.remove_prefix(n);
  return n > 0;
}

bool take_char(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

bool take_time(std::string_view text, std::int64_t& nanoseconds) {
  int hour = 0, minute = 0, second = 0;
  if (!take_number(text, 2, hour) || !take_char(text, ":") || !take_number(text, 2, minute)) return false;
  std::int64_t fraction = 0;
  if (take_char(text, ":")) {
    if (!take_number(text, 2, second)) return false;
    if (take_char(text, ".")) {
      std::int64_t unit = 100'000'000;
      if (text.empty() || text.front() < '0' || text.front() > '9') return false;
      while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
        fraction += unit * (text.front() - '0');
        unit /= 10;
        text.remove_prefix(1);
      }
    }
  }
  take_char(text, "Z");
  if (!text.empty() || hour > 23 || minute > 59 || second > 59) return false;
  nanoseconds = ((hour * 60 + minute) * 60 + second) * kNanosecondsPerSecond + fraction;
  return true;
}

}  // namespace

bool is_missing_text(std::string_view field) { return std::find(kMissingTexts.begin(), kMissingTexts.end(), field) != kMissingTexts.end(); }

Parsed parse_float_slow(std::string_view field, double& out) {
  out = kNaN;
  if (is_missing(field)) return Parsed::kMissing;
  std::string_view text = trimmed(field);
  if (text.empty()) return Parsed::kWrong;
  const bool negative = text.front() == '-';
  if (negative || text.front() == '+') text.remove_prefix(1);
  if (equals_ignoring_case(text, "inf") || equals_ignoring_case(text, "infinity")) {
    out = negative ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
    return Parsed::kValue;
  }
  if (text.empty() || !((text.front() >= '0' && text.front() <= '9') || text.front() == '.')) return Parsed::kWrong;
  double magnitude = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), magnitude, std::chars_format::general);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) return Parsed::kWrong;
  if (error == std::errc::result_out_of_range) {
    // Too large or too small for a double; Python's float gives inf or 0. The exponent's sign says which.
    const std::size_t exponent = text.find_first_of("eE");
    const bool small =
        exponent != std::string_view::npos ? text.substr(exponent + 1, 1) == "-" : text.front() == '0' || text.front() == '.';
    magnitude = small ? 0.0 : std::numeric_limits<double>::infinity();
  }
  out = negative ? -magnitude : magnitude;
  return Parsed::kValue;
}

Parsed parse_int_slow(std::string_view field, std::int64_t& out) {
  out = 0;
  if (is_missing(field)) return Parsed::kMissing;
  std::string_view text = trimmed(field);
  if (!text.empty() && text.front() == '+') {
    text.remove_prefix(1);
    if (!text.empty() && text.front() == '-') return Parsed::kWrong;
  }
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  // -2^63 stands for a missing value (types.h).
  return !text.empty() && error == std::errc() && end == text.data() + text.size() && out != kNaT ? Parsed::kValue : Parsed::kWrong;
}

Parsed parse_bool(std::string_view field, std::uint8_t& out) {
  if (field.size() == 1 && (field[0] == '0' || field[0] == '1')) {
    out = static_cast<std::uint8_t>(field[0] - '0');
    return Parsed::kValue;
  }
  out = kMissingBool;
  if (field == "True" || field == "TRUE" || field == "true") {
    out = 1;
    return Parsed::kValue;
  }
  if (field == "False" || field == "FALSE" || field == "false") {
    out = 0;
    return Parsed::kValue;
  }
  double number = 0;
  const Parsed parsed = parse_float_slow(field, number);
  if (parsed == Parsed::kValue) out = number != 0;
  return parsed;
}

Parsed parse_timestamp(std::string_view field, std::int64_t& out) {
  out = kNaT;
  if (is_missing(field) || field == "NaT") return Parsed::kMissing;
  std::string_view text = trimmed(field);
  int year = 0, month = 0, day = 0;
  const auto digits =
      static_cast<std::size_t>(std::find_if(text.begin(), text.end(), [](char c) { return c < '0' || c > '9'; }) - text.begin());
  if (digits == 8) {
    if (!take_number(text, 4, year) || !take_number(text, 2, month) || !take_number(text, 2, day)) return Parsed::kWrong;
  } else {
    if (digits != 4 || !take_number(text, 4, year)) return Parsed::kWrong;
    const char separator = text.empty() ? '\0' : text.front();
    if (!take_char(text, "-/. ") || !take_number(text, 2, month) || text.empty() || text.front() != separator) return Parsed::kWrong;
    text.remove_prefix(1);
    if (!take_number(text, 2, day)) return Parsed::kWrong;
  }
  std::int64_t days = 0;
  if (!days_from_civil(year, month, day, days)) return Parsed::kWrong;
  std::int64_t time = 0;
  if (!text.empty() && (!take_char(text, "T ") || !take_time(text, time))) return Parsed::kWrong;
  return nanoseconds_from_days(days, time, out) ? Parsed::kValue : Parsed::kWrong;
}

bool is_valid_utf8(std::string_view text) {
  const auto* s = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t i = 0;
  const std::size_t size = text.size();
  while (i < size) {
    if (s[i] < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = s[i] >= 0xf0 ? 4 : s[i] >= 0xe0 ? 3 : 2;
    if (s[i] < 0xc2 || s[i] > 0xf4 || size - i < length) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((s[i + k] & 0xc0) != 0x80) return false;
    }
    // Overlong forms, surrogates, beyond U+10FFFF.
    if ((s[i] == 0xe0 && s[i + 1] < 0xa0) || (s[i] == 0xed && s[i + 1] > 0x9f) || (s[i] == 0xf0 && s[i + 1] < 0x90) ||
        (s[i] == 0xf4 && s[i + 1] > 0x8f))
      return false;
    i += length;
  }
  return true;
}

}  // namespace dask::dataframe::csv
