// Kubernetes' times as numbers: milliseconds since 1970 in UTC. Reading a clock is the shell's part.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace dask::kube {

using TimeMs = std::int64_t;
inline constexpr TimeMs kSecondMs = 1000;

// "2026-08-19T12:00:00Z", as metav1.Time has it: whole seconds.
std::string rfc3339(TimeMs when_ms);
// Reads both forms, with and without fractions of a second, with Z or an offset. Nothing when it is no such text.
std::optional<TimeMs> parse_rfc3339(std::string_view text);

}  // namespace dask::kube
