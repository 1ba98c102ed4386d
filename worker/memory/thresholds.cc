#include "worker/memory/thresholds.h"

#include <algorithm>

namespace dask::worker {

Result<MemoryFractions> memory_fractions(const Config& config) {
  MemoryFractions fractions;
  const auto read = [&](const char* name, std::optional<double>& fraction) -> Result<void> {
    const std::string key = std::string("distributed.worker.memory.") + name;
    const Value* value = config.find(key);
    if (!value) return {};
    if (value->is_nil() || (value->is_bool() && !value->as_bool())) {
      fraction.reset();
      return {};
    }
    DASK_TRY(fraction, config.get_double(key));
    if (*fraction < 0 || *fraction > 1)
      return fail(ErrorCode::kInvalidArgument, key + " (from " + config.source(key) + ") must be a fraction from 0 to 1, or false");
    return {};
  };
  DASK_TRY_VOID(read("target", fractions.target));
  DASK_TRY_VOID(read("spill", fractions.spill));
  DASK_TRY_VOID(read("pause", fractions.pause));
  DASK_TRY_VOID(read("terminate", fractions.terminate));
  return fractions;
}

MemoryVerdict judge_memory(const MemoryFractions& fractions, std::optional<std::uint64_t> limit, std::uint64_t process,
                           std::uint64_t managed) {
  MemoryVerdict verdict;
  if (!limit) return verdict;
  const auto bytes = [&](const std::optional<double>& fraction) {
    return static_cast<std::uint64_t>(*fraction * static_cast<double>(*limit));
  };
  if (fractions.target && managed > bytes(fractions.target)) verdict.spill_bytes = managed - bytes(fractions.target);
  if (fractions.spill && process > bytes(fractions.spill)) {
    const std::uint64_t down_to = bytes(fractions.target ? fractions.target : fractions.spill);
    if (process > down_to) verdict.spill_bytes = std::max(verdict.spill_bytes, process - down_to);
  }
  verdict.pause = fractions.pause && process > bytes(fractions.pause);
  verdict.terminate = fractions.terminate && process > bytes(fractions.terminate);
  return verdict;
}

}  // namespace dask::worker
