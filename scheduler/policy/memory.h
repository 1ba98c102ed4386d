// What a worker's memory is made of, by Dask's names: measured by its heartbeats and by the results that it holds.
// Source: distributed/scheduler.py, MemoryState.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "scheduler/state/worker.h"

namespace dask::scheduler {

// All in bytes. Parts add up: process = managed + unmanaged_old + unmanaged_recent.
struct MemoryState {
  std::int64_t process = 0;
  std::int64_t managed = 0;  // results in memory
  std::int64_t unmanaged_old = 0;
  std::int64_t spilled = 0;  // results on disk

  std::int64_t unmanaged() const { return process - managed; }
  std::int64_t unmanaged_recent() const { return process - managed - unmanaged_old; }
  std::int64_t optimistic() const { return managed + unmanaged_old; }
  std::int64_t managed_total() const { return managed + spilled; }

  MemoryState& operator+=(const MemoryState& other) {
    process += other.process;
    managed += other.managed;
    unmanaged_old += other.unmanaged_old;
    spilled += other.spilled;
    return *this;
  }
  // By Dask's name for it; none when there is no such measure.
  std::optional<std::int64_t> measure(std::string_view name) const {
    if (name == "process") return process;
    if (name == "managed") return managed;
    if (name == "managed_total") return managed_total();
    if (name == "unmanaged") return unmanaged();
    if (name == "unmanaged_old") return unmanaged_old;
    if (name == "unmanaged_recent") return unmanaged_recent();
    if (name == "spilled") return spilled;
    if (name == "optimistic") return optimistic();
    return std::nullopt;
  }
};

inline MemoryState memory_of(const Worker& ws) {
  MemoryState memory;
  memory.process = ws.memory_process;
  memory.managed = std::clamp<std::int64_t>(ws.nbytes - ws.memory_spilled, 0, std::max<std::int64_t>(ws.memory_process, 0));
  memory.unmanaged_old = std::min(ws.memory_unmanaged_old, ws.memory_process - memory.managed);
  memory.spilled = ws.disk_spilled;
  return memory;
}

}  // namespace dask::scheduler
