// The writing half of json.h. A comma is due when the last character ends a value, so the writer keeps no stack.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/json.h"
#include "core/base/key.h"
#include "core/base/python_text.h"

namespace dask {
namespace {

// Python's str() of a map's key, tuples as tuples.
std::string key_text(const Value& key) {
  if (const std::string* text = key.string()) return *text;
  if (auto name = Key::from_value(key)) return name->str();
  return key.repr();
}

}  // namespace

void JsonWriter::separate() {
  if (out_.empty()) return;
  const char last = out_.back();
  if (last != '{' && last != '[' && last != ':') out_ += ',';
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  out_ += bracket;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  out_ += bracket;
  return *this;
}

void JsonWriter::append_string(std::string_view v) {
  out_ += '"';
  std::string repaired;
  if (!python::is_utf8(v)) v = repaired = python::to_utf8(v);
  std::size_t plain = 0;  // start of what needs no escape
  for (std::size_t i = 0; i < v.size(); ++i) {
    const auto c = static_cast<unsigned char>(v[i]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out_.append(v.substr(plain, i - plain));
    plain = i + 1;
    switch (c) {
      case '"': out_ += "\\\""; break;
      case '\\': out_ += "\\\\"; break;
      case '\n': out_ += "\\n"; break;
      case '\t': out_ += "\\t"; break;
      case '\r': out_ += "\\r"; break;
      default: fmt::format_to(std::back_inserter(out_), "\\u{:04x}", c);
    }
  }
  out_.append(v.substr(plain));
  out_ += '"';
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  append_string(name);
  out_ += ':';
  return *this;
}

JsonWriter& JsonWriter::null() {
  separate();
  out_ += "null";
  return *this;
}

JsonWriter& JsonWriter::boolean(bool v) {
  separate();
  out_ += v ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::integer(std::int64_t v) {
  separate();
  const fmt::format_int text(v);
  out_.append(text.data(), text.size());
  return *this;
}

JsonWriter& JsonWriter::unsigned_integer(std::uint64_t v) {
  separate();
  const fmt::format_int text(v);
  out_.append(text.data(), text.size());
  return *this;
}

JsonWriter& JsonWriter::real(double v) {
  if (!std::isfinite(v)) return null();
  separate();
  const std::size_t start = out_.size();
  fmt::format_to(std::back_inserter(out_), "{}", v);
  // A float stays one: Python's json reads 1.0 as a float and 1 as an int.
  if (out_.find_first_of(".e", start) == std::string::npos) out_ += ".0";
  return *this;
}

JsonWriter& JsonWriter::rounded(double v, int decimals) {
  constexpr double kPowers[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6};
  constexpr double kScaledMax = 9e15;  // exact as integers
  const double power = kPowers[std::clamp(decimals, 0, 6)];
  if (!(std::abs(v) * power < kScaledMax)) return real(v);
  separate();
  // Many of these are written at a time: integers are several times faster to print than doubles.
  const std::int64_t scaled = std::llround(v * power);
  const auto whole = static_cast<std::uint64_t>(std::abs(scaled)) / static_cast<std::uint64_t>(power);
  auto fraction = static_cast<std::uint64_t>(std::abs(scaled)) % static_cast<std::uint64_t>(power);
  if (scaled < 0) out_ += '-';
  const fmt::format_int text(whole);
  out_.append(text.data(), text.size());
  if (fraction == 0) return *this;
  out_ += '.';
  for (auto digit = static_cast<std::uint64_t>(power) / 10; fraction > 0; fraction %= digit, digit /= 10)
    out_ += static_cast<char>('0' + fraction / digit);
  return *this;
}

JsonWriter& JsonWriter::string(std::string_view v) {
  separate();
  append_string(v);
  return *this;
}

JsonWriter& JsonWriter::value(const Value& v) {
  if (v.is_nil()) return null();
  if (v.is_bool()) return boolean(v.as_bool());
  if (const auto* integer_value = std::get_if<std::int64_t>(&v.variant())) return integer(*integer_value);
  if (const auto* unsigned_value = std::get_if<std::uint64_t>(&v.variant())) return unsigned_integer(*unsigned_value);
  if (v.is_double()) return real(v.as_double());
  if (const std::string* text = v.string()) return string(*text);
  if (const Value::Array* items = v.array_if()) {
    begin_array();
    for (const Value& item : *items) value(item);
    return end_array();
  }
  if (const Value::Map* map = v.map_if()) {
    begin_object();
    for (const auto& [name, item] : *map) {
      key(key_text(name));
      value(item);
    }
    return end_object();
  }
  return string(v.repr());
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  out_.append(json);
  return *this;
}

std::string to_json(const Value& value) {
  JsonWriter writer;
  writer.value(value);
  return writer.take();
}

}  // namespace dask
