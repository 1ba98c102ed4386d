// The variables that Dask's nanny sets before a worker's interpreter starts: thread counts of numeric libraries, malloc's trimming.
#pragma once

#include <map>
#include <string>

#include "core/base/result.h"
#include "core/runtime/config.h"

namespace dask::worker {

// `distributed.nanny.pre-spawn-environ` and `distributed.nanny.environ`, the latter first; a variable that our own environment has
// keeps the value from there, null means not to set it. kInvalidArgument when one of them is no map. Source: distributed/nanny.py.
Result<std::map<std::string, std::string>> nanny_environment(const Config& config);

}  // namespace dask::worker
