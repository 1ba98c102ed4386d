// What a computation and its child processes say to each other: a request is a function's name, its arguments and its inputs; the answer a
// value or a failure. Both ends are the same program, so this format has no versions.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "core/native/failure.h"
#include "core/native/value.h"
#include "core/wire/frames.h"

namespace dask::client {

struct CallRequest {
  std::string function;
  std::string args;
  std::vector<native::NativeValue> inputs;
};

Result<wire::Frames> encode_request(const CallRequest& request);
Result<CallRequest> decode_request(const wire::Frames& frames);

wire::Frames encode_answer(const native::CallResult& result);
Result<native::CallResult> decode_answer(const wire::Frames& frames);

}  // namespace dask::client
