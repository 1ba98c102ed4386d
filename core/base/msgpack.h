// The msgpack format at its lowest level: a token reader over a view, and functions that append to a string in the shortest form
// (as Python's msgpack does). It knows nothing of Dask's messages: keys (core/base/key) and messages (core/wire) are built on it.
// Announced lengths are checked against what the view holds, so nothing is allocated for a lie. Source: msgpack's spec.md.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace dask::msgpack {

enum class Type : std::uint8_t { kNil, kBool, kInt, kUint, kReal, kString, kBinary, kArray, kMap, kExt };

// One value's head. kUint only where the number does not fit an int64. For kArray and kMap `size` elements (pairs) follow.
struct Token {
  Type type = Type::kNil;
  std::int8_t ext_type = 0;
  union {
    bool boolean;
    std::int64_t integer;
    std::uint64_t unsigned_integer;
    double real;
    std::size_t size;
  };
  std::string_view data;  // kString, kBinary, kExt

  Token() : unsigned_integer(0) {}
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  // The next token; false when the bytes end inside it, or are no msgpack, or announce more elements than bytes follow.
  bool next(Token& token);
  // Steps over one whole value, however deep, without recursion.
  bool skip();
  // Reads a map's or array's head.
  bool map(std::size_t& pairs);
  bool array(std::size_t& elements);
  // Reads a string without checking its UTF-8.
  bool string(std::string_view& text);

  const char* at() const { return at_; }
  std::size_t remaining() const { return static_cast<std::size_t>(end_ - at_); }
  bool done() const { return at_ == end_; }
  // The first byte of the next value; 0xc1 (never used by msgpack) at the end.
  std::uint8_t peek() const { return done() ? 0xc1 : static_cast<std::uint8_t>(*at_); }

 private:
  template <class T>
  bool big_endian(T& value) {
    if (remaining() < sizeof(T)) return false;
    std::memcpy(&value, at_, sizeof(T));
    if constexpr (sizeof(T) == 2) value = __builtin_bswap16(value);
    if constexpr (sizeof(T) == 4) value = __builtin_bswap32(value);
    if constexpr (sizeof(T) == 8) value = __builtin_bswap64(value);
    at_ += sizeof(T);
    return true;
  }
  bool take(std::size_t size, std::string_view& data) {
    if (remaining() < size) return false;
    data = {at_, size};
    at_ += size;
    return true;
  }
  bool next_wide(std::uint8_t head, Token& token);
  bool skip_elements(std::size_t pending);

  const char* at_;
  const char* end_;
};

inline bool Reader::next(Token& token) {
  if (at_ == end_) return false;
  auto head = static_cast<std::uint8_t>(*at_++);
  if (head < 0x80) {
    token.type = Type::kInt;
    token.integer = head;
    return true;
  }
  if (head >= 0xe0) {
    token.type = Type::kInt;
    token.integer = static_cast<std::int8_t>(head);
    return true;
  }
  if (head >= 0xa0 && head < 0xc0) {
    token.type = Type::kString;
    return take(head & 0x1f, token.data);
  }
  if (head < 0x90) {
    token.type = Type::kMap;
    token.size = head & 0x0f;
    return 2 * token.size <= remaining();
  }
  if (head < 0xa0) {
    token.type = Type::kArray;
    token.size = head & 0x0f;
    return token.size <= remaining();
  }
  return next_wide(head, token);
}

inline bool Reader::skip() {
  Token token;
  if (!next(token)) return false;
  if (token.type == Type::kArray) return skip_elements(token.size);
  if (token.type == Type::kMap) return skip_elements(2 * token.size);
  return true;
}

inline bool Reader::map(std::size_t& pairs) {
  Token token;
  if (!next(token) || token.type != Type::kMap) return false;
  pairs = token.size;
  return true;
}

inline bool Reader::array(std::size_t& elements) {
  Token token;
  if (!next(token) || token.type != Type::kArray) return false;
  elements = token.size;
  return true;
}

inline bool Reader::string(std::string_view& text) {
  Token token;
  if (!next(token) || token.type != Type::kString) return false;
  text = token.data;
  return true;
}

// ---- writing, always in the shortest form ------------------------------------------------------------------------------

// Strings and binaries of 4 GiB and more have no msgpack form: they are a bug of the caller, who sends such payloads as frames.
void append_nil(std::string& out);
void append_bool(std::string& out, bool value);
void append_int(std::string& out, std::int64_t value);
void append_uint(std::string& out, std::uint64_t value);
void append_real(std::string& out, double value);
void append_string(std::string& out, std::string_view value);
void append_binary(std::string& out, std::string_view value);
void append_ext(std::string& out, std::int8_t type, std::string_view value);
void append_array(std::string& out, std::size_t elements);
void append_map(std::string& out, std::size_t pairs);

// Bytes that `append_string(out, value)` puts before the text.
inline std::size_t string_head_bytes(std::size_t size) { return size < 32 ? 1 : size < 256 ? 2 : size < 65536 ? 3 : 5; }

}  // namespace dask::msgpack
