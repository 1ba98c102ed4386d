// The process_* metrics, read from /proc/self when somebody asks. Names and meaning: Prometheus' client guidelines.
#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "core/obs/metrics.h"

namespace dask {

namespace {

struct ProcessStat {
  double cpu_seconds = 0;
  double start_seconds_after_boot = 0;
  double virtual_bytes = 0;
  double resident_bytes = 0;
};

// /proc/self/stat: the command's name, in brackets, may hold anything; fields are counted after it.
ProcessStat read_stat() {
  ProcessStat stat;
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  auto name_end = line.rfind(')');
  if (name_end == std::string::npos) return stat;
  std::istringstream fields(line.substr(name_end + 1));
  std::string skipped;
  for (int i = 3; i < 14; ++i) fields >> skipped;
  double utime = 0, stime = 0, start = 0, pages = 0;
  fields >> utime >> stime;
  for (int i = 16; i < 22; ++i) fields >> skipped;
  fields >> start >> stat.virtual_bytes >> pages;
  auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  stat.cpu_seconds = (utime + stime) / ticks;
  stat.start_seconds_after_boot = start / ticks;
  stat.resident_bytes = pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
  return stat;
}

double boot_time() {
  std::ifstream file("/proc/stat");
  std::string word;
  double seconds = 0;
  while (file >> word) {
    if (word == "btime" && file >> seconds) break;
  }
  return seconds;
}

double open_fds() {
  DIR* folder = ::opendir("/proc/self/fd");
  if (!folder) return 0;
  int count = 0;
  while (::readdir(folder)) ++count;
  ::closedir(folder);
  return count - 3;  // ".", ".." and the folder itself
}

}  // namespace

void add_process_metrics(Metrics& metrics) {
  Gauge resident = metrics.gauge("process_resident_memory_bytes", "Resident memory size in bytes.");
  Gauge virtual_memory = metrics.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.");
  Gauge start_time = metrics.gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.");
  Gauge open = metrics.gauge("process_open_fds", "Number of open file descriptors.");
  Gauge limit = metrics.gauge("process_max_fds", "Maximum number of open file descriptors.");
  Counter cpu = metrics.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.");
  start_time.set(boot_time() + read_stat().start_seconds_after_boot);
  metrics.before_expose([=]() mutable {
    ProcessStat stat = read_stat();
    resident.set(stat.resident_bytes);
    virtual_memory.set(stat.virtual_bytes);
    cpu.raise_to(stat.cpu_seconds);
    open.set(open_fds());
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    limit.set(static_cast<double>(files.rlim_cur));
  });
}

}  // namespace dask
