// Profiles: the workers' statistical profiles as one. Source: distributed/profile.py merge(), Scheduler.get_profile_metadata.
// Pure: trees and series of numbers in, the same out. What does not look like a profile is left out.
#pragma once

#include <vector>

#include "core/base/value.h"

namespace dask::scheduler {

// Named limit: calls inside calls of one profile; Dask's workers cut at 100.
inline constexpr int kProfileDepthMax = 250;

// The profile of nothing.
Value empty_profile();
// Sums counts by place: {count, identifier, description, children: {identifier: profile}}.
Value merge_profiles(const std::vector<Value>& profiles);
// Per worker {"counts": [(time, n)], "keys": [(time, {prefix: n})]}; summed over intervals of `cycle_s` seconds:
// {"counts": [(time, n)], "keys": {prefix: [[time, n]]}}.
Value merge_profile_metadata(const std::vector<Value>& metadata, double cycle_s);

}  // namespace dask::scheduler
