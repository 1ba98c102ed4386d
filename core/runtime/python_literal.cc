// A recursive-descent reader of None, True, False, numbers, strings, lists, tuples, sets and dicts. What it does not
// understand is no error: the caller takes the text as it stands, as dask.config does.
#include "core/runtime/python_literal.h"

#include <charconv>
#include <optional>
#include <string>

namespace dask {

namespace {

constexpr int kDepthMax = 64;

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::optional<Value> whole() {
    auto value = read(0);
    skip_space();
    return value && text_.empty() ? value : std::nullopt;
  }

 private:
  void skip_space() {
    while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\t' || text_.front() == '\n' || text_.front() == '\r'))
      text_.remove_prefix(1);
  }
  bool take(char c) {
    skip_space();
    if (text_.empty() || text_.front() != c) return false;
    text_.remove_prefix(1);
    return true;
  }

  std::optional<Value> read(int depth) {
    skip_space();
    if (text_.empty() || depth > kDepthMax) return std::nullopt;
    char c = text_.front();
    if (c == '[' || c == '(') return sequence(c == '[' ? ']' : ')', depth);
    if (c == '{') return braces(depth);
    if (c == '\'' || c == '"') return string();
    if ((c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.') return number();
    return word();
  }

  std::optional<Value> sequence(char close, int depth) {
    text_.remove_prefix(1);
    Value::Array items;
    bool comma = false;
    while (!take(close)) {
      if (!items.empty() && !comma) return std::nullopt;
      auto item = read(depth + 1);
      if (!item) return std::nullopt;
      items.push_back(*std::move(item));
      comma = take(',');
    }
    if (close == ')' && items.size() == 1 && !comma) return std::move(items[0]);
    return Value(std::move(items));
  }

  std::optional<Value> braces(int depth) {
    text_.remove_prefix(1);
    Value::Map map;
    Value::Set set;
    bool is_set = false;
    bool comma = true;
    while (!take('}')) {
      if (!comma) return std::nullopt;
      auto key = read(depth + 1);
      if (!key) return std::nullopt;
      bool colon = take(':');
      if (map.empty() && set.items.empty()) is_set = !colon;
      if (is_set == colon) return std::nullopt;
      if (colon) {
        auto value = read(depth + 1);
        if (!value) return std::nullopt;
        map.emplace_back(*std::move(key), *std::move(value));
      } else {
        set.items.push_back(*std::move(key));
      }
      comma = take(',');
    }
    return is_set ? Value(std::move(set)) : Value(std::move(map));
  }

  std::optional<Value> string() {
    char quote = text_.front();
    text_.remove_prefix(1);
    std::string out;
    while (!text_.empty() && text_.front() != quote) {
      char c = text_.front();
      text_.remove_prefix(1);
      if (c == '\n') return std::nullopt;
      if (c != '\\') {
        out += c;
        continue;
      }
      if (text_.empty()) return std::nullopt;
      char escaped = text_.front();
      text_.remove_prefix(1);
      switch (escaped) {
        case 'n': out += '\n'; break;
        case 't': out += '\t'; break;
        case 'r': out += '\r'; break;
        case '\\':
        case '\'':
        case '"': out += escaped; break;
        default:
          out += '\\';
          out += escaped;
          break;
      }
    }
    if (text_.empty()) return std::nullopt;
    text_.remove_prefix(1);
    return Value(std::move(out));
  }

  std::optional<Value> number() {
    std::size_t size = text_.find_first_not_of("0123456789abcdefABCDEFxXoO_.+-");
    std::string digits;
    for (char c : text_.substr(0, size)) {
      if (c != '_') digits += c;
    }
    text_.remove_prefix(size == std::string_view::npos ? text_.size() : size);
    bool negative = digits.front() == '-';
    std::string_view rest = digits;
    if (rest.front() == '-' || rest.front() == '+') rest.remove_prefix(1);
    if (rest.empty() || rest.front() == '-' || rest.front() == '+') return std::nullopt;
    const char* end = rest.data() + rest.size();
    std::int64_t integer = 0;
    int base = 10;
    std::string_view body = rest;
    if (rest.size() > 2 && rest[0] == '0' && (rest[1] == 'x' || rest[1] == 'X')) base = 16;
    if (rest.size() > 2 && rest[0] == '0' && (rest[1] == 'o' || rest[1] == 'O')) base = 8;
    if (base != 10) body.remove_prefix(2);
    auto parsed = std::from_chars(body.data(), end, integer, base);
    if (parsed.ec == std::errc() && parsed.ptr == end) {
      if (base == 10 && rest.size() > 1 && rest.front() == '0' && integer != 0) return std::nullopt;  // 007 is no literal
      return Value(negative ? -integer : integer);
    }
    double real = 0;
    auto parsed_real = std::from_chars(rest.data(), end, real);
    if (base != 10 || parsed_real.ec != std::errc() || parsed_real.ptr != end) return std::nullopt;
    return Value(negative ? -real : real);
  }

  std::optional<Value> word() {
    for (auto [name, value] : {std::pair{"None", Value()}, std::pair{"True", Value(true)}, std::pair{"False", Value(false)}}) {
      std::string_view literal(name);
      if (text_.starts_with(literal)) {
        text_.remove_prefix(literal.size());
        return value;
      }
    }
    return std::nullopt;
  }

  std::string_view text_;
};

}  // namespace

Value interpret_value(std::string_view text) {
  if (auto value = Reader(text).whole()) return *std::move(value);
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  if (lower == "none" || lower == "null") return {};
  if (lower == "false") return false;
  if (lower == "true") return true;
  return text;
}

}  // namespace dask
