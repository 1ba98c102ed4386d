// Python's text rules over UTF-8; see the header for how exact they are.
#include "core/base/python_text.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstring>

namespace dask::python {

namespace {

constexpr char32_t kInvalid = 0xffffffff;

// Decodes one non-ASCII sequence at `text[at]`; kInvalid (length 1) when it is not UTF-8.
char32_t decode(std::string_view text, std::size_t at, std::size_t& length) {
  auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[at + i]); };
  std::uint8_t head = byte(0);
  std::size_t size = head >= 0xf0 ? 4 : head >= 0xe0 ? 3 : 2;
  length = 1;
  if (head < 0xc2 || head > 0xf4 || at + size > text.size()) return kInvalid;
  char32_t c = head & (0x7f >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return kInvalid;
    c = (c << 6) | (byte(i) & 0x3f);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (c < kSmallest[size] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return kInvalid;
  length = size;
  return c;
}

bool is_ascii_word(const char* data) {
  std::uint64_t word;
  std::memcpy(&word, data, 8);
  return (word & 0x8080808080808080ULL) == 0;
}

struct Range {
  char32_t first, last;
};

// Blocks beyond ASCII that hold no letters.
constexpr Range kSigns[] = {
    {0x80, 0xa9},       {0xab, 0xb4},       {0xb6, 0xb9},     {0xbb, 0xbf},     {0xd7, 0xd7},     {0xf7, 0xf7},     {0x2c2, 0x2c5},
    {0x2d2, 0x2df},     {0x300, 0x36f},     {0x660, 0x669},   {0x6f0, 0x6f9},   {0x966, 0x96f},   {0x1680, 0x1680}, {0x2000, 0x2070},
    {0x2072, 0x207e},   {0x2080, 0x208f},   {0x20a0, 0x2101}, {0x2190, 0x2bff}, {0x2e00, 0x2e2e}, {0x2e30, 0x3004}, {0x3007, 0x3030},
    {0x3036, 0x303a},   {0x303d, 0x3040},   {0x3099, 0x309c}, {0x30a0, 0x30a0}, {0x30fb, 0x30fb}, {0x3190, 0x319f}, {0x3200, 0x33ff},
    {0xd800, 0xf8ff},   {0xfe00, 0xfe6f},   {0xfeff, 0xff20}, {0xff3b, 0xff40}, {0xff5b, 0xff65}, {0xffe0, 0xffff}, {0x1d7ce, 0x1d7ff},
    {0x1f000, 0x1ffff}, {0xe0000, 0x10ffff}};

// Ranges that repr() escapes: controls, formats, separators other than the space, surrogates, private use, unassigned ends.
constexpr Range kUnprintable[] = {{0x7f, 0xa0},       {0xad, 0xad},       {0x600, 0x605},   {0x61c, 0x61c},   {0x6dd, 0x6dd},
                                  {0x1680, 0x1680},   {0x180e, 0x180e},   {0x2000, 0x200f}, {0x2028, 0x202f}, {0x205f, 0x206f},
                                  {0x3000, 0x3000},   {0xd7fc, 0xf8ff},   {0xfeff, 0xfeff}, {0xfff0, 0xfffb}, {0xfffe, 0xffff},
                                  {0xe0000, 0xe00ff}, {0xe01f0, 0x10ffff}};

template <std::size_t N>
bool in(const Range (&ranges)[N], char32_t c) {
  for (const Range& range : ranges) {
    if (c < range.first) return false;
    if (c <= range.last) return true;
  }
  return false;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
         c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

// The quote that Python chooses: ' unless the text has a ' and no ".
char quote_for(std::string_view text) { return text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\''; }

// The escapes that str and bytes share; false when the byte stands for itself.
bool append_escape(std::string& out, char c, char quote) {
  switch (c) {
    case '\\': out += "\\\\"; return true;
    case '\t': out += "\\t"; return true;
    case '\n': out += "\\n"; return true;
    case '\r': out += "\\r"; return true;
    default: break;
  }
  if (c == quote) {
    out += '\\';
    out += c;
    return true;
  }
  auto byte = static_cast<std::uint8_t>(c);
  if (byte >= 0x20 && byte < 0x7f) return false;
  out += fmt::format("\\x{:02x}", byte);
  return true;
}

}  // namespace

bool is_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (at + 8 <= text.size() && is_ascii_word(text.data() + at)) {
      at += 8;
      continue;
    }
    if (static_cast<std::uint8_t>(text[at]) < 0x80) {
      ++at;
      continue;
    }
    std::size_t size;
    if (decode(text, at, size) == kInvalid) return false;
    at += size;
  }
  return true;
}

std::string to_utf8(std::string_view text) {
  if (is_utf8(text)) return std::string(text);
  std::string out;
  for (std::size_t at = 0, size = 1; at < text.size(); at += size) {
    size = 1;
    if (static_cast<std::uint8_t>(text[at]) < 0x80 || decode(text, at, size) != kInvalid) {
      out.append(text.substr(at, size));
    } else {
      out += "\xef\xbf\xbd";
    }
  }
  return out;
}

char32_t code_point(std::string_view text, std::size_t at, std::size_t& length) {
  auto byte = static_cast<std::uint8_t>(text[at]);
  if (byte < 0x80) {
    length = 1;
    return byte;
  }
  char32_t c = decode(text, at, length);
  return c == kInvalid ? U'\ufffd' : c;
}

std::size_t length(std::string_view text) {
  std::size_t count = 0;
  for (char c : text) count += (static_cast<std::uint8_t>(c) & 0xc0) != 0x80;
  return count;
}

void append_repr_string(std::string& out, std::string_view text) {
  char quote = quote_for(text);
  out += quote;
  for (std::size_t at = 0, size = 1; at < text.size(); at += size) {
    size = 1;
    if (static_cast<std::uint8_t>(text[at]) < 0x80) {
      if (!append_escape(out, text[at], quote)) out += text[at];
      continue;
    }
    char32_t c = decode(text, at, size);
    if (c == kInvalid) {
      out += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text[at]));
    } else if (!in(kUnprintable, c)) {
      out.append(text.substr(at, size));
    } else if (c <= 0xff) {
      out += fmt::format("\\x{:02x}", static_cast<std::uint32_t>(c));
    } else if (c <= 0xffff) {
      out += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(c));
    } else {
      out += fmt::format("\\U{:08x}", static_cast<std::uint32_t>(c));
    }
  }
  out += quote;
}

void append_repr_bytes(std::string& out, std::string_view bytes) {
  char quote = quote_for(bytes);
  out += 'b';
  out += quote;
  for (char c : bytes) {
    if (!append_escape(out, c, quote)) out += c;
  }
  out += quote;
}

void append_repr_float(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "nan";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "inf" : "-inf";
    return;
  }
  // The shortest digits that read back as the same double, then Python's choice of notation (exponents < -4 or >= 16).
  char buffer[32];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  if (text.front() == '-') {
    out += '-';
    text.remove_prefix(1);
  }
  std::size_t e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), text.data() + text.size(), exponent);
  std::string digits(1, text[0]);
  if (e > 2) digits += text.substr(2, e - 2);
  int count = static_cast<int>(digits.size());
  if (exponent < -4 || exponent >= 16) {
    out += digits[0];
    if (count > 1) {
      out += '.';
      out.append(digits, 1);
    }
    out += fmt::format("e{}{:02d}", exponent < 0 ? '-' : '+', std::abs(exponent));
  } else if (exponent < 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-exponent - 1), '0');
    out += digits;
  } else if (count <= exponent + 1) {
    out += digits;
    out.append(static_cast<std::size_t>(exponent + 1 - count), '0');
    out += ".0";
  } else {
    out.append(digits, 0, static_cast<std::size_t>(exponent) + 1);
    out += '.';
    out.append(digits, static_cast<std::size_t>(exponent) + 1);
  }
}

bool is_alpha(char32_t c) {
  if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  return !in(kSigns, c);
}

bool is_alpha(std::string_view text) {
  for (std::size_t at = 0, size = 1; at < text.size(); at += size) {
    if (!is_alpha(code_point(text, at, size))) return false;
  }
  return !text.empty();
}

std::string_view first_word(std::string_view text) {
  std::size_t begin = text.size(), size = 1;
  for (std::size_t at = 0; at < text.size(); at += size) {
    if (!is_space(code_point(text, at, size))) {
      begin = at;
      break;
    }
  }
  std::size_t end = begin;
  while (end < text.size() && !is_space(code_point(text, end, size))) end += size;
  return text.substr(begin, end - begin);
}

std::string_view strip(std::string_view text, std::string_view characters) {
  std::size_t begin = text.find_first_not_of(characters);
  if (begin == text.npos) return text.substr(0, 0);
  return text.substr(begin, text.find_last_not_of(characters) - begin + 1);
}

}  // namespace dask::python
