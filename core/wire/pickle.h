// The little of Python's pickle format that C++ must speak: scalars and plain containers are read, exceptions are written.
// Source: CPython's Lib/pickletools.py. Anything that would call Python code is refused or described, never executed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

namespace dask::wire {

// None, bool, int (64 bit), float, str, bytes, list, tuple, set, dict of those. kUnsupported for everything else.
Result<Value> unpickle_scalar(std::string_view pickle);

// What a pickle calls last, as an exception's pickle does: "builtins.ValueError" and the arguments. Calls inside the arguments are lists
// of name and arguments. Nothing is called.
struct PickledCall {
  std::string callable;
  Value::Array arguments;
};
Result<PickledCall> unpickle_call(std::string_view pickle);

// `module.cls(message)` as a pickle (protocol 2). Module and class must be identifiers (dots allowed),
// and the class callable with one str (one that is not would reach the user as bytes: pickle_call serves those).
std::string pickle_exception(std::string_view module, std::string_view cls, std::string_view message);

// `module.cls(*arguments)` as a pickle (protocol 4). Arrays become tuples, as keys have them; opaque nodes and extensions their repr.
std::string pickle_call(std::string_view module, std::string_view cls, const Value::Array& arguments);

// distributed.scheduler.KilledWorker(task, last_worker, allowed_failures) with a stand-in for the worker that has `address`.
std::string pickle_killed_worker(const Value& task, std::string_view worker_address, int allowed_failures);

// distributed.shuffle._core.ShuffleRunSpec with these fields, as pickle protocol 4. `spec` is the pickle of its ShuffleSpec; a
// partition's id is an int or an array of ints; `worker_of` are indices into `workers`.
struct ShuffleRunFields {
  std::int64_t run_id = 0;
  std::string_view spec;
  std::vector<std::string> workers;
  std::vector<std::pair<Value, std::uint32_t>> worker_of;
};
std::string pickle_shuffle_run_spec(const ShuffleRunFields& fields);

// A str, as pickle protocol 4.
std::string pickle_string(std::string_view text);

// The fields of Dask's error_message: {"status", "exception", "traceback": None, "exception_text", "traceback_text"}.
Value error_message(std::string_view module, std::string_view cls, std::string_view message, std::string_view status = "uncaught-error");

}  // namespace dask::wire
