// Expected failure as a value: Result<T> is T or an Error that says what happened, to what, and what to do next.
// Nothing a peer, a file or a user can send ends in an exception or a CHECK; it ends here.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace dask {

// What a caller can do about an error; the text says the rest.
enum class ErrorCode {
  kInvalidArgument,  // the caller's value is wrong; the message names it and says what is allowed
  kMalformed,        // bytes from a peer or a file do not follow their format; drop the peer or the file
  kNotFound,         // no such key, worker, file, operation
  kUnavailable,      // the other side is gone or not there yet; trying again may help
  kTimeout,          // no answer within the named time
  kLimit,            // a named limit was reached; the message says which and how to change it
  kUnsupported,      // this program cannot do it (yet); docs/compatibility.md says why
  kUserCode,         // code of the user raised; the message carries its words
};

struct Error {
  ErrorCode code = ErrorCode::kInvalidArgument;
  std::string message;
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(ErrorCode code, std::string message) { return tl::unexpected<Error>(Error{code, std::move(message)}); }
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

}  // namespace dask

// Evaluates a Result and hands its error to the caller, else assigns its value: DASK_TRY(auto x, parse(text));
#define DASK_TRY_CONCAT_INNER(a, b) a##b
#define DASK_TRY_CONCAT(a, b) DASK_TRY_CONCAT_INNER(a, b)
#define DASK_TRY(declaration, expression)                                                                                      \
  auto DASK_TRY_CONCAT(try_result_, __LINE__) = (expression);                                                                  \
  if (!DASK_TRY_CONCAT(try_result_, __LINE__)) return ::dask::fail(std::move(DASK_TRY_CONCAT(try_result_, __LINE__)).error()); \
  declaration = *std::move(DASK_TRY_CONCAT(try_result_, __LINE__))
#define DASK_TRY_VOID(expression)                                        \
  do {                                                                   \
    auto try_result = (expression);                                      \
    if (!try_result) return ::dask::fail(std::move(try_result).error()); \
  } while (false)
