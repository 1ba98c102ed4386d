#include "scheduler/server/check_config.h"

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "core/runtime/config.h"
#include "scheduler/server/memory_manager.h"

namespace dask::scheduler {
namespace {

constexpr std::string_view kDurations[] = {
    "distributed.scheduler.worker-ttl",
    "distributed.scheduler.unknown-task-duration",
    "distributed.scheduler.no-workers-timeout",
    "distributed.scheduler.idle-timeout",
    "distributed.scheduler.work-stealing-interval",
    "distributed.scheduler.locks.lease-validation-interval",
    "distributed.scheduler.active-memory-manager.interval",
    "distributed.adaptive.target-duration",
};
constexpr std::string_view kSizes[] = {"distributed.scheduler.default-data-size", "distributed.scheduler.bandwidth"};
constexpr std::string_view kCounts[] = {"distributed.scheduler.allowed-failures", "distributed.admin.low-level-log-length"};
constexpr std::string_view kCountThatMayBeNone = "distributed.admin.low-level-log-length";
constexpr std::string_view kSwitches[] = {"distributed.scheduler.work-stealing", "distributed.scheduler.active-memory-manager.start"};
constexpr std::string_view kSaturation = "distributed.scheduler.worker-saturation";

// A missing key is no error.
template <class T>
Result<void> right(const Result<T>& value) {
  if (value || value.error().code == ErrorCode::kNotFound) return {};
  return fail(value.error());
}

bool is_infinite(const Config& config, std::string_view key) {
  auto text = config.get_string(key);
  return text && (*text == "inf" || *text == ".inf");
}

}  // namespace

Result<void> check_config(const Config& config) {
  for (std::string_view key : kDurations)
    if (auto checked = right(config.get_seconds(key)); !checked) return checked;
  for (std::string_view key : kSizes)
    if (auto checked = right(config.get_bytes(key)); !checked) return checked;
  for (std::string_view key : kSwitches)
    if (auto checked = right(config.get_bool(key)); !checked) return checked;
  for (std::string_view key : kCounts) {
    if (const Value* value = config.find(key); value && value->is_nil() && key == kCountThatMayBeNone) continue;
    auto count = config.get_int(key);
    if (auto checked = right(count); !checked) return checked;
    if (count && *count < 0) return fail(ErrorCode::kInvalidArgument, fmt::format("{} is {}; it must be 0 or more", key, *count));
  }
  if (auto checked = check_memory_manager_config(config); !checked) return checked;
  if (is_infinite(config, kSaturation)) return {};
  auto saturation = config.get_double(kSaturation);
  if (auto checked = right(saturation); !checked) return checked;
  if (saturation && !(*saturation > 0))
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} is {}; it must be more than 0, or inf", kSaturation, *saturation));
  return {};
}

}  // namespace dask::scheduler
