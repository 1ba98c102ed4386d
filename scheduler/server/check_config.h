// Looks at every configuration value that the scheduler uses before it starts, so that a wrong one is named where the user looks
// instead of being replaced by a default. Reading them for use is the business of whoever uses them.
#pragma once

#include "core/base/result.h"

namespace dask {
class Config;
}

namespace dask::scheduler {

// The first value that is wrong, with its key and what is allowed. A key that is not there has Dask's default and is right.
Result<void> check_config(const Config& config);

}  // namespace dask::scheduler
