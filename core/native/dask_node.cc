// Two forms for Python: a pickle whose opcodes build the object, or (large plain values) a constant pickle that has msgpack unpack a frame.
// When the pickle is not the whole truth for C++, the value's own msgpack is one more frame, and the sub-header says which.
#include "core/native/dask_node.h"

#include <bit>
#include <cstring>
#include <utility>

#include "core/native/writer.h"
#include "core/wire/message.h"
#include "core/wire/pickle.h"

namespace dask::native {
namespace {

// pickle.dumps(pyarrow.lib.Table), without its frame.
constexpr std::string_view kTableClass("\x80\x04\x8c\x0bpyarrow.lib\x94\x8c\x05Table\x94\x93\x94.", 27);
constexpr std::string_view kTableName = "pyarrow.lib.Table";

// functools.partial(msgpack.unpackb, strict_map_key=False)(next buffer)
constexpr std::string_view kUnpack(
    "\x80\x05"
    "cfunctools\npartial\n"
    "cmsgpack\nunpackb\n\x85"
    "}X\x0e\0\0\0strict_map_key\x89s\x92"
    "\x97\x85R.",
    19 + 17 + 4 + 22 + 4);

template <class Number>
void append_number(std::string& out, char opcode, Number number) {
  out += opcode;
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

// Opcodes that build the value of `reader`, with next-buffer for what lies in a frame of its own.
class Pickler {
 public:
  Pickler(std::string_view head, const std::vector<Bytes>& frames) : reader_(head), frames_(frames) {}

  bool run(std::string& out) {
    out = "\x80\x05";
    const bool good = value(out, 0, false) && reader_.done();
    out += '.';
    return good;
  }
  // Frames in the order in which the pickle takes them.
  std::vector<Bytes> buffers;

 private:
  // `hashed`: Python must hash it: a tuple instead of a list.
  bool value(std::string& out, int depth, bool hashed) {
    msgpack::Token token;
    if (depth > kNodeDepthMax || !reader_.next(token)) return false;
    using enum msgpack::Type;
    switch (token.type) {
      case kNil: out += 'N'; return true;
      case kBool: out += token.boolean ? '\x88' : '\x89'; return true;
      case kInt: return integer(out, token.integer);
      case kUint:
        append_number(out += '\x8a', 9, token.unsigned_integer);
        out += '\0';
        return true;
      case kReal: real(out, token.real); return true;
      case kString: return text(out, token.data);
      case kBinary:
        append_number(out, '\x8e', static_cast<std::uint64_t>(token.data.size()));
        out += token.data;
        return true;
      case kArray: {
        out += hashed ? "(" : "](";
        for (std::size_t i = 0; i < token.size; ++i)
          if (!value(out, depth + 1, hashed)) return false;
        out += hashed ? 't' : 'e';
        return true;
      }
      case kMap: {
        out += "}(";
        for (std::size_t i = 0; i < token.size; ++i)
          if (!value(out, depth + 1, true) || !value(out, depth + 1, hashed)) return false;
        out += 'u';
        return true;
      }
      case kExt: return extension(out, token, hashed);
    }
    return false;
  }
  static bool integer(std::string& out, std::int64_t number) {
    if (number >= INT32_MIN && number <= INT32_MAX)
      append_number(out, 'J', static_cast<std::int32_t>(number));
    else
      append_number(out += '\x8a', 8, number);
    return true;
  }
  static void real(std::string& out, double number) { append_number(out, 'G', __builtin_bswap64(std::bit_cast<std::uint64_t>(number))); }
  static bool text(std::string& out, std::string_view utf8) {
    append_number(out, '\x8d', static_cast<std::uint64_t>(utf8.size()));
    out += utf8;
    return true;
  }
  bool next_buffer(std::string& out, std::string_view index) {
    std::uint32_t at = 0;
    if (index.size() != sizeof at) return false;
    std::memcpy(&at, index.data(), sizeof at);
    if (at == 0 || at >= frames_.size()) return false;
    buffers.push_back(frames_[at]);
    out += '\x97';
    return true;
  }
  bool extension(std::string& out, const msgpack::Token& token, bool hashed) {
    if (token.ext_type == kBufferExt) {  // bytes(buffer)
      out += "cbuiltins\nbytes\n";
      if (!next_buffer(out, token.data)) return false;
      out += "\x85R";
      return true;
    }
    if (token.data.empty()) return false;
    const char letter = token.data[0];
    if (token.ext_type == kNumbersFrameExt) {  // list(memoryview.cast(buffer, letter))
      out += hashed ? "cbuiltins\ntuple\n" : "cbuiltins\nlist\n";
      out += "cbuiltins\ngetattr\ncbuiltins\nmemoryview\n";
      text(out, "cast");
      out += "\x86R";
      if (!next_buffer(out, token.data.substr(1))) return false;
      text(out, token.data.substr(0, 1));
      out += "\x86R\x85R";
      return true;
    }
    if (token.ext_type != kNumbersExt) return false;
    out += hashed ? "(" : "](";
    const std::string_view raw = token.data.substr(1);
    bool good = false;
    switch (letter) {
      case '?': good = numbers<std::uint8_t>(out, raw, [&](auto v) { out += v ? '\x88' : '\x89'; }); break;
      case 'b': good = numbers<std::int8_t>(out, raw, [&](auto v) { integer(out, v); }); break;
      case 'B': good = numbers<std::uint8_t>(out, raw, [&](auto v) { integer(out, v); }); break;
      case 'h': good = numbers<std::int16_t>(out, raw, [&](auto v) { integer(out, v); }); break;
      case 'H': good = numbers<std::uint16_t>(out, raw, [&](auto v) { integer(out, v); }); break;
      case 'i': good = numbers<std::int32_t>(out, raw, [&](auto v) { integer(out, v); }); break;
      case 'I': good = numbers<std::uint32_t>(out, raw, [&](auto v) { integer(out, v); }); break;
      case 'q': good = numbers<std::int64_t>(out, raw, [&](auto v) { integer(out, v); }); break;
      case 'Q':
        good = numbers<std::uint64_t>(out, raw, [&](auto v) {
          if (v <= INT64_MAX) return void(integer(out, static_cast<std::int64_t>(v)));
          append_number(out += '\x8a', 9, v);
          out += '\0';
        });
        break;
      case 'f': good = numbers<float>(out, raw, [&](auto v) { real(out, static_cast<double>(v)); }); break;
      case 'd': good = numbers<double>(out, raw, [&](auto v) { real(out, v); }); break;
      default: break;
    }
    out += hashed ? 't' : 'e';
    return good;
  }
  template <class T, class F>
  static bool numbers(std::string&, std::string_view raw, F&& append) {
    if (raw.size() % sizeof(T) != 0) return false;
    for (std::size_t i = 0; i < raw.size(); i += sizeof(T)) {
      T v;
      std::memcpy(&v, raw.data() + i, sizeof v);
      append(v);
    }
    return true;
  }

  msgpack::Reader reader_;
  const std::vector<Bytes>& frames_;
};

// A list as a map's key, which msgpack's unpacker in Python cannot hash, or nesting that it may not follow.
bool has_composite_keys(msgpack::Reader& reader, int depth) {
  msgpack::Token token;
  if (depth > kNodeDepthMax || !reader.next(token)) return true;
  if (token.type == msgpack::Type::kArray) {
    for (std::size_t i = 0; i < token.size; ++i)
      if (has_composite_keys(reader, depth + 1)) return true;
  } else if (token.type == msgpack::Type::kMap) {
    for (std::size_t i = 0; i < token.size; ++i) {
      msgpack::Token key;
      if (!reader.next(key) || key.type == msgpack::Type::kArray || key.type == msgpack::Type::kMap) return true;
      if (has_composite_keys(reader, depth + 1)) return true;
    }
  }
  return false;
}

// The sub-header of `n_frames` frames, as distributed/protocol/core.py writes it.
Bytes header(std::string_view serializer, std::size_t n_frames, std::size_t n_buffers, Value::Map more) {
  Value::Array ones, offsets, compression, writeable;
  for (std::size_t i = 0; i < n_frames; ++i) {
    ones.emplace_back(1);
    offsets.emplace_back(i);
    compression.emplace_back(nullptr);
  }
  for (std::size_t i = 0; i < n_buffers; ++i) writeable.emplace_back(false);
  Value out = Value::map();
  out.set("serializer", serializer);
  out.set("writeable", std::move(writeable));
  out.set("split-num-sub-frames", std::move(ones));
  out.set("split-offsets", std::move(offsets));
  out.set("compression", std::move(compression));
  out.set("num-sub-frames", n_frames);
  for (auto& [name, value] : more) out.set(name.as_string(), std::move(value));
  return Bytes::own(wire::encode_msgpack(out));
}

OpaquePtr node(Bytes sub_header, std::vector<Bytes> frames) {
  auto out = std::make_shared<Opaque>();
  out->header = std::move(sub_header);
  out->frames = std::move(frames);
  return out;
}

// What a C++ reader needs besides: the type's name; which frame is its msgpack, unless the pickle says it all.
Value::Map ours(std::string_view type, std::optional<std::size_t> head, bool plain = true) {
  Value about = Value::map();
  about.set("type", type);
  if (head) about.set("head", *head);
  if (head) about.set("plain", plain);
  return {{Value("dask-native"), std::move(about)}};
}

Result<OpaquePtr> arrow_node(const Serialized& from) {
  Reader reader(from.frames[0], std::span(from.frames).subspan(1));
  Bytes stream;
  if (!reader.binary(stream) || !reader.done())
    return fail(ErrorCode::kMalformed, "an Arrow table's codec must write one binary, the bytes of an IPC stream");
  Value::Map more = ours(kArrowTableType, std::nullopt);
  more.emplace_back("sub-header", Value::map());
  more.emplace_back("type", kTableName);
  more.emplace_back("type-serialized", Bytes::literal(kTableClass));
  return node(header("dask", 1, 0, std::move(more)), {std::move(stream)});
}

// ---- reading ---------------------------------------------------------------------------------------------------------------

tl::unexpected<Error> broken(std::string_view text) { return fail(ErrorCode::kMalformed, "a serialised value: " + std::string(text)); }

// Undoes distributed's splitting of large frames (distributed.comm.shard).
Result<std::vector<Bytes>> merged_frames(const Value& about, const std::vector<Bytes>& frames) {
  if (const Value::Array* compression = about["compression"].array_if())
    for (const Value& name : *compression)
      if (!name.is_nil() && name.as_string("?") != "")
        return fail(ErrorCode::kUnsupported, "a value that came compressed (" + name.repr() +
                                                 ") cannot be read here: set distributed.comm.compression to false where it was sent");
  const Value::Array* counts = about["split-num-sub-frames"].array_if();
  const Value::Array* offsets = about["split-offsets"].array_if();
  if (!counts || !offsets) return frames;
  if (counts->size() != offsets->size()) return broken("its sub-header is broken");
  std::vector<Bytes> out;
  for (std::size_t i = 0; i < counts->size(); ++i) {
    const std::int64_t n = (*counts)[i].as_int(-1), at = (*offsets)[i].as_int(-1);
    const auto size = static_cast<std::int64_t>(frames.size());
    if (n < 0 || at < 0 || at > size || n > size - at) return broken("its sub-header names frames that are missing");
    if (n == 1) {
      out.push_back(frames[static_cast<std::size_t>(at)]);
      continue;
    }
    std::string whole;
    for (std::int64_t k = 0; k < n; ++k) whole += frames[static_cast<std::size_t>(at + k)].view();
    out.push_back(Bytes::own(std::move(whole)));
  }
  return out;
}

// Sets become lists: C++ types read them from those.
Value without_sets(const Value& from) {
  if (const Value::Map* map = from.map_if()) {
    Value::Map out;
    for (const auto& [key, value] : *map) out.emplace_back(without_sets(key), without_sets(value));
    return out;
  }
  if (const Value::Array* items = from.array_if()) {
    Value::Array out;
    for (const Value& item : *items) out.push_back(without_sets(item));
    return out;
  }
  return from;
}

std::string_view python_type(const Value& value) {
  if (value.is_nil()) return "Python None";
  if (value.is_bool()) return "Python bool";
  if (value.is_int()) return "Python int";
  if (value.is_double()) return "Python float";
  if (value.is_string()) return "Python str";
  if (value.is_bytes()) return "Python bytes";
  if (value.is_map()) return "Python dict";
  if (value.is_set()) return "Python set";
  return "Python list";
}

NativeValue plain(std::string type, std::string packed) {
  return NativeValue::from_serialized(Serialized{std::move(type), true, {Bytes::own(std::move(packed))}});
}

// A pickle that says it all. `type`: the C++ type's name; empty: Python wrote it.
Result<NativeValue> from_whole_pickle(std::string_view type, const Bytes& frame) {
  auto value = wire::unpickle_scalar(frame);
  if (!value && value.error().code == ErrorCode::kUnsupported)
    return fail(
        ErrorCode::kUnsupported,
        "a Python object cannot be read here: native functions take Python's numbers, text, bytes, lists, dicts and Arrow tables (" +
            value.error().message + ")");
  if (!value) return fail(std::move(value).error());
  return plain(std::string(type.empty() ? python_type(*value) : type), wire::encode_msgpack(without_sets(*value)));
}

// Small plain values of one type have the same sub-header, and come by the thousand: each thread keeps the last one that it wrote or read.
struct PlainHeader {
  std::string type;
  Bytes bytes;
};
thread_local PlainHeader last_written, last_read;
constexpr std::size_t kPlainHeaderBytesMax = 1024;

const Bytes& plain_header(const std::string& type) {
  if (last_written.bytes.empty() || last_written.type != type) last_written = {type, header("pickle", 1, 0, ours(type, std::nullopt))};
  return last_written.bytes;
}

Result<NativeValue> from_pickle(const Value& about, std::vector<Bytes> frames) {
  const Value& native = about["dask-native"];
  const std::string type(native["type"].as_string());
  if (const Value& head = native["head"]; head.is_int() && !type.empty()) {
    const std::int64_t at = head.as_int(-1);
    if (at < 1 || at >= static_cast<std::int64_t>(frames.size())) return broken("its frames are missing");
    Serialized out{type, native["plain"].as_bool(), {}};
    out.frames.push_back(frames[static_cast<std::size_t>(at)]);
    for (std::size_t i = 1; i < frames.size(); ++i)
      if (i != static_cast<std::size_t>(at)) out.frames.push_back(std::move(frames[i]));
    return NativeValue::from_serialized(std::move(out));
  }
  if (frames.size() != 1)
    return fail(ErrorCode::kUnsupported,
                "a Python object cannot be read here: native functions take Python's numbers, text, bytes, lists, dicts and Arrow tables");
  return from_whole_pickle(type, frames[0]);
}

}  // namespace

Result<OpaquePtr> to_node(const Serialized& from) {
  if (from.frames.empty()) return broken("it has no bytes");
  if (from.type_name == kArrowTableType) return arrow_node(from);
  const Bytes& head = from.frames[0];
  if (from.plain && head.size() > kPlainPickleBytesMax) {
    msgpack::Reader reader(head);
    if (!has_composite_keys(reader, 0)) return node(header("pickle", 2, 1, ours(from.type_name, 1)), {Bytes::literal(kUnpack), head});
  }
  std::string program;
  Pickler pickler(head, from.frames);
  if (!pickler.run(program)) return broken("a " + from.type_name + " has a form that is not known, or is nested too deep");
  std::vector<Bytes> frames{Bytes::own(std::move(program))};
  if (from.plain) return node(plain_header(from.type_name), std::move(frames));
  // C++ finds buffers by their number: all of them, in their own order, which is the pickle's as long as each is used once.
  if (pickler.buffers.size() + 1 != from.frames.size()) return broken("a " + from.type_name + " uses its buffers more than once");
  for (std::size_t i = 1; i < from.frames.size(); ++i) {
    if (pickler.buffers[i - 1].data() != from.frames[i].data()) return broken("a " + from.type_name + " uses its buffers out of order");
    frames.push_back(from.frames[i]);
  }
  frames.push_back(head);
  const std::size_t at = frames.size() - 1;
  return node(header("pickle", at + 1, at - 1, ours(from.type_name, at, false)), std::move(frames));
}

Result<OpaquePtr> to_node(const NativeValue& value) {
  DASK_TRY(const Serialized serialized, value.serialize());
  return to_node(serialized);
}

Result<NativeValue> from_node(const Opaque& from) {
  if (from.frames.size() == 1 && !last_read.bytes.empty() && from.header == last_read.bytes)
    return from_whole_pickle(last_read.type, from.frames[0]);
  DASK_TRY(const Value about, wire::decode_msgpack(from.header));
  if (!about.is_map()) return broken("its sub-header is no map");
  if (about["is-collection"].as_bool())
    return fail(ErrorCode::kUnsupported, "a Python collection of large objects cannot be read by a native function: pass its parts");
  DASK_TRY(std::vector<Bytes> frames, merged_frames(about, from.frames));
  if (frames.empty()) return broken("it has no frames");
  const std::string_view serializer = about["serializer"].as_string();
  if (serializer == "pickle") {
    const Value& native = about["dask-native"];
    if (from.frames.size() == 1 && frames.size() == 1 && frames[0].data() == from.frames[0].data() && native["head"].is_nil() &&
        from.header.size() <= kPlainHeaderBytesMax)
      last_read = {std::string(native["type"].as_string()), Bytes::copy(from.header)};
    return from_pickle(about, std::move(frames));
  }
  if (serializer == "dask" && about["type"].as_string() == kTableName) {
    Writer writer(Writer::Form::kFrames);
    writer.binary(frames[0]);
    return NativeValue::from_serialized(Serialized{std::string(kArrowTableType), false, writer.take_frames()});
  }
  if (serializer == "dask")
    return fail(ErrorCode::kUnsupported, "a Python " + std::string(about["type"].as_string("object")) +
                                             " cannot be read by a native function: convert it to a pyarrow.Table, a list or bytes");
  if (serializer == "error") {
    std::string words;
    for (const Bytes& frame : frames) words += (words.empty() ? "" : "\n") + std::string(frame.view());
    return fail(ErrorCode::kUserCode, words);
  }
  return fail(ErrorCode::kUnsupported,
              "a value that was serialised with \"" + std::string(serializer) + "\" cannot be read by a native function");
}

}  // namespace dask::native
