#include "client/wire_values.h"

#include "core/native/dask_node.h"
#include "core/wire/message.h"
#include "core/wire/pickle.h"

namespace dask::client {
namespace {

std::string text_of(const Value& value) { return value.is_string() ? std::string(value.as_string()) : value.repr(); }

// "std::out_of_range: no such airport": how a native task's failure is told (native::CallFailure::text()).
void split_native_failure(TaskFailure& failure) {
  const std::size_t colon = failure.message.find(": ");
  if (colon == std::string::npos) return;
  const std::string type = failure.message.substr(0, colon);
  if (type.empty() || type.find(' ') != std::string::npos) return;
  failure.type = type;
  failure.message.erase(0, colon + 2);
}

std::string_view pickle_of(const Value& exception) {
  if (const Bytes* bytes = exception.bytes()) return bytes->view();
  if (const OpaquePtr opaque = exception.opaque(); opaque && !opaque->frames.empty()) return opaque->frames[0].view();
  return {};
}

}  // namespace

Result<native::NativeValue> value_from_wire(const Value& value) {
  if (const OpaquePtr opaque = value.opaque()) return native::from_node(*opaque);
  return native::NativeValue::from_serialized({"Python value", true, {Bytes::own(wire::encode_msgpack(value))}});
}

TaskFailure failure_from_wire(const Value& exception) {
  TaskFailure failure;
  const auto call = wire::unpickle_call(pickle_of(exception));
  if (!call) {
    failure.type = "Exception";
    failure.message = "the task failed with a Python exception that only Python can read (" + call.error().message + ")";
    return failure;
  }
  failure.type = call->callable.rfind("builtins.", 0) == 0 ? call->callable.substr(9) : call->callable;
  const std::size_t dot = call->callable.rfind('.');
  if (call->callable.substr(dot + 1) == "KilledWorker" && call->arguments.size() >= 2) {
    failure.killed = true;
    failure.message = "Attempted to run task " + call->arguments[0].repr() + " on workers that died while running it";
    if (call->arguments.size() >= 3) failure.message += " (" + std::to_string(call->arguments[2].as_int() + 1) + " of them)";
    return failure;
  }
  for (const Value& argument : call->arguments) failure.message += (failure.message.empty() ? "" : ", ") + text_of(argument);
  if (failure.type == "RuntimeError") split_native_failure(failure);
  return failure;
}

}  // namespace dask::client
