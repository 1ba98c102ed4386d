// Dates as pandas prints them.
#include "collections/dataframe/base/calendar.h"

#include <fmt/format.h>

#include "collections/dataframe/base/types.h"

namespace dask::dataframe {

std::string timestamp_text(std::int64_t nanoseconds, bool date_only) {
  if (nanoseconds == kNaT) return "NaT";
  const std::int64_t days = floor_divide(nanoseconds, kNanosecondsPerDay);
  const CivilDate date = civil_from_days(days);
  std::string text = fmt::format("{:04}-{:02}-{:02}", date.year, date.month, date.day);
  if (date_only) return text;
  const std::int64_t time = nanoseconds - days * kNanosecondsPerDay;
  const std::int64_t seconds = time / kNanosecondsPerSecond, fraction = time % kNanosecondsPerSecond;
  text += fmt::format(" {:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
  if (fraction != 0) text += fraction % 1000 != 0 ? fmt::format(".{:09}", fraction) : fmt::format(".{:06}", fraction / 1000);
  return text;
}

}  // namespace dask::dataframe
