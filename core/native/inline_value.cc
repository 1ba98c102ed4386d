// msgpack: [type's name, plain, frame, frame, ...].
#include "core/native/inline_value.h"

#include "core/base/msgpack.h"

namespace dask::native {

std::string to_inline(const NativeValue& value, std::size_t bytes_max) {
  if (value.nbytes() > static_cast<std::int64_t>(bytes_max)) return {};
  const auto serialized = value.serialize();
  if (!serialized) return {};
  std::size_t bytes = serialized->type_name.size();
  for (const Bytes& frame : serialized->frames) bytes += frame.size();
  if (bytes > bytes_max) return {};
  std::string out;
  msgpack::append_array(out, 2 + serialized->frames.size());
  msgpack::append_string(out, serialized->type_name);
  msgpack::append_bool(out, serialized->plain);
  for (const Bytes& frame : serialized->frames) msgpack::append_binary(out, frame);
  return out;
}

Result<NativeValue> from_inline(const Bytes& bytes) {
  const auto broken = [] { return fail(ErrorCode::kMalformed, "a small result that came with its report cannot be read"); };
  msgpack::Reader reader(bytes.view());
  std::size_t parts = 0;
  std::string_view type;
  msgpack::Token token;
  if (!reader.array(parts) || parts < 3 || !reader.string(type) || !reader.next(token) || token.type != msgpack::Type::kBool)
    return broken();
  Serialized out{std::string(type), token.boolean, {}};
  for (std::size_t i = 2; i < parts; ++i) {
    if (!reader.next(token) || token.type != msgpack::Type::kBinary) return broken();
    out.frames.push_back(bytes.slice(static_cast<std::size_t>(token.data.data() - bytes.data()), token.data.size()));
  }
  if (!reader.done()) return broken();
  return NativeValue::from_serialized(std::move(out));
}

}  // namespace dask::native
