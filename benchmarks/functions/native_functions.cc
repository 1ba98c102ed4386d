// What the tasks of native_shapes.cc run on real workers: functions that do nothing, so that everything else is measured.
// Loaded with dask-worker --preload libdask_benchmark_functions.so; it finds core/native in the worker.
#include "benchmarks/functions/latency.h"
#include "core/native/function.h"
#include "core/native/value.h"

namespace dask::benchmarks {
namespace {

native::CallResult nothing(std::string_view, std::span<const native::NativeValue>) { return native::NativeValue::of(1); }
// A buffer as large as the argument says: for measuring transfers.
native::CallResult buffer(std::string_view args, std::span<const native::NativeValue>) {
  native::Reader reader(args);
  std::int64_t bytes = 0;
  if (!reader.integer(bytes) || bytes < 0)
    return tl::unexpected(native::CallFailure{ErrorCode::kInvalidArgument, "", reader.error(), nullptr});
  return native::NativeValue::of(std::vector<char>(static_cast<std::size_t>(bytes), 'x'));
}
// Its argument, any msgpack.
native::CallResult echo(std::string_view args, std::span<const native::NativeValue>) {
  return native::NativeValue::from_serialized(native::Serialized{"echo", true, {Bytes::copy(args)}});
}

const native::NativeFunction& kPlusOne = native::registered<plus_one>();
const int kHere = 0;
const native::NativeFunction kInc({"inc", "inc", __FILE__, "int", &kHere, false}, &nothing);
const native::NativeFunction kAdd({"add", "add", __FILE__, "int", &kHere, false}, &nothing);
const native::NativeFunction kBuffer({"buffer", "buffer", __FILE__, "std::vector<char>", &kHere, false}, &buffer);
const native::NativeFunction kEcho({"echo", "echo", __FILE__, "echo", &kHere, false}, &echo);

}  // namespace
}  // namespace dask::benchmarks
