// Decoding of messages into Values: msgpack, sets, and opaque nodes with their frames.
#include "core/wire/message.h"
#include "core/wire/payload_memory.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/python_text.h"
#include "core/wire/decoder.h"

namespace dask::wire {

using msgpack::Reader;
using msgpack::Token;
using msgpack::Type;

bool Decoder::fail_with(std::string text) {
  if (error_.empty()) error_ = std::move(text);
  return false;
}

tl::unexpected<Error> Decoder::error(std::string_view what) const {
  return fail(ErrorCode::kMalformed, fmt::format("cannot read {}: {}", what, error_.empty() ? "it is cut off or no msgpack" : error_));
}

bool Decoder::value(Value& out, int depth) {
  Token token;
  if (!reader_.next(token)) return fail_with("the msgpack is cut off or broken");
  Value::Variant& slot = out.variant();
  switch (token.type) {
    case Type::kNil: slot.emplace<std::monostate>(); return true;
    case Type::kBool: slot.emplace<bool>(token.boolean); return true;
    case Type::kInt: slot.emplace<std::int64_t>(token.integer); return true;
    case Type::kUint: slot.emplace<std::uint64_t>(token.unsigned_integer); return true;
    case Type::kReal: slot.emplace<double>(token.real); return true;
    case Type::kString:
      if (!python::is_utf8(token.data)) return fail_with("a string is not UTF-8");
      slot.emplace<std::string>(token.data);
      return true;
    case Type::kBinary: slot.emplace<Bytes>(slice(token.data)); return true;
    case Type::kExt: slot.emplace<Value::Ext>(Value::Ext{token.ext_type, slice(token.data)}); return true;
    case Type::kArray: return array(slot.emplace<Value::Array>(), token.size, depth);
    case Type::kMap: return map(out, token.size, depth);
  }
  return false;
}

bool Decoder::value_at(Reader reader, Value& out, int depth) {
  std::swap(reader_, reader);
  bool good = value(out, depth);
  reader_ = reader;
  return good;
}

bool Decoder::array(Value::Array& items, std::size_t size, int depth) {
  if (depth >= kDepthMax) return fail_with(fmt::format("it is nested deeper than {}", kDepthMax));
  items.reserve(std::min(size, kReserveMax));
  for (std::size_t i = 0; i < size; ++i) {
    if (!value(items.emplace_back(), depth + 1)) return false;
  }
  return true;
}

bool Decoder::map(Value& out, std::size_t pairs, int depth) {
  if (depth >= kDepthMax) return fail_with(fmt::format("it is nested deeper than {}", kDepthMax));
  auto& items = out.variant().emplace<Value::Map>();
  items.reserve(std::min(pairs, kReserveMax));
  bool tagged = false;
  for (std::size_t i = 0; i < pairs; ++i) {
    auto& [key, item] = items.emplace_back();
    if (!value(key, depth + 1) || !value(item, depth + 1)) return false;
    if (auto* text = key.string()) tagged = tagged || text->starts_with("__");
  }
  if (!tagged) return true;
  // Python's order of checks: protocol/core.py's _decode_default, then serialize.py's msgpack_decode_default.
  if (frames_) {
    for (auto [name, kind] : {std::pair{"__Serialized__", Opaque::Kind::kSerialized}, std::pair{"__Pickled__", Opaque::Kind::kPickled}}) {
      const Value* found = out.find(name);
      std::uint64_t index = found ? found->as_uint64().value_or(0) : 0;
      if (index > 0) return opaque(out, kind, index);
    }
  }
  if (out.find("__Set__") && !out.find("__Enum__")) {
    const Value* list = out.find("as-list");
    if (list && list->is_array()) {
      Value::Array members = std::move(std::get<Value::Array>(const_cast<Value*>(list)->variant()));
      out = Value::Set{std::move(members)};
    }
  }
  return true;
}

bool Decoder::opaque(Value& out, Opaque::Kind kind, std::uint64_t index) {
  const Frames& frames = *frames_;
  if (index >= frames.size()) return fail_with(fmt::format("it names frame {}, but there are {}", index, frames.size()));
  // A peer may have one as long as data, which then lies where data does.
  const std::optional<Bytes> local = local_copy(frames[index]);
  if (!local) return fail_with(fmt::format("frame {}, a sub-header, is gone", index));
  const Bytes& header = *local;
  Reader reader(header.view());
  std::size_t pairs;
  std::uint64_t count = UINT64_MAX;
  bool good = reader.map(pairs);
  for (std::size_t i = 0; good && i < pairs; ++i) {
    // Keys of a sub-header are strings; "num-sub-frames" is the only one that matters here.
    Token key, number;
    Reader ahead = reader;
    good = reader.skip();
    if (good && ahead.next(key) && key.type == Type::kString && key.data == "num-sub-frames") {
      good = reader.next(number) && number.type == Type::kInt && number.integer >= 0;
      count = good ? static_cast<std::uint64_t>(number.integer) : count;
    } else {
      good = good && reader.skip();
    }
  }
  if (!good || count == UINT64_MAX) return fail_with(fmt::format("frame {} is no sub-header with num-sub-frames", index));
  if (count > frames.size() - index - 1) {
    return fail_with(fmt::format("frame {} announces {} sub-frames, but {} follow", index, count, frames.size() - index - 1));
  }
  if (used_.empty()) used_.resize(frames.size());
  for (std::uint64_t i = index; i <= index + count; ++i) {
    if (used_[i]) return fail_with(fmt::format("frame {} belongs to two nodes", i));
    used_[i] = true;
  }
  auto node = std::make_shared<Opaque>();
  node->kind = kind;
  node->header = header;
  node->frames.assign(frames.begin() + static_cast<std::ptrdiff_t>(index) + 1,
                      frames.begin() + static_cast<std::ptrdiff_t>(index + 1 + count));
  out = OpaquePtr(std::move(node));
  return true;
}

Result<Value> decode_message(const Frames& frames) {
  if (frames.empty()) return fail(ErrorCode::kMalformed, "a message without frames");
  const std::optional<Bytes> head = local_copy(frames[0]);
  if (!head) return fail(ErrorCode::kUnavailable, "a message's first frame is gone");
  Decoder decoder(*head, &frames);
  Value value;
  if (!decoder.value(value)) return decoder.error("a message");
  if (!decoder.reader().done())
    return fail(ErrorCode::kMalformed, fmt::format("{} bytes follow a message's msgpack", decoder.reader().remaining()));
  return value;
}

Result<Value> decode_msgpack(const Bytes& bytes) {
  Decoder decoder(bytes, nullptr);
  Value value;
  if (!decoder.value(value)) return decoder.error("msgpack");
  if (!decoder.reader().done())
    return fail(ErrorCode::kMalformed, fmt::format("{} bytes follow a msgpack value", decoder.reader().remaining()));
  return value;
}

}  // namespace dask::wire
