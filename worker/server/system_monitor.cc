#include "worker/server/system_monitor.h"

#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

namespace dask::worker {
namespace {

constexpr const char* kNames[] = {
    "cpu", "memory", "time", "host_net_io.read_bps", "host_net_io.write_bps", "host_disk_io.read_bps", "host_disk_io.write_bps", "num_fds"};
constexpr double kSectorBytes = 512;  // /proc/diskstats counts in these, whatever the disk

// Processor time that a process has used, in seconds; 0 when it is gone.
double cpu_seconds(int pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const std::size_t after_name = text.rfind(')');
  if (after_name == std::string::npos) return 0;
  std::istringstream rest(text.substr(after_name + 2));
  std::string skip;
  for (int i = 0; i < 11; ++i) rest >> skip;
  double user = 0, system = 0;
  rest >> user >> system;
  return (user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double open_descriptors(int pid) {
  DIR* folder = opendir(fmt::format("/proc/{}/fd", pid).c_str());
  if (!folder) return 0;
  double count = -2;  // . and ..
  while (readdir(folder)) ++count;
  closedir(folder);
  return std::max(count, 0.0);
}

// Bytes received and sent by all interfaces.
std::pair<double, double> network_totals() {
  std::ifstream file("/proc/net/dev");
  std::string line;
  double read = 0, written = 0;
  while (std::getline(file, line)) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    std::istringstream numbers(line.substr(colon + 1));
    double column = 0;
    for (int i = 0; i < 9 && numbers >> column; ++i) {
      if (i == 0) read += column;
      if (i == 8) written += column;
    }
  }
  return {read, written};
}

// Bytes read from and written to all disks (not their partitions: those end in a digit).
std::pair<double, double> disk_totals() {
  std::ifstream file("/proc/diskstats");
  std::string line;
  double read = 0, written = 0;
  while (std::getline(file, line)) {
    std::istringstream columns(line);
    std::string name;
    double major = 0, minor = 0, number[7] = {};
    columns >> major >> minor >> name;
    if (name.empty() || name.rfind("loop", 0) == 0 || name.rfind("ram", 0) == 0) continue;
    const bool partition = std::isdigit(static_cast<unsigned char>(name.back())) && name.rfind("nvme", 0) != 0;
    if (partition || (name.rfind("nvme", 0) == 0 && name.find('p') != std::string::npos)) continue;
    for (double& n : number) columns >> n;
    read += number[2] * kSectorBytes;
    written += number[6] * kSectorBytes;
  }
  return {read, written};
}

}  // namespace

void SystemMonitor::sample(double wall, double monotonic, int executor_pid, std::uint64_t memory_bytes) {
  const double duration = std::max(monotonic - last_monotonic_, 0.001);
  Sample sample{};
  const double used = cpu_seconds(getpid()) + (executor_pid > 0 ? cpu_seconds(executor_pid) : 0);
  if (last_cpu_seconds_ >= 0 && executor_pid == last_pid_) sample[0] = std::max(0.0, (used - last_cpu_seconds_) / duration * 100);
  last_cpu_seconds_ = used;
  last_pid_ = executor_pid;
  sample[1] = static_cast<double>(memory_bytes);
  sample[2] = wall;
  const auto [net_read, net_written] = network_totals();
  const auto [disk_read, disk_written] = disk_totals();
  const std::array<double, 4> totals{net_read, net_written, disk_read, disk_written};
  for (std::size_t i = 0; i < totals.size(); ++i)
    if (has_totals_) sample[3 + i] = std::max(0.0, (totals[i] - last_totals_[i]) / duration);
  last_totals_ = totals;
  has_totals_ = true;
  sample[7] = open_descriptors(getpid()) + (executor_pid > 0 ? open_descriptors(executor_pid) : 0);
  samples_.push_back(sample);
  if (samples_.size() > kSamplesMax) samples_.pop_front();
  ++count_;
  last_monotonic_ = monotonic;
}

Value SystemMonitor::value_of(const Sample& sample, std::size_t quantity) {
  if (quantity == 1 || quantity == 7) return Value(static_cast<std::int64_t>(sample[quantity]));
  return Value(sample[quantity]);
}

Value SystemMonitor::recent() const {
  Value values = Value::map();
  if (!samples_.empty())
    for (std::size_t i = 0; i < std::size(kNames); ++i) values.set(kNames[i], value_of(samples_.back(), i));
  return values;
}

Value SystemMonitor::range_query(std::int64_t start) const {
  const auto held = static_cast<std::int64_t>(samples_.size());
  const std::int64_t wanted = start >= count_ ? 0 : std::clamp<std::int64_t>(count_ - start, 1, held);
  Value values = Value::map();
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    Value::Array column;
    for (std::int64_t n = held - wanted; n < held; ++n) column.push_back(value_of(samples_[static_cast<std::size_t>(n)], i));
    values.set(kNames[i], Value(std::move(column)));
  }
  return values;
}

}  // namespace dask::worker
