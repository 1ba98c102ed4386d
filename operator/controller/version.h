// The version of the program, as it is in logs, in metrics and in the User-Agent.
#pragma once

#include <string_view>

namespace dask::kube {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace dask::kube
