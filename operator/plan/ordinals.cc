#include "operator/plan/ordinals.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace dask::kube {
namespace {

constexpr std::int64_t kOrdinalMax = 1'000'000'000'000;

// The number that the text is; -1 when it is none.
std::int64_t number(std::string_view text) {
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0 && value <= kOrdinalMax ? value : -1;
}

}  // namespace

Ordinals Ordinals::parse(std::string_view text) {
  Ordinals ordinals;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const auto dash = part.find('-');
    const std::int64_t first = number(part.substr(0, dash));
    const std::int64_t last = dash == part.npos ? first : number(part.substr(dash + 1));
    if (first >= 0 && last >= first) ordinals.insert_range(first, last);
    if (comma == text.npos) break;
    text.remove_prefix(comma + 1);
  }
  return ordinals;
}

bool Ordinals::contains(std::int64_t ordinal) const {
  const auto after = ranges_.upper_bound(ordinal);
  return after != ranges_.begin() && std::prev(after)->second >= ordinal;
}

void Ordinals::insert(std::int64_t ordinal) { insert_range(ordinal, ordinal); }

void Ordinals::insert_range(std::int64_t first, std::int64_t last) {
  auto it = ranges_.upper_bound(first);
  if (it != ranges_.begin() && std::prev(it)->second >= first - 1) --it;
  while (it != ranges_.end() && it->first <= last + 1) {
    first = std::min(first, it->first);
    last = std::max(last, it->second);
    it = ranges_.erase(it);
  }
  ranges_.emplace(first, last);
}

std::string Ordinals::str() const {
  std::string text;
  for (const auto& [first, last] : ranges_) {
    if (!text.empty()) text += ',';
    text += first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
  }
  return text;
}

}  // namespace dask::kube
