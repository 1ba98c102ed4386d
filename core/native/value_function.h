// The one task function that every program has: its result is the value that its arguments hold. How a client sends values inside a graph.
#pragma once

#include <string>

#include "core/native/function.h"

namespace dask::native {

// "dask::value": arguments are a list of the type's name, whether it is plain, and the frames.
const NativeFunction& value_function();
// kLimit when the value is too large for a task (scatter it).
Result<std::string> value_arguments(const NativeValue& value);

}  // namespace dask::native
