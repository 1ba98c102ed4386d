// The log's state and its sink (the only user of spdlog): levels by logger name, Python's line format, a ring of records.
#include "core/runtime/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <ctime>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "core/base/value.h"
#include "core/runtime/config.h"

namespace dask {

namespace {

constexpr std::string_view kDefaultFormat = "%(asctime)s - %(name)s - %(levelname)s - %(message)s";
constexpr std::size_t kDefaultRecordsMax = 10000;
constexpr std::int64_t kConfiguredRecordsMax = 10'000'000;

struct State {
  std::mutex mutex;
  std::string name = "distributed.scheduler";
  std::map<std::string, int, std::less<>> levels{{"distributed", 20}};
  std::string format{kDefaultFormat};
  std::size_t records_max = kDefaultRecordsMax;
  std::deque<LogRecord> records;
  std::shared_ptr<spdlog::logger> logger;
  std::atomic<int> level_of_name{20};

  State() {
    auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    logger = std::make_shared<spdlog::logger>("dask", std::move(sink));
    logger->set_pattern("%v");
    logger->set_level(spdlog::level::trace);
    logger->flush_on(spdlog::level::trace);
  }

  int level_for(std::string_view logger_name) const {
    for (;;) {
      if (auto found = levels.find(logger_name); found != levels.end()) return found->second;
      std::size_t dot = logger_name.rfind('.');
      if (dot == std::string_view::npos) return static_cast<int>(LogLevel::kWarning);  // Python's root logger
      logger_name = logger_name.substr(0, dot);
    }
  }
};

// Lives until the process ends: threads may log while statics are destroyed.
State& state() {
  static State* the_state = new State;
  return *the_state;
}

std::string local_time(double time) {
  auto seconds = static_cast<std::time_t>(time);
  std::tm parts{};
  ::localtime_r(&seconds, &parts);
  int milliseconds = static_cast<int>((time - static_cast<double>(seconds)) * 1000);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02},{:03}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                     parts.tm_min, parts.tm_sec, milliseconds);
}

// Python's %-format with the fields that a line can have; an unknown field stays as it is.
std::string format_line(std::string_view format, double time, LogLevel level, std::string_view name, std::string_view text) {
  std::string line;
  while (!format.empty()) {
    std::size_t percent = format.find('%');
    line.append(format.substr(0, percent));
    if (percent == std::string_view::npos) break;
    format.remove_prefix(percent);
    std::size_t close = format.find(')');
    if (format.substr(0, 2) == "%%") {
      line += '%';
      format.remove_prefix(2);
    } else if (format.substr(0, 2) != "%(" || close == std::string_view::npos) {
      line += '%';
      format.remove_prefix(1);
    } else {
      std::string_view field = format.substr(2, close - 2);
      std::size_t end = format.find_first_of("sdf", close);
      if (field == "asctime")
        line += local_time(time);
      else if (field == "name")
        line += name;
      else if (field == "levelname")
        line += log_level_name(level);
      else if (field == "levelno")
        line += std::to_string(static_cast<int>(level));
      else if (field == "message")
        line += text;
      else if (field == "process")
        line += std::to_string(::getpid());
      else if (field == "created")
        line += fmt::format("{:.6f}", time);
      else
        line += format.substr(0, end == std::string_view::npos ? end : end + 1);
      format.remove_prefix(end == std::string_view::npos ? format.size() : end + 1);
    }
  }
  return line;
}

Result<int> parse_level(const std::string& key, const Value& value) {
  if (value.is_int()) return static_cast<int>(value.as_int());
  static const std::map<std::string, int> names{{"notset", 0},   {"debug", 10}, {"info", 20},     {"warn", 30},
                                                {"warning", 30}, {"error", 40}, {"critical", 50}, {"fatal", 50}};
  std::string text(value.as_string());
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (auto found = names.find(text); found != names.end()) return found->second;
  return fail(ErrorCode::kInvalidArgument,
              fmt::format("configuration {}: {} is no log level; use debug, info, warning, error or critical", key, value.repr()));
}

}  // namespace

std::string_view log_level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "DEBUG";
    case LogLevel::kInfo: return "INFO";
    case LogLevel::kWarning: return "WARNING";
    case LogLevel::kError: return "ERROR";
    case LogLevel::kCritical: return "CRITICAL";
  }
  return "INFO";
}

Result<void> configure_log(const Config& config) {
  std::map<std::string, int, std::less<>> levels{{"distributed", 20}};
  std::string section = config.find("distributed.logging") ? "distributed.logging" : "logging";
  if (const Value* logging = config.find(section); logging && logging->is_map() && !logging->find("version")) {
    for (const auto& [name, value] : *logging->map_if()) {
      std::string logger_name(name.as_string());
      DASK_TRY(int level, parse_level(section + "." + logger_name, value));
      levels[logger_name] = level;
    }
  }
  std::string format(kDefaultFormat);
  if (config.find("distributed.admin.log-format")) {
    DASK_TRY(format, config.get_string("distributed.admin.log-format"));
  }
  std::int64_t records_max = kDefaultRecordsMax;
  if (const Value* length = config.find("distributed.admin.log-length"); length && !length->is_nil()) {
    DASK_TRY(records_max, config.get_int("distributed.admin.log-length"));
    if (records_max < 0 || records_max > kConfiguredRecordsMax) {
      return fail(ErrorCode::kInvalidArgument, fmt::format("configuration distributed.admin.log-length: {} is out of range; use 0 to {}",
                                                           records_max, kConfiguredRecordsMax));
    }
  }
  State& log = state();
  std::lock_guard lock(log.mutex);
  log.levels = std::move(levels);
  log.format = std::move(format);
  log.records_max = static_cast<std::size_t>(records_max);
  log.level_of_name = log.level_for(log.name);
  return {};
}

void set_log_name(std::string name) {
  State& log = state();
  std::lock_guard lock(log.mutex);
  log.name = std::move(name);
  log.level_of_name = log.level_for(log.name);
}

bool log_enabled(LogLevel level) { return static_cast<int>(level) >= state().level_of_name.load(std::memory_order_relaxed); }

void log_line(LogLevel level, std::string_view name, std::string_view text) {
  timeval now{};
  ::gettimeofday(&now, nullptr);
  double time = static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_usec) * 1e-6;
  State& log = state();
  std::lock_guard lock(log.mutex);
  if (static_cast<int>(level) < log.level_for(name)) return;
  std::string line = format_line(log.format, time, level, name, text);
  log.logger->log(spdlog::level::info, line);
  if (log.records_max == 0) return;
  log.records.push_back(LogRecord{time, level, std::move(line)});
  while (log.records.size() > log.records_max) log.records.pop_front();
}

void log_line(LogLevel level, std::string_view text) {
  std::string name;
  {
    std::lock_guard lock(state().mutex);
    name = state().name;
  }
  log_line(level, name, text);
}

std::vector<LogRecord> log_records(std::size_t newest) {
  State& log = state();
  std::lock_guard lock(log.mutex);
  std::size_t count = std::min(newest, log.records.size());
  return {log.records.end() - static_cast<std::ptrdiff_t>(count), log.records.end()};
}

}  // namespace dask
