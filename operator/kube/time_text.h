// Kubernetes' times as text: RFC 3339 in UTC, with seconds (Time) or microseconds (MicroTime). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dask::kube {

std::string timestamp_of_seconds(double since_1970);        // 2026-11-25T03:48:49Z
std::string micro_timestamp_of_seconds(double since_1970);  // 2026-11-25T03:48:49.123456Z
// Either form, with Z or an offset; empty for anything else.
std::optional<double> seconds_of_timestamp(std::string_view text);

}  // namespace dask::kube
