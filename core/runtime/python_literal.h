// Python's literals (ast.literal_eval) as Values: how DASK_* variables are read.
#pragma once

#include <string_view>

#include "core/base/value.h"

namespace dask {

// dask.config.interpret_value: a literal of Python; else none, null, true, false in any case; else the text itself.
Value interpret_value(std::string_view text);

}  // namespace dask
