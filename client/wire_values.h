// What a scheduler or worker sends back, as native values and failures.
#pragma once

#include "client/future_state.h"
#include "core/base/result.h"
#include "core/base/value.h"
#include "core/native/value.h"

namespace dask::client {

// A result in the data of `gather` or `get_data`.
Result<native::NativeValue> value_from_wire(const Value& value);
// The exception of a `task-erred` message.
TaskFailure failure_from_wire(const Value& exception);

}  // namespace dask::client
