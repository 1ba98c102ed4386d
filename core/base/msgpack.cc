// The wide forms of msgpack's tokens, skipping, and the writer.
#include "core/base/msgpack.h"

#include "core/base/check.h"

namespace dask::msgpack {

bool Reader::next_wide(std::uint8_t head, Token& token) {
  std::uint8_t u8 = 0;
  std::uint16_t u16 = 0;
  std::uint32_t u32 = 0;
  std::uint64_t u64 = 0;
  auto integer = [&](std::int64_t value) {
    token.type = Type::kInt;
    token.integer = value;
    return true;
  };
  auto text = [&](Type type, std::size_t size) {
    token.type = type;
    return take(size, token.data);
  };
  auto ext = [&](std::size_t size) {
    token.type = Type::kExt;
    if (!big_endian(u8)) return false;
    token.ext_type = static_cast<std::int8_t>(u8);
    return take(size, token.data);
  };
  auto container = [&](Type type, std::size_t size) {
    token.type = type;
    token.size = size;
    return (type == Type::kMap ? 2 * size : size) <= remaining();
  };
  switch (head) {
    case 0xc0: token.type = Type::kNil; return true;
    case 0xc2:
    case 0xc3:
      token.type = Type::kBool;
      token.boolean = head == 0xc3;
      return true;
    case 0xc4: return big_endian(u8) && text(Type::kBinary, u8);
    case 0xc5: return big_endian(u16) && text(Type::kBinary, u16);
    case 0xc6: return big_endian(u32) && text(Type::kBinary, u32);
    case 0xc7: return big_endian(u8) && ext(u8);
    case 0xc8: return big_endian(u16) && ext(u16);
    case 0xc9: return big_endian(u32) && ext(u32);
    case 0xca:
      if (!big_endian(u32)) return false;
      token.type = Type::kReal;
      token.real = std::bit_cast<float>(u32);
      return true;
    case 0xcb:
      if (!big_endian(u64)) return false;
      token.type = Type::kReal;
      token.real = std::bit_cast<double>(u64);
      return true;
    case 0xcc: return big_endian(u8) && integer(u8);
    case 0xcd: return big_endian(u16) && integer(u16);
    case 0xce: return big_endian(u32) && integer(u32);
    case 0xcf:
      if (!big_endian(u64)) return false;
      if (u64 <= INT64_MAX) return integer(static_cast<std::int64_t>(u64));
      token.type = Type::kUint;
      token.unsigned_integer = u64;
      return true;
    case 0xd0: return big_endian(u8) && integer(static_cast<std::int8_t>(u8));
    case 0xd1: return big_endian(u16) && integer(static_cast<std::int16_t>(u16));
    case 0xd2: return big_endian(u32) && integer(static_cast<std::int32_t>(u32));
    case 0xd3: return big_endian(u64) && integer(static_cast<std::int64_t>(u64));
    case 0xd4: return ext(1);
    case 0xd5: return ext(2);
    case 0xd6: return ext(4);
    case 0xd7: return ext(8);
    case 0xd8: return ext(16);
    case 0xd9: return big_endian(u8) && text(Type::kString, u8);
    case 0xda: return big_endian(u16) && text(Type::kString, u16);
    case 0xdb: return big_endian(u32) && text(Type::kString, u32);
    case 0xdc: return big_endian(u16) && container(Type::kArray, u16);
    case 0xdd: return big_endian(u32) && container(Type::kArray, u32);
    case 0xde: return big_endian(u16) && container(Type::kMap, u16);
    case 0xdf: return big_endian(u32) && container(Type::kMap, u32);
    default: return false;  // 0xc1
  }
}

bool Reader::skip_elements(std::size_t pending) {
  Token token;
  while (pending > 0) {
    if (pending > remaining() || !next(token)) return false;
    --pending;
    if (token.type == Type::kArray) pending += token.size;
    if (token.type == Type::kMap) pending += 2 * token.size;
  }
  return true;
}

namespace {

template <class T>
void append_big_endian(std::string& out, std::uint8_t head, T value) {
  char bytes[1 + sizeof(T)];
  bytes[0] = static_cast<char>(head);
  if constexpr (sizeof(T) == 2) value = __builtin_bswap16(value);
  if constexpr (sizeof(T) == 4) value = __builtin_bswap32(value);
  if constexpr (sizeof(T) == 8) value = __builtin_bswap64(value);
  std::memcpy(bytes + 1, &value, sizeof(T));
  out.append(bytes, sizeof bytes);
}

void append_head(std::string& out, std::size_t size, std::uint8_t head16, std::uint8_t head32) {
  DASK_CHECK(size <= UINT32_MAX, "{} bytes or elements have no msgpack form", size);
  if (size < 65536) return append_big_endian(out, head16, static_cast<std::uint16_t>(size));
  append_big_endian(out, head32, static_cast<std::uint32_t>(size));
}

}  // namespace

void append_nil(std::string& out) { out.push_back('\xc0'); }

void append_bool(std::string& out, bool value) { out.push_back(value ? '\xc3' : '\xc2'); }

void append_int(std::string& out, std::int64_t value) {
  if (value >= 0) return append_uint(out, static_cast<std::uint64_t>(value));
  if (value >= -32) return out.push_back(static_cast<char>(value));
  if (value >= INT8_MIN) return append_big_endian(out, 0xd0, static_cast<std::uint8_t>(value));
  if (value >= INT16_MIN) return append_big_endian(out, 0xd1, static_cast<std::uint16_t>(value));
  if (value >= INT32_MIN) return append_big_endian(out, 0xd2, static_cast<std::uint32_t>(value));
  append_big_endian(out, 0xd3, static_cast<std::uint64_t>(value));
}

void append_uint(std::string& out, std::uint64_t value) {
  if (value < 128) return out.push_back(static_cast<char>(value));
  if (value <= UINT8_MAX) return append_big_endian(out, 0xcc, static_cast<std::uint8_t>(value));
  if (value <= UINT16_MAX) return append_big_endian(out, 0xcd, static_cast<std::uint16_t>(value));
  if (value <= UINT32_MAX) return append_big_endian(out, 0xce, static_cast<std::uint32_t>(value));
  append_big_endian(out, 0xcf, value);
}

void append_real(std::string& out, double value) { append_big_endian(out, 0xcb, std::bit_cast<std::uint64_t>(value)); }

void append_string(std::string& out, std::string_view value) {
  if (value.size() < 32) {
    out.push_back(static_cast<char>(0xa0 | value.size()));
  } else if (value.size() < 256) {
    append_big_endian(out, 0xd9, static_cast<std::uint8_t>(value.size()));
  } else {
    append_head(out, value.size(), 0xda, 0xdb);
  }
  out.append(value);
}

void append_binary(std::string& out, std::string_view value) {
  if (value.size() < 256) {
    append_big_endian(out, 0xc4, static_cast<std::uint8_t>(value.size()));
  } else {
    append_head(out, value.size(), 0xc5, 0xc6);
  }
  out.append(value);
}

void append_ext(std::string& out, std::int8_t type, std::string_view value) {
  switch (value.size()) {
    case 1: out.push_back('\xd4'); break;
    case 2: out.push_back('\xd5'); break;
    case 4: out.push_back('\xd6'); break;
    case 8: out.push_back('\xd7'); break;
    case 16: out.push_back('\xd8'); break;
    default:
      if (value.size() < 256) {
        append_big_endian(out, 0xc7, static_cast<std::uint8_t>(value.size()));
      } else {
        append_head(out, value.size(), 0xc8, 0xc9);
      }
  }
  out.push_back(static_cast<char>(type));
  out.append(value);
}

void append_array(std::string& out, std::size_t elements) {
  if (elements < 16) return out.push_back(static_cast<char>(0x90 | elements));
  append_head(out, elements, 0xdc, 0xdd);
}

void append_map(std::string& out, std::size_t pairs) {
  if (pairs < 16) return out.push_back(static_cast<char>(0x80 | pairs));
  append_head(out, pairs, 0xde, 0xdf);
}

}  // namespace dask::msgpack
