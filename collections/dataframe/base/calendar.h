// Dates of the proleptic Gregorian calendar as nanoseconds since 1970 and back: pandas' datetime64[ns], 1677 to 2262.
// The conversions are Howard Hinnant's days_from_civil and civil_from_days ("chrono-Compatible Low-Level Date Algorithms").
#pragma once

#include <cstdint>
#include <string>

namespace dask::dataframe {

inline constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
inline constexpr std::int64_t kNanosecondsPerDay = 86'400 * kNanosecondsPerSecond;

// False when there is no such day.
inline bool days_from_civil(int year, int month, int day, std::int64_t& days) {
  constexpr unsigned char kLengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (month < 1 || month > 12 || day < 1) return false;
  const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  if (day > kLengths[month - 1] + (month == 2 && leap ? 1 : 0)) return false;
  const int y = year - (month <= 2 ? 1 : 0);
  const int era = (y >= 0 ? y : y - 399) / 400;
  const unsigned year_of_era = static_cast<unsigned>(y - era * 400);
  const unsigned day_of_year = (153 * static_cast<unsigned>(month + (month > 2 ? -3 : 9)) + 2) / 5 + static_cast<unsigned>(day) - 1;
  days = era * std::int64_t{146097} + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
  return true;
}

// False outside of what 64 bits of nanoseconds hold.
inline bool nanoseconds_from_days(std::int64_t days, std::int64_t time, std::int64_t& out) {
  return !__builtin_mul_overflow(days, kNanosecondsPerDay, &out) && !__builtin_add_overflow(out, time, &out) && out != INT64_MIN;
}

inline std::int64_t floor_divide(std::int64_t a, std::int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0); }

struct CivilDate {
  std::int64_t year = 1970;
  int month = 1, day = 1;
};

inline CivilDate civil_from_days(std::int64_t days) {
  const std::int64_t shifted = days + 719468;
  const std::int64_t era = floor_divide(shifted, 146097);
  const auto day_of_era = static_cast<std::uint32_t>(shifted - era * 146097);
  const std::uint32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const std::uint32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const std::uint32_t shifted_month = (5 * day_of_year + 2) / 153;
  CivilDate date;
  date.day = static_cast<int>(day_of_year - (153 * shifted_month + 2) / 5 + 1);
  date.month = static_cast<int>(shifted_month < 10 ? shifted_month + 3 : shifted_month - 9);
  date.year = static_cast<std::int64_t>(year_of_era) + era * 400 + (date.month <= 2 ? 1 : 0);
  return date;
}

// pandas' str(Timestamp): 1990-01-01 00:00:00, with a fraction only when there is one; without the time when `date_only`.
std::string timestamp_text(std::int64_t nanoseconds, bool date_only);

}  // namespace dask::dataframe
