// What to do at which memory use: spill, pause, resume, terminate. Pure: bytes in, a verdict out.
// Source: distributed/worker_memory.py; the fractions are distributed.worker.memory's.
#pragma once

#include <cstdint>
#include <optional>

#include "core/base/result.h"
#include "core/runtime/config.h"

namespace dask::worker {

// Fractions of the memory limit; nullopt: never (`false` in the configuration).
struct MemoryFractions {
  std::optional<double> target = 0.60;  // managed memory above it goes to disk
  std::optional<double> spill = 0.70;   // process memory above it goes to disk, down to the target
  std::optional<double> pause = 0.80;
  std::optional<double> terminate = 0.95;
};
Result<MemoryFractions> memory_fractions(const Config& config);

struct MemoryVerdict {
  std::uint64_t spill_bytes = 0;  // so much has to leave the memory
  bool pause = false;             // start nothing new; false: go on
  bool terminate = false;
};

// `process`: resident memory of all our processes. `managed`: what the store holds in memory. No limit: nothing is ever done.
MemoryVerdict judge_memory(const MemoryFractions& fractions, std::optional<std::uint64_t> limit, std::uint64_t process,
                           std::uint64_t managed);

}  // namespace dask::worker
