// Times as text, by the calendar of <chrono>.
#include "operator/kube/time_text.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstdint>

namespace dask::kube {

namespace {

struct Parts {
  int year, month, day, hour, minute, second;
};

Parts parts_of(std::int64_t seconds) {
  using namespace std::chrono;
  const sys_seconds time{std::chrono::seconds(seconds)};
  const auto days = floor<std::chrono::days>(time);
  const year_month_day date{days};
  const std::int64_t rest = (time - days).count();
  return {static_cast<int>(date.year()),
          static_cast<int>(static_cast<unsigned>(date.month())),
          static_cast<int>(static_cast<unsigned>(date.day())),
          static_cast<int>(rest / 3600),
          static_cast<int>(rest / 60 % 60),
          static_cast<int>(rest % 60)};
}

// `width` digits at `at`; moves on. -1: none.
int digits(std::string_view text, std::size_t& at, int width) {
  int value = 0;
  for (int i = 0; i < width; ++i, ++at) {
    if (at >= text.size() || text[at] < '0' || text[at] > '9') return -1;
    value = value * 10 + (text[at] - '0');
  }
  return value;
}

bool skip(std::string_view text, std::size_t& at, char c) {
  if (at >= text.size() || text[at] != c) return false;
  ++at;
  return true;
}

}  // namespace

std::string timestamp_of_seconds(double since_1970) {
  const Parts p = parts_of(static_cast<std::int64_t>(std::floor(since_1970)));
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", p.year, p.month, p.day, p.hour, p.minute, p.second);
}

std::string micro_timestamp_of_seconds(double since_1970) {
  const auto micros = static_cast<std::int64_t>(std::floor(since_1970 * 1e6));
  const std::int64_t seconds = micros >= 0 ? micros / 1'000'000 : (micros - 999'999) / 1'000'000;
  const Parts p = parts_of(seconds);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", p.year, p.month, p.day, p.hour, p.minute, p.second,
                     micros - seconds * 1'000'000);
}

std::optional<double> seconds_of_timestamp(std::string_view text) {
  using namespace std::chrono;
  std::size_t at = 0;
  const int y = digits(text, at, 4);
  if (!skip(text, at, '-')) return std::nullopt;
  const int month = digits(text, at, 2);
  if (!skip(text, at, '-')) return std::nullopt;
  const int day = digits(text, at, 2);
  if (!skip(text, at, 'T') && !skip(text, at, ' ') && !skip(text, at, 't')) return std::nullopt;
  const int hour = digits(text, at, 2);
  if (!skip(text, at, ':')) return std::nullopt;
  const int minute = digits(text, at, 2);
  if (!skip(text, at, ':')) return std::nullopt;
  const int second = digits(text, at, 2);
  if (y < 0 || month < 0 || day < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return std::nullopt;
  const year_month_day date{year(y), std::chrono::month(static_cast<unsigned>(month)), std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  double fraction = 0;
  if (skip(text, at, '.')) {
    double scale = 0.1;
    for (; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10) fraction += scale * (text[at] - '0');
  }
  double offset = 0;
  if (!skip(text, at, 'Z') && !skip(text, at, 'z')) {
    const bool minus = at < text.size() && text[at] == '-';
    if (!minus && !(at < text.size() && text[at] == '+')) return std::nullopt;
    ++at;
    const int hours = digits(text, at, 2);
    skip(text, at, ':');
    const int minutes = digits(text, at, 2);
    if (hours < 0 || minutes < 0) return std::nullopt;
    offset = (minus ? -1 : 1) * (hours * 3600.0 + minutes * 60.0);
  }
  if (at != text.size()) return std::nullopt;
  const double days = static_cast<double>(sys_days(date).time_since_epoch().count());
  return days * 86400 + hour * 3600.0 + minute * 60.0 + second + fraction - offset;
}

}  // namespace dask::kube
