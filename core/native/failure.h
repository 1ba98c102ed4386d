// CallFailure: why a native function gave no result. What user code throws ends here, with the exception's type and words.
#pragma once

#include <exception>
#include <string>
#include <tl/expected.hpp>

#include "core/base/result.h"
#include "core/native/value.h"

namespace dask::native {

struct CallFailure {
  ErrorCode code = ErrorCode::kUserCode;  // kUserCode: the function threw; kInvalidArgument, kMalformed: it was never called
  std::string type;                       // of the exception: "std::out_of_range", "flights::NoSuchAirport"
  std::string message;                    // what()
  std::exception_ptr exception;           // for whoever is in the same process; null unless the function threw

  // "std::out_of_range: no such airport": what goes over the wire as NativeError.message.
  std::string text() const { return type.empty() ? message : message.empty() ? type : type + ": " + message; }
};

// The exception that is being handled (call it inside a catch block).
CallFailure current_failure();

using CallResult = tl::expected<NativeValue, CallFailure>;

}  // namespace dask::native
