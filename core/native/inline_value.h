// A small value in one string, as it travels along with the report that its task has finished (docs/native-protocol.md, "Small results").
// Only C++ clients read it. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>

#include "core/base/bytes.h"
#include "core/native/value.h"

namespace dask::native {

// Empty when the value takes more than `bytes_max`, or cannot be serialised: then it goes the usual way, which says why.
std::string to_inline(const NativeValue& value, std::size_t bytes_max);
// The value shares the bytes.
Result<NativeValue> from_inline(const Bytes& bytes);

}  // namespace dask::native
