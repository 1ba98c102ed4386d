// How Python spells and classifies text: repr() of str, bytes and float, str.isalpha(), str.strip() and friends, over UTF-8.
// ASCII is exact; beyond it a few ranges stand for Unicode's tables (letters everywhere but in blocks of signs and spaces).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dask::python {

// True when `text` is UTF-8 that Python's strict decoder accepts (no surrogates, no overlong forms).
bool is_utf8(std::string_view text);
// `text` with U+FFFD in place of what is not UTF-8.
std::string to_utf8(std::string_view text);
// The code point at `text[at]` and its length in bytes (1 for a byte that is not UTF-8).
char32_t code_point(std::string_view text, std::size_t at, std::size_t& length);
// Number of code points.
std::size_t length(std::string_view text);

// Appends Python's repr.
void append_repr_string(std::string& out, std::string_view text);
void append_repr_bytes(std::string& out, std::string_view bytes);
void append_repr_float(std::string& out, double value);

// str.isalpha() of a whole word (false when empty), and of one code point.
bool is_alpha(std::string_view text);
bool is_alpha(char32_t c);
// The first word of str.split(); empty when there is none.
std::string_view first_word(std::string_view text);
// str.strip(characters), ASCII characters only.
std::string_view strip(std::string_view text, std::string_view characters);

}  // namespace dask::python
