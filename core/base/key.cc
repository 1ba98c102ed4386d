// Key: validation, canonical form, hash and Python's spelling of keys, all on their msgpack bytes.
// The common keys (strings, tuples of strings and small ints as Python writes them) are canonical as they come and cost no allocation.
#include "core/base/key.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "core/base/msgpack.h"
#include "core/base/python_text.h"

namespace dask {

namespace {

using msgpack::Reader;
using msgpack::Token;
using msgpack::Type;

constexpr double kTwo63 = 9223372036854775808.0;
constexpr double kTwo64 = 18446744073709551616.0;

bool skip_key_at(Reader& reader, int depth) {
  Token token;
  if (!reader.next(token)) return false;
  switch (token.type) {
    case Type::kString: return python::is_utf8(token.data);
    case Type::kArray:
      if (depth >= kKeyDepthMax) return false;
      for (std::size_t i = 0; i < token.size; ++i) {
        if (!skip_key_at(reader, depth + 1)) return false;
      }
      return true;
    case Type::kMap:
    case Type::kExt: return false;
    default: return true;
  }
}

bool is_integral(double value) { return std::floor(value) == value && value >= -kTwo63 && value < kTwo64; }

std::size_t int_bytes(std::int64_t value) {
  if (value >= -32 && value < 128) return 1;
  if (value >= INT8_MIN && value <= UINT8_MAX) return 2;
  if (value >= INT16_MIN && value <= UINT16_MAX) return 3;
  if (value >= INT32_MIN && value <= UINT32_MAX) return 5;
  return 9;
}

std::size_t binary_head_bytes(std::size_t size) { return size < 256 ? 2 : size < 65536 ? 3 : 5; }
std::size_t array_head_bytes(std::size_t size) { return size < 16 ? 1 : size < 65536 ? 3 : 5; }

// Steps over one valid key; false as soon as a part of it is not in canonical form.
bool skip_canonical(Reader& reader) {
  const char* begin = reader.at();
  std::uint8_t head = reader.peek();
  Token token;
  if (!reader.next(token)) return false;
  auto bytes = static_cast<std::size_t>(reader.at() - begin);
  switch (token.type) {
    case Type::kNil:
    case Type::kUint: return true;
    case Type::kBool: return false;
    case Type::kInt: return bytes == int_bytes(token.integer) && (token.integer < 128 || head < 0xd0);  // unsigned when positive
    case Type::kReal: return bytes == 9 && !is_integral(token.real) && !std::isnan(token.real);
    case Type::kString: return bytes == token.data.size() + msgpack::string_head_bytes(token.data.size());
    case Type::kBinary: return bytes == token.data.size() + binary_head_bytes(token.data.size());
    case Type::kArray:
      if (bytes != array_head_bytes(token.size)) return false;
      for (std::size_t i = 0; i < token.size; ++i) {
        if (!skip_canonical(reader)) return false;
      }
      return true;
    default: return false;
  }
}

bool is_canonical(std::string_view msgpack) {
  if (is_plainly_canonical(msgpack)) return true;
  Reader reader(msgpack);
  return skip_canonical(reader);
}

void append_canonical(Reader& reader, std::string& out) {
  Token token;
  if (!reader.next(token)) return;
  switch (token.type) {
    case Type::kBool: msgpack::append_int(out, token.boolean); break;
    case Type::kInt: msgpack::append_int(out, token.integer); break;
    case Type::kUint: msgpack::append_uint(out, token.unsigned_integer); break;
    case Type::kReal:
      if (!is_integral(token.real)) {
        msgpack::append_real(out, std::isnan(token.real) ? std::numeric_limits<double>::quiet_NaN() : token.real);
      } else if (token.real < kTwo63) {
        msgpack::append_int(out, static_cast<std::int64_t>(token.real));
      } else {
        msgpack::append_uint(out, static_cast<std::uint64_t>(token.real));
      }
      break;
    case Type::kString: msgpack::append_string(out, token.data); break;
    case Type::kBinary: msgpack::append_binary(out, token.data); break;
    case Type::kArray:
      msgpack::append_array(out, token.size);
      for (std::size_t i = 0; i < token.size; ++i) append_canonical(reader, out);
      break;
    default: msgpack::append_nil(out); break;
  }
}

void append_repr(Reader& reader, std::string& out) {
  Token token;
  if (!reader.next(token)) return;
  switch (token.type) {
    case Type::kBool: out += token.boolean ? "True" : "False"; break;
    case Type::kInt: out += fmt::format("{}", token.integer); break;
    case Type::kUint: out += fmt::format("{}", token.unsigned_integer); break;
    case Type::kReal: python::append_repr_float(out, token.real); break;
    case Type::kString: python::append_repr_string(out, token.data); break;
    case Type::kBinary: python::append_repr_bytes(out, token.data); break;
    case Type::kArray: {
      out += '(';
      for (std::size_t i = 0; i < token.size; ++i) {
        if (i) out += ", ";
        append_repr(reader, out);
      }
      out += token.size == 1 ? ",)" : ")";
      break;
    }
    default: out += "None"; break;
  }
}

Value read_value(Reader& reader) {
  Token token;
  if (!reader.next(token)) return {};
  switch (token.type) {
    case Type::kBool: return token.boolean;
    case Type::kInt: return token.integer;
    case Type::kUint: return token.unsigned_integer;
    case Type::kReal: return token.real;
    case Type::kString: return token.data;
    case Type::kBinary: return Bytes::copy(token.data);
    case Type::kArray: {
      Value::Array items;
      for (std::size_t i = 0; i < token.size; ++i) items.push_back(read_value(reader));
      return items;
    }
    default: return {};
  }
}

bool append_value(std::string& out, const Value& value, int depth) {
  if (value.is_nil()) {
    msgpack::append_nil(out);
  } else if (auto* b = std::get_if<bool>(&value.variant())) {
    msgpack::append_bool(out, *b);
  } else if (auto* i = std::get_if<std::int64_t>(&value.variant())) {
    msgpack::append_int(out, *i);
  } else if (auto* u = std::get_if<std::uint64_t>(&value.variant())) {
    msgpack::append_uint(out, *u);
  } else if (auto* d = std::get_if<double>(&value.variant())) {
    msgpack::append_real(out, *d);
  } else if (auto* text = value.string()) {
    if (!python::is_utf8(*text)) return false;
    msgpack::append_string(out, *text);
  } else if (auto* bytes = value.bytes()) {
    msgpack::append_binary(out, *bytes);
  } else if (value.is_array()) {
    if (depth >= kKeyDepthMax) return false;
    msgpack::append_array(out, value.size());
    for (const Value& item : *value.array_if()) {
      if (!append_value(out, item, depth + 1)) return false;
    }
  } else {
    return false;
  }
  return true;
}

// A hash in the manner of wyhash: 64x64 -> 128 bit products of words mixed with odd constants.
constexpr std::uint64_t kMix0 = 0x9e3779b97f4a7c15ULL;
constexpr std::uint64_t kMix1 = 0xd6e8feb86659fd93ULL;

std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
  auto product = static_cast<__uint128_t>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

std::uint64_t word(const char* at) {
  std::uint64_t value;
  std::memcpy(&value, at, 8);
  return value;
}

std::size_t hash_bytes(std::string_view bytes) {
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t state = fold(left ^ kMix0, kMix1);
  for (; left >= 16; at += 16, left -= 16) state = fold(word(at) ^ kMix0 ^ state, word(at + 8) ^ kMix1);
  std::uint64_t a = 0, b = 0;
  if (left >= 8) {
    a = word(at);
    b = word(at + left - 8);
  } else if (left > 0) {
    std::memcpy(&a, at, left);
  }
  return fold(fold(a ^ kMix0 ^ state, b ^ kMix1), state ^ kMix0);
}

// ---- key_split ----------------------------------------------------------------------------------------------------------

constexpr const char* kOther = "Other";

bool is_hex_32(std::string_view text) { return text.size() == 32 && text.find_first_not_of("abcdef0123456789") == text.npos; }

// text.strip("<>").split()[0].split(".")[-1]
std::string class_of_repr(std::string_view text) {
  std::string_view first = python::first_word(python::strip(text, "<>"));
  if (first.empty()) return kOther;
  std::size_t dot = first.rfind('.');
  return std::string(dot == first.npos ? first : first.substr(dot + 1));
}

std::string split_text(std::string_view text) {
  std::size_t dash = text.find('-');
  std::string_view first = text.substr(0, dash);
  if (first.empty()) return kOther;
  std::size_t unused;
  if (!python::is_alpha(python::code_point(first, 0, unused))) first = python::strip(first.substr(0, first.find(',')), "_'()\"");
  std::string result(first);
  while (dash != text.npos) {
    std::size_t begin = dash + 1;
    dash = text.find('-', begin);
    std::string_view word = text.substr(begin, dash == text.npos ? dash : dash - begin);
    if (!python::is_alpha(word)) break;
    if (word[0] >= 'a' && word[0] <= 'f' && python::length(word) == 8) break;
    result += '-';
    result += word;
  }
  if (result.empty()) return kOther;
  if (is_hex_32(result)) return "data";
  if (result[0] == '<') return class_of_repr(result);
  return result;
}

std::string group_of_text(std::string_view text) {
  if (text.empty()) return kOther;
  if (text[0] == '(') return std::string(python::strip(text.substr(0, text.find(',')), "()\"'"));
  if (is_hex_32(text)) return "data";
  if (text[0] == '<') return class_of_repr(text);
  return split_text(text);
}

}  // namespace

Key Key::from_string(std::string_view name) {
  std::string bytes;
  bytes.reserve(name.size() + msgpack::string_head_bytes(name.size()));
  msgpack::append_string(bytes, name);
  return from_valid_msgpack(bytes);
}

Key Key::from_valid_msgpack(std::string_view bytes) {
  Key key;
  if (bytes.empty()) return key;
  key.text_ = new (::operator new(sizeof(Text) + bytes.size())) Text;
  key.text_->size = bytes.size();
  std::memcpy(key.text_->bytes(), bytes.data(), bytes.size());
  return key;
}

void Key::free(Text* text) {
  text->~Text();
  ::operator delete(text);
}

Result<Key> Key::from_msgpack(std::string_view bytes) {
  Reader reader(bytes);
  if (!skip_key(reader)) {
    return fail(ErrorCode::kMalformed, "this is not a task key: a key is a str, int, float, bytes, None or a tuple of those");
  }
  if (!reader.done()) return fail(ErrorCode::kMalformed, fmt::format("{} bytes follow a task key", reader.remaining()));
  return from_valid_msgpack(bytes);
}

Result<Key> Key::from_value(const Value& value) {
  std::string bytes;
  if (!append_value(bytes, value, 0)) {
    std::string text = value.repr();
    if (text.size() > 200) text = text.substr(0, 200) + "...";
    return fail(ErrorCode::kMalformed,
                fmt::format("{} is not a task key: a key is a str, int, float, bytes, None or a tuple of those", python::to_utf8(text)));
  }
  return from_valid_msgpack(bytes);
}

Value Key::value() const {
  Reader reader(msgpack());
  return read_value(reader);
}

std::string Key::str() const {
  Reader reader(msgpack());
  std::string_view text;
  if (reader.string(text)) return std::string(text);
  return repr();
}

std::string Key::repr() const {
  std::string out;
  Reader reader(msgpack());
  append_repr(reader, out);
  return out;
}

bool Key::equal(std::string_view a, std::string_view b) {
  if (a == b) return true;
  bool a_canonical = is_canonical(a);
  bool b_canonical = is_canonical(b);
  if (a_canonical && b_canonical) return false;
  return (a_canonical ? std::string(a) : canonical_key(a)) == (b_canonical ? std::string(b) : canonical_key(b));
}

std::size_t Key::hash(std::string_view msgpack) {
  if (is_canonical(msgpack)) return hash_bytes(msgpack);
  return hash_bytes(canonical_key(msgpack));
}

bool skip_key(msgpack::Reader& reader) { return skip_key_at(reader, 0); }

std::string canonical_key(std::string_view msgpack) {
  std::string out;
  out.reserve(msgpack.size());
  Reader reader(msgpack);
  append_canonical(reader, out);
  return out;
}

bool is_plainly_canonical(std::string_view msgpack) {
  if (msgpack.empty()) return false;
  auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(msgpack[i]); };
  std::uint8_t head = byte(0);
  if (head >= 0xa0 && head < 0xc0) return true;
  if (head == 0xd9) return msgpack.size() >= 2 && byte(1) >= 32;
  if (head == 0xda) return msgpack.size() >= 3 && byte(1) != 0;
  if (head == 0xdb) return msgpack.size() >= 5 && (byte(1) != 0 || byte(2) != 0);
  return false;
}

std::string key_split(std::string_view key_msgpack) {
  Reader reader(key_msgpack);
  Token token;
  while (reader.next(token)) {
    if (token.type == Type::kArray && token.size > 0) continue;  // of a tuple, its first element decides
    if (token.type == Type::kString) return split_text(token.data);
    if (token.type == Type::kBinary && python::is_utf8(token.data)) return split_text(token.data);
    break;
  }
  return kOther;
}

std::string key_split_group(std::string_view key_msgpack) {
  Reader reader(key_msgpack);
  Token token;
  if (!reader.next(token)) return kOther;
  if (token.type == Type::kString) return group_of_text(token.data);
  if (token.type == Type::kBinary && python::is_utf8(token.data)) return group_of_text(token.data);
  if (token.type != Type::kArray || token.size == 0) return kOther;
  const char* begin = reader.at();
  std::string_view text;
  if (Reader(reader).string(text)) return std::string(text);
  std::string out;
  Reader element(std::string_view(begin, reader.remaining()));
  append_repr(element, out);
  return out;
}

}  // namespace dask
