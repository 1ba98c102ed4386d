#include "worker/memory/limits.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <iterator>
#include <vector>

#include "core/runtime/config.h"

namespace dask::worker {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The number at the start of a file; nothing when there is none ("max").
std::optional<std::uint64_t> read_number(const std::string& path) {
  const std::string text = read_text(path);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return number;
}

// The folders of this process's cgroup for a controller and of all above it, below `mount`; the root last.
std::vector<std::string> cgroup_folders(const std::string& root, std::string_view controller, const std::string& mount) {
  std::vector<std::string> folders;
  const std::string text = read_text(root + "/proc/self/cgroup");
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool here = controller.empty() ? controllers == ",," : controllers.find("," + std::string(controller) + ",") != std::string::npos;
    if (!here) continue;
    for (std::string path = line.substr(second + 1); path.size() > 1; path.resize(path.rfind('/'))) folders.push_back(mount + path);
  }
  folders.push_back(mount);
  return folders;
}

}  // namespace

std::uint64_t system_memory_limit(const std::string& root) {
  std::uint64_t limit = UINT64_MAX;
  const std::string meminfo = read_text(root + "/proc/meminfo");
  if (const std::size_t at = meminfo.find("MemTotal:"); at != std::string::npos)
    limit = std::strtoull(meminfo.c_str() + at + 9, nullptr, 10) * 1024;
  const auto take = [&](const std::string& file) {
    if (auto bytes = read_number(file); bytes && *bytes > 0) limit = std::min(limit, *bytes);
  };
  for (const std::string& folder : cgroup_folders(root, "memory", root + "/sys/fs/cgroup/memory")) {
    take(folder + "/memory.limit_in_bytes");
    take(folder + "/memory.soft_limit_in_bytes");
  }
  for (const std::string& folder : cgroup_folders(root, "", root + "/sys/fs/cgroup")) {
    take(folder + "/memory.max");
    take(folder + "/memory.high");
  }
  rlimit resident{};
  if (root.empty() && getrlimit(RLIMIT_RSS, &resident) == 0 && resident.rlim_max > 0)
    limit = std::min<std::uint64_t>(limit, resident.rlim_max);
  return limit;
}

int cpu_count(const std::string& root) {
  cpu_set_t set;
  CPU_ZERO(&set);
  int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  const auto quota = [&](double used, double period) {
    if (used > 0 && period > 0) count = std::min(count, std::max(1, static_cast<int>(std::ceil(used / period))));
  };
  for (const char* controller : {"cpuacct,cpu", "cpu,cpuacct", "cpu"}) {
    const std::string folder = root + "/sys/fs/cgroup/" + controller;
    if (auto used = read_number(folder + "/cpu.cfs_quota_us"))
      quota(static_cast<double>(*used), static_cast<double>(read_number(folder + "/cpu.cfs_period_us").value_or(0)));
  }
  for (const std::string& folder : cgroup_folders(root, "", root + "/sys/fs/cgroup")) {
    const std::string text = read_text(folder + "/cpu.max");
    const std::size_t space = text.find(' ');
    if (space != std::string::npos && text.rfind("max", 0) != 0)
      quota(std::strtod(text.c_str(), nullptr), std::strtod(text.c_str() + space, nullptr));
  }
  return std::max(count, 1);
}

Result<std::optional<std::uint64_t>> parse_memory_limit(std::string_view text, int nthreads, int cores, std::uint64_t system_limit,
                                                        std::string& warning) {
  double bytes = 0;
  if (text == "auto") {
    bytes = std::floor(static_cast<double>(system_limit) * std::min(1.0, static_cast<double>(nthreads) / cores));
  } else {
    const std::string number(text);
    char* end = nullptr;
    bytes = std::strtod(number.c_str(), &end);
    const bool plain = !number.empty() && *end == '\0';
    if (plain && bytes <= 1) {
      bytes = std::floor(bytes * static_cast<double>(system_limit));
    } else if (!plain) {
      auto parsed = parse_bytes(text);
      if (!parsed)
        return fail(ErrorCode::kInvalidArgument,
                    fmt::format("memory limit '{}': {}; give bytes (4GB), a fraction of the system's memory (0.5), 'auto' or 0 for none",
                                text, parsed.error().message));
      bytes = static_cast<double>(*parsed);
    }
    if (!(bytes >= 0)) return fail(ErrorCode::kInvalidArgument, fmt::format("memory limit '{}' is less than nothing", text));
  }
  if (bytes < 1) return std::optional<std::uint64_t>();
  if (bytes > static_cast<double>(system_limit)) {
    warning = fmt::format("Ignoring provided memory limit {} due to system memory limit of {}", text,
                          format_bytes(static_cast<double>(system_limit)));
    return std::optional<std::uint64_t>(system_limit);
  }
  return std::optional<std::uint64_t>(static_cast<std::uint64_t>(bytes));
}

std::string format_bytes(double bytes) {
  static constexpr std::pair<const char*, int> kUnits[] = {{"Pi", 50}, {"Ti", 40}, {"Gi", 30}, {"Mi", 20}, {"ki", 10}};
  for (const auto& [unit, power] : kUnits)
    if (const double size = std::ldexp(1.0, power); bytes >= size * 0.9) return fmt::format("{:.2f} {}B", bytes / size, unit);
  return fmt::format("{:.0f} B", bytes);
}

}  // namespace dask::worker
