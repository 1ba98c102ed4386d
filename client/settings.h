// The program's configuration, for the client's own files: a copy of what dask::config holds now.
#pragma once

#include "core/runtime/config.h"

namespace dask::client {

Config current_config();

}  // namespace dask::client
