// /proc and cgroup v2 files, read anew each time.
#include "worker/execute/memory_of_process.h"

#include <fmt/format.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace dask::worker {

std::uint64_t resident_bytes(int pid) {
  std::ifstream file(fmt::format("/proc/{}/statm", pid));
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  if (!(file >> size >> resident)) return 0;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::uint64_t peak_resident_bytes(int pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string name; file >> name;) {
    std::uint64_t kib = 0;
    if (name == "VmHWM:" && file >> kib) return kib * 1024;
  }
  return 0;
}

std::uint64_t cgroup_out_of_memory_kills() {
  std::ifstream groups("/proc/self/cgroup");
  std::string folder;
  for (std::string line; std::getline(groups, line);) {
    if (line.rfind("0::", 0) == 0) folder = line.substr(3);
  }
  std::ifstream events("/sys/fs/cgroup" + folder + "/memory.events");
  std::string name;
  std::uint64_t count = 0;
  while (events >> name >> count) {
    if (name == "oom_kill") return count;
  }
  return 0;
}

}  // namespace dask::worker
