// What the fuzz targets share: an expectation that also holds in release builds, and pieces of the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#define FUZZ_EXPECT(condition)                                                       \
  do {                                                                               \
    if (!(condition)) {                                                              \
      std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                  \
    }                                                                                \
  } while (false)

// Takes `size` bytes, or what is left, from the front.
inline std::string_view take(std::string_view& input, std::size_t size) {
  std::string_view part = input.substr(0, size);
  input.remove_prefix(part.size());
  return part;
}

inline std::uint8_t take_byte(std::string_view& input) {
  std::string_view part = take(input, 1);
  return part.empty() ? 0 : static_cast<std::uint8_t>(part[0]);
}
