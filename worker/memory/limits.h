// How much this machine gives to a worker: memory (total, cgroup v1 and v2, RLIMIT_RSS) and processors (affinity, cgroup quota).
// Source: distributed/system.py, dask/system.py, distributed/worker_memory.py (parse_memory_limit).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace dask::worker {

// Bytes that this process may use at most. `root` stands before /proc and /sys, for tests.
std::uint64_t system_memory_limit(const std::string& root = "");

// Processors that this process may use; at least 1.
int cpu_count(const std::string& root = "");

// "auto", "4GB", "0.5" (a fraction of the system's), a number of bytes, "0" (no limit). More than the system has becomes what it has;
// `warning` then says so.
Result<std::optional<std::uint64_t>> parse_memory_limit(std::string_view text, int nthreads, int cores, std::uint64_t system_limit,
                                                        std::string& warning);

// Dask's text for sizes: "1.21 kiB".
std::string format_bytes(double bytes);

}  // namespace dask::worker
