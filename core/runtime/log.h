// The log: lines as Dask writes them ("2026-11-24 20:00:00,123 - distributed.scheduler - INFO - text") on stderr, and the
// last ones kept for the `logs` operation. One log per process; before configure_log() it has Dask's defaults.
// Thread safety: every function may be called from any thread.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace dask {

class Config;

// Python's numbers, so that levels compare and configure as in Dask.
enum class LogLevel : int { kDebug = 10, kInfo = 20, kWarning = 30, kError = 40, kCritical = 50 };
std::string_view log_level_name(LogLevel level);  // "INFO"

struct LogRecord {
  double time = 0;  // wall clock, seconds
  LogLevel level = LogLevel::kInfo;
  std::string line;
};

// Takes levels (`distributed.logging` or `logging`), `distributed.admin.log-format` and `distributed.admin.log-length`.
// kInvalidArgument names the key that is wrong; the log then stays as it was.
Result<void> configure_log(const Config& config);

// The name that log_info() and its like put into lines: "distributed.scheduler" unless set.
void set_log_name(std::string name);

// True when a line of this level is written under the process's name; spares the work of building it.
bool log_enabled(LogLevel level);

// Writes one line. `name` decides which configured level applies: the longest configured prefix of it.
void log_line(LogLevel level, std::string_view name, std::string_view text);
void log_line(LogLevel level, std::string_view text);

// The last lines (at most distributed.admin.log-length, 10000 by default), oldest first; `newest` bounds their number.
std::vector<LogRecord> log_records(std::size_t newest = SIZE_MAX);

template <class... Args>
void log_debug(fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kDebug)) log_line(LogLevel::kDebug, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_info(fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kInfo)) log_line(LogLevel::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_warning(fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kWarning)) log_line(LogLevel::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void log_error(fmt::format_string<Args...> format, Args&&... args) {
  if (log_enabled(LogLevel::kError)) log_line(LogLevel::kError, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace dask
