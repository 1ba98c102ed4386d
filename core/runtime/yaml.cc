// yaml-cpp behind a Result. Scalars follow PyYAML's safe_load (YAML 1.1): "yes" is true, "1e6" is text, 0x10 is 16.
#include "core/runtime/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>

namespace dask {

namespace {

enum class Dialect { kYaml, kJson };

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::find(words.begin(), words.end(), text) != words.end();
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// [-+]?(0b…|0x…|0[0-7]+|0|[1-9][0-9_]*)
bool parse_integer(std::string_view text, std::int64_t& value) {
  std::string digits(text);
  digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  std::string_view rest = digits;
  bool negative = !rest.empty() && rest.front() == '-';
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) rest.remove_prefix(1);
  if (rest.empty() || text.front() == '_') return false;
  int base = 10;
  if (rest.starts_with("0x")) {
    base = 16;
    rest.remove_prefix(2);
  } else if (rest.starts_with("0b")) {
    base = 2;
    rest.remove_prefix(2);
  } else if (rest.size() > 1 && rest.front() == '0') {
    base = 8;
    rest.remove_prefix(1);
  }
  std::uint64_t magnitude = 0;
  auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), magnitude, base);
  if (error != std::errc() || end != rest.data() + rest.size() || magnitude > static_cast<std::uint64_t>(INT64_MAX)) return false;
  value = negative ? -static_cast<std::int64_t>(magnitude) : static_cast<std::int64_t>(magnitude);
  return true;
}

// PyYAML wants a dot, and a sign in the exponent; JSON does not.
bool parse_float(std::string_view text, Dialect dialect, double& value) {
  std::string_view unsigned_text = text;
  bool negative = !text.empty() && text.front() == '-';
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) unsigned_text.remove_prefix(1);
  if (is_one_of(unsigned_text, {".inf", ".Inf", ".INF"}) || (dialect == Dialect::kJson && unsigned_text == "Infinity")) {
    value = negative ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
    return true;
  }
  if (is_one_of(text, {".nan", ".NaN", ".NAN"}) || (dialect == Dialect::kJson && text == "NaN")) {
    value = std::numeric_limits<double>::quiet_NaN();
    return true;
  }
  auto dot = unsigned_text.find('.');
  auto exponent = unsigned_text.find_first_of("eE");
  if (dialect == Dialect::kYaml) {
    if (dot == std::string_view::npos) return false;
    if (exponent != std::string_view::npos &&
        (exponent + 1 >= unsigned_text.size() || (unsigned_text[exponent + 1] != '+' && unsigned_text[exponent + 1] != '-')))
      return false;
  }
  std::string digits(unsigned_text);
  digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
  if (digits.empty() || (digits[0] != '.' && (digits[0] < '0' || digits[0] > '9'))) return false;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return false;
  if (negative) value = -value;
  return true;
}

Value plain_scalar(const std::string& text, Dialect dialect) {
  if (is_one_of(text, {"", "~", "null", "Null", "NULL"})) return {};
  if (is_one_of(text, {"true", "True", "TRUE"})) return true;
  if (is_one_of(text, {"false", "False", "FALSE"})) return false;
  if (dialect == Dialect::kYaml) {
    if (is_one_of(text, {"yes", "Yes", "YES", "on", "On", "ON"})) return true;
    if (is_one_of(text, {"no", "No", "NO", "off", "Off", "OFF"})) return false;
  }
  std::int64_t integer = 0;
  if (parse_integer(text, integer)) return integer;
  double real = 0;
  if (parse_float(text, dialect, real)) return real;
  if (all_digits(text)) return std::strtod(text.c_str(), nullptr);  // beyond 64 bits
  return text;
}

struct Converter {
  Dialect dialect;
  int nodes = 0;

  Result<Value> convert(const YAML::Node& node) {
    if (++nodes > kYamlNodesMax) return fail(ErrorCode::kLimit, fmt::format("more than {} nodes", kYamlNodesMax));
    switch (node.Type()) {
      case YAML::NodeType::Undefined:
      case YAML::NodeType::Null: return Value();
      case YAML::NodeType::Scalar:
        return node.Tag() == "!" || node.Tag() == "tag:yaml.org,2002:str" ? Value(node.Scalar()) : plain_scalar(node.Scalar(), dialect);
      case YAML::NodeType::Sequence: {
        Value::Array items;
        for (const auto& item : node) {
          DASK_TRY(Value value, convert(item));
          items.push_back(std::move(value));
        }
        return Value(std::move(items));
      }
      case YAML::NodeType::Map: return convert_map(node);
    }
    return Value();
  }

  Result<Value> convert_map(const YAML::Node& node) {
    Value::Map entries;
    Value::Map merged;  // of "<<": weaker than what the map says itself
    auto put = [](Value::Map& map, Value key, Value value) {
      for (auto& [old_key, old_value] : map) {
        if (old_key == key) {
          old_value = std::move(value);
          return;
        }
      }
      map.emplace_back(std::move(key), std::move(value));
    };
    for (const auto& entry : node) {
      DASK_TRY(Value key, convert(entry.first));
      DASK_TRY(Value value, convert(entry.second));
      if (key.as_string() == "<<" && entry.first.Tag() != "!") {
        Value::Array sources = value.is_map() ? Value::Array{value} : value.is_array() ? *value.array_if() : Value::Array{};
        for (auto source = sources.rbegin(); source != sources.rend(); ++source) {
          if (!source->is_map()) continue;
          for (const auto& [merged_key, merged_value] : *source->map_if()) put(merged, merged_key, merged_value);
        }
        continue;
      }
      put(entries, std::move(key), std::move(value));
    }
    for (auto& [key, value] : merged) {
      bool own = std::any_of(entries.begin(), entries.end(), [&key = key](const auto& entry) { return entry.first == key; });
      if (!own) entries.emplace_back(key, value);
    }
    return Value(std::move(entries));
  }
};

Result<Value> parse(std::string_view text, Dialect dialect) {
  try {
    return Converter{dialect}.convert(YAML::Load(std::string(text)));
  } catch (const YAML::Exception& error) {
    if (error.mark.is_null()) return fail(ErrorCode::kMalformed, error.msg);
    return fail(ErrorCode::kMalformed, fmt::format("line {}, column {}: {}", error.mark.line + 1, error.mark.column + 1, error.msg));
  } catch (const std::exception& error) {
    return fail(ErrorCode::kMalformed, error.what());
  }
}

}  // namespace

Result<Value> parse_yaml(std::string_view text) { return parse(text, Dialect::kYaml); }
Result<Value> parse_python_json(std::string_view text) { return parse(text, Dialect::kJson); }

}  // namespace dask
