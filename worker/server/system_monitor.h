// SystemMonitor: what the heartbeat and the dashboards show of processes and machine: processor, memory, network, disk, descriptors.
// Samples every half second and keeps an hour. Source: distributed/system_monitor.py; our processes count as one.
// Thread ownership: the loop's thread.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>

#include "core/base/value.h"

namespace dask::worker {

class SystemMonitor {
 public:
  static constexpr std::size_t kSamplesMax = 7200;  // distributed.admin.system-monitor.log-length

  // `executor_pid`: -1 when there is none. `memory_bytes`: of all our processes.
  void sample(double wall, double monotonic, int executor_pid, std::uint64_t memory_bytes);
  // The newest values by Dask's names ("cpu", "host_net_io.read_bps", …).
  Value recent() const;
  // The samples since number `start`, as {name: [values]}.
  Value range_query(std::int64_t start) const;
  std::int64_t count() const { return count_; }
  double last_time() const { return last_monotonic_; }

 private:
  // cpu, memory, time, host_net_io.read_bps, .write_bps, host_disk_io.read_bps, .write_bps, num_fds
  using Sample = std::array<double, 8>;
  static Value value_of(const Sample& sample, std::size_t quantity);

  std::deque<Sample> samples_;
  std::int64_t count_ = 0;
  double last_monotonic_ = 0;
  double last_cpu_seconds_ = -1;
  int last_pid_ = -1;
  std::array<double, 4> last_totals_{};  // network read, written, disk read, written
  bool has_totals_ = false;
};

}  // namespace dask::worker
