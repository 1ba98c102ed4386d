// Base64 as kubeconfig files have it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dask::kube {

// Line breaks are skipped; empty for what is no base64.
inline std::optional<std::string> base64_decoded(std::string_view text) {
  std::string out;
  unsigned bits = 0;
  int count = 0;
  int padding = 0;
  for (const char c : text) {
    int digit = 0;
    if (c >= 'A' && c <= 'Z') {
      digit = c - 'A';
    } else if (c >= 'a' && c <= 'z') {
      digit = c - 'a' + 26;
    } else if (c >= '0' && c <= '9') {
      digit = c - '0' + 52;
    } else if (c == '+' || c == '-') {
      digit = 62;
    } else if (c == '/' || c == '_') {
      digit = 63;
    } else if (c == '=') {
      ++padding;
      continue;
    } else if (c == '\n' || c == '\r' || c == ' ') {
      continue;
    } else {
      return std::nullopt;
    }
    if (padding > 0) return std::nullopt;
    bits = (bits << 6) | static_cast<unsigned>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>((bits >> count) & 0xff);
    }
  }
  if (padding > 2 || count >= 6) return std::nullopt;
  return out;
}

}  // namespace dask::kube
