#include "core/native/value_function.h"

namespace dask::native {
namespace {

// A graph is one Protobuf message of at most 2 GiB.
constexpr std::size_t kValueBytesMax = 1024UL * 1024 * 1024;

CallResult give_value(std::string_view args, std::span<const NativeValue>) {
  Reader reader(args);
  std::size_t size = 0;
  std::string_view type;
  Serialized value;
  bool good = reader.array(size) && size >= 2 && reader.string(type) && reader.boolean(value.plain);
  for (std::size_t i = 2; good && i < size; ++i) good = reader.binary(value.frames.emplace_back());
  if (!good || !reader.done())
    return tl::unexpected(CallFailure{ErrorCode::kMalformed, "", "the bytes of a value are broken: " + reader.error(), nullptr});
  value.type_name = type;
  return NativeValue::from_serialized(std::move(value));
}

}  // namespace

const NativeFunction& value_function() {
  static const NativeFunction function(
      {"dask::value", "value", "core/native/value_function.cc", "any", reinterpret_cast<const void*>(&give_value)}, give_value);
  return function;
}

Result<std::string> value_arguments(const NativeValue& value) {
  DASK_TRY(const Serialized serialized, value.serialize());
  std::size_t bytes = 0;
  for (const Bytes& frame : serialized.frames) bytes += frame.size();
  if (bytes > kValueBytesMax)
    return fail(ErrorCode::kLimit,
                "a value of " + std::to_string(bytes) + " bytes is too large for a graph: scatter it and use the future");
  Writer writer;
  writer.array(2 + serialized.frames.size());
  writer.string(serialized.type_name);
  writer.boolean(serialized.plain);
  for (const Bytes& frame : serialized.frames) writer.binary(frame.view());
  return std::move(writer.out());
}

}  // namespace dask::native
