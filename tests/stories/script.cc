#include "script.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace dask::stories {

std::string trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == text.npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r") - first + 1));
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (true) {
    const auto at = text.find(separator);
    parts.push_back(trim(text.substr(0, at)));
    if (at == text.npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> found;
  for (std::string& word : split(text, ' '))
    if (!word.empty()) found.push_back(std::move(word));
  return found;
}

std::vector<Line> read_lines(std::string_view script) {
  std::vector<Line> lines;
  int number = 0;
  for (const std::string& raw : split(script, '\n')) {
    ++number;
    std::string text = trim(raw.substr(0, raw.starts_with('#') ? 0 : raw.find(" #")));
    if (!text.empty()) lines.push_back(Line{number, text, words(text)});
  }
  return lines;
}

namespace {

Result<std::vector<std::string>> brace_values(std::string_view inside) {
  if (const auto dots = inside.find(".."); dots != inside.npos) {
    DASK_TRY(const double first, parse_number(inside.substr(0, dots)));
    DASK_TRY(const double last, parse_number(inside.substr(dots + 2)));
    std::vector<std::string> values;
    for (auto i = static_cast<long>(first); i <= static_cast<long>(last); ++i) values.push_back(std::to_string(i));
    return values;
  }
  return split(inside, ',');
}

}  // namespace

Result<std::vector<std::string>> expand(std::string_view text) {
  std::vector<std::string> expanded{""};
  bool braces = false;
  while (!text.empty()) {
    const auto open = text.find('{');
    for (std::string& e : expanded) e += text.substr(0, open);
    if (open == text.npos) break;
    const auto close = text.find('}', open);
    if (close == text.npos) return fail(ErrorCode::kInvalidArgument, "a brace is not closed");
    DASK_TRY(const std::vector<std::string> values, brace_values(text.substr(open + 1, close - open - 1)));
    if (!braces) expanded.assign(values.size(), expanded.front());
    braces = true;
    if (values.size() != expanded.size()) return fail(ErrorCode::kInvalidArgument, "braces of different lengths in one text");
    for (std::size_t i = 0; i < values.size(); ++i) expanded[i] += values[i];
    text.remove_prefix(close + 1);
  }
  return expanded;
}

Attributes::Attributes(const std::vector<std::string>& tokens) {
  for (const std::string& token : tokens) {
    const auto at = token.find('=');
    if (at == token.npos || at == 0 || token == "=")
      words_.push_back(token);
    else
      pairs_[token.substr(0, at)] = token.substr(at + 1);
  }
}

std::optional<std::string> Attributes::get(const std::string& name) {
  auto it = pairs_.find(name);
  if (it == pairs_.end()) return std::nullopt;
  std::string value = std::move(it->second);
  pairs_.erase(it);
  return value;
}

bool Attributes::take(std::string_view word) {
  auto it = std::find(words_.begin(), words_.end(), word);
  if (it == words_.end()) return false;
  words_.erase(it);
  return true;
}

std::optional<std::string> Attributes::unknown() const { return pairs_.empty() ? std::nullopt : std::optional(pairs_.begin()->first); }

Result<double> parse_number(std::string_view text) {
  if (text == "inf") return HUGE_VAL;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is no number", text));
  return value;
}

Result<std::int64_t> parse_bytes(std::string_view text) {
  static const std::pair<std::string_view, double> kUnits[] = {{"GiB", 0x1p30}, {"MiB", 0x1p20}, {"kiB", 0x1p10},
                                                               {"GB", 1e9},     {"MB", 1e6},     {"kB", 1e3}};
  double unit = 1;
  for (const auto& [name, size] : kUnits)
    if (text.ends_with(name)) {
      unit = size;
      text.remove_suffix(name.size());
      break;
    }
  DASK_TRY(const double value, parse_number(text));
  return static_cast<std::int64_t>(value * unit);
}

namespace {

Value key_value(std::string_view text) {
  if (text.starts_with('(') && text.ends_with(')')) {
    Value::Array items;
    for (const std::string& item : split(text.substr(1, text.size() - 2), ',')) items.push_back(key_value(item));
    return Value(std::move(items));
  }
  if (auto number = parse_number(text)) {
    if (text.find('.') != text.npos) return Value(*number);
    return Value(static_cast<std::int64_t>(*number));
  }
  return Value(text);
}

}  // namespace

Result<Key> parse_key(std::string_view text) { return Key::from_value(key_value(text)); }

}  // namespace dask::stories
