#include "client/process_protocol.h"

#include "core/wire/message.h"

namespace dask::client {
namespace {

// {"type", "plain", "frames": n}; the frames are appended.
Value describe(const native::Serialized& value, wire::Frames& frames) {
  for (const Bytes& frame : value.frames) frames.push_back(frame);
  return Value(Value::Map{{"type", value.type_name}, {"plain", value.plain}, {"frames", value.frames.size()}});
}

Result<native::NativeValue> take_value(const Value& about, const wire::Frames& frames, std::size_t& at) {
  const auto count = static_cast<std::size_t>(about["frames"].as_int());
  if (count > frames.size() - at) return fail(ErrorCode::kMalformed, "a value's frames are missing");
  native::Serialized value{std::string(about["type"].as_string()), about["plain"].as_bool(), {}};
  for (std::size_t i = 0; i < count; ++i) value.frames.push_back(frames[at++]);
  return native::NativeValue::from_serialized(std::move(value));
}

Result<Value> head_of(const wire::Frames& frames) {
  if (frames.empty()) return fail(ErrorCode::kMalformed, "an empty message");
  return wire::decode_msgpack(frames[0]);
}

wire::Frames with_head(const Value& head, wire::Frames rest) {
  wire::Frames frames{Bytes::own(wire::encode_msgpack(head))};
  for (Bytes& frame : rest) frames.push_back(std::move(frame));
  return frames;
}

}  // namespace

Result<wire::Frames> encode_request(const CallRequest& request) {
  wire::Frames frames{Bytes::copy(request.args)};
  Value::Array inputs;
  for (const native::NativeValue& input : request.inputs) {
    DASK_TRY(const native::Serialized value, input.serialize());
    inputs.push_back(describe(value, frames));
  }
  return with_head(Value(Value::Map{{"function", request.function}, {"inputs", Value(std::move(inputs))}}), std::move(frames));
}

Result<CallRequest> decode_request(const wire::Frames& frames) {
  DASK_TRY(const Value head, head_of(frames));
  if (frames.size() < 2) return fail(ErrorCode::kMalformed, "a request without arguments");
  CallRequest request{std::string(head["function"].as_string()), std::string(frames[1].view()), {}};
  std::size_t at = 2;
  if (const Value::Array* inputs = head["inputs"].array_if())
    for (const Value& about : *inputs) {
      DASK_TRY(native::NativeValue input, take_value(about, frames, at));
      request.inputs.push_back(std::move(input));
    }
  return request;
}

wire::Frames encode_answer(const native::CallResult& result) {
  native::CallFailure failure;
  if (result) {
    if (auto value = result->serialize()) {
      wire::Frames frames;
      const Value about = describe(*value, frames);
      return with_head(Value(Value::Map{{"value", about}}), std::move(frames));
    } else {
      failure = {value.error().code, "", value.error().message, nullptr};
    }
  } else {
    failure = result.error();
  }
  return with_head(
      Value(Value::Map{{"code", static_cast<int>(failure.code)}, {"type", failure.type}, {"message", Bytes::copy(failure.message)}}), {});
}

Result<native::CallResult> decode_answer(const wire::Frames& frames) {
  DASK_TRY(const Value head, head_of(frames));
  if (const Value* about = head.find("value")) {
    std::size_t at = 1;
    DASK_TRY(native::NativeValue value, take_value(*about, frames, at));
    return native::CallResult(std::move(value));
  }
  native::CallFailure failure;
  failure.code = static_cast<ErrorCode>(head["code"].as_int());
  failure.type = head["type"].as_string();
  if (const Bytes* message = head["message"].bytes()) failure.message = message->view();
  return native::CallResult(tl::unexpected(std::move(failure)));
}

}  // namespace dask::client
