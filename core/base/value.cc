// Value: typed reads with Python's rules for truth and numbers, equality as Python has it, and repr for logs.
#include "core/base/value.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "core/base/check.h"
#include "core/base/python_text.h"

namespace dask {

namespace {

constexpr double kTwo63 = 9223372036854775808.0;   // 2^63
constexpr double kTwo64 = 18446744073709551616.0;  // 2^64

// A number in its widest exact form: Python compares ints, floats and bools by value.
struct Number {
  enum class Kind { kNone, kInt, kUint, kReal } kind = Kind::kNone;  // kUint only beyond int64
  std::int64_t integer = 0;
  std::uint64_t unsigned_integer = 0;
  double real = 0;
};

Number number_of(const Value& value) {
  Number number;
  if (auto* b = std::get_if<bool>(&value.variant())) {
    number.kind = Number::Kind::kInt;
    number.integer = *b;
  } else if (auto* i = std::get_if<std::int64_t>(&value.variant())) {
    number.kind = Number::Kind::kInt;
    number.integer = *i;
  } else if (auto* u = std::get_if<std::uint64_t>(&value.variant())) {
    number.kind = *u <= INT64_MAX ? Number::Kind::kInt : Number::Kind::kUint;
    number.integer = static_cast<std::int64_t>(*u);
    number.unsigned_integer = *u;
  } else if (auto* d = std::get_if<double>(&value.variant())) {
    if (std::floor(*d) == *d && *d >= -kTwo63 && *d < kTwo63) {
      number.kind = Number::Kind::kInt;
      number.integer = static_cast<std::int64_t>(*d);
    } else if (std::floor(*d) == *d && *d >= kTwo63 && *d < kTwo64) {
      number.kind = Number::Kind::kUint;
      number.unsigned_integer = static_cast<std::uint64_t>(*d);
    } else {
      number.kind = Number::Kind::kReal;
      number.real = *d;
    }
  }
  return number;
}

bool equal_numbers(const Number& a, const Number& b) {
  if (a.kind != b.kind) return false;
  switch (a.kind) {
    case Number::Kind::kInt: return a.integer == b.integer;
    case Number::Kind::kUint: return a.unsigned_integer == b.unsigned_integer;
    case Number::Kind::kReal: return a.real == b.real;
    case Number::Kind::kNone: return false;
  }
  return false;
}

// Equality whatever the order; the common case of the same order costs one comparison per element.
template <class Items, class Equal>
bool equal_unordered(const Items& a, const Items& b, const Equal& equal) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (equal(a[i], b[i])) continue;
    bool found = false;
    for (std::size_t j = 0; j < b.size() && !found; ++j) found = equal(a[i], b[j]);
    if (!found) return false;
  }
  return true;
}

const Value& nil_value() {
  static const Value nil;
  return nil;
}

void append_repr(std::string& out, const Value& value);

void append_items(std::string& out, const Value::Array& items) {
  bool first = true;
  for (const Value& item : items) {
    if (!first) out += ", ";
    first = false;
    append_repr(out, item);
  }
}

struct ReprAppender {
  std::string& out;

  void operator()(std::monostate) const { out += "None"; }
  void operator()(bool v) const { out += v ? "True" : "False"; }
  void operator()(std::int64_t v) const { out += fmt::format("{}", v); }
  void operator()(std::uint64_t v) const { out += fmt::format("{}", v); }
  void operator()(double v) const { python::append_repr_float(out, v); }
  void operator()(const std::string& v) const { python::append_repr_string(out, v); }
  void operator()(const Bytes& v) const { python::append_repr_bytes(out, v); }
  void operator()(const Value::Array& v) const {
    out += '(';
    append_items(out, v);
    out += v.size() == 1 ? ",)" : ")";
  }
  void operator()(const Value::Map& v) const {
    out += '{';
    bool first = true;
    for (const auto& [key, item] : v) {
      if (!first) out += ", ";
      first = false;
      append_repr(out, key);
      out += ": ";
      append_repr(out, item);
    }
    out += '}';
  }
  void operator()(const Value::Set& v) const {
    if (v.items.empty()) {
      out += "set()";
      return;
    }
    out += '{';
    append_items(out, v.items);
    out += '}';
  }
  void operator()(const Value::Ext& v) const {
    out += fmt::format("ExtType(code={}, data=", v.type);
    python::append_repr_bytes(out, v.data);
    out += ')';
  }
  void operator()(const OpaquePtr& v) const {
    if (!v) {
      out += "None";
      return;
    }
    std::size_t size = 0;
    for (const Bytes& frame : v->frames) size += frame.size();
    out += fmt::format("<{} {} bytes>", v->kind == Opaque::Kind::kPickled ? "Pickled" : "Serialized", size);
  }
};

void append_repr(std::string& out, const Value& value) { std::visit(ReprAppender{out}, value.variant()); }

}  // namespace

bool operator==(const Value::Set& a, const Value::Set& b) {
  return equal_unordered(a.items, b.items, [](const Value& x, const Value& y) { return x == y; });
}

bool operator==(const Value& a, const Value& b) {
  Number x = number_of(a);
  if (x.kind != Number::Kind::kNone) return equal_numbers(x, number_of(b));
  if (a.variant().index() != b.variant().index()) return false;
  if (auto* map = a.map_if()) {
    return equal_unordered(*map, *b.map_if(), [](const auto& p, const auto& q) { return p.first == q.first && p.second == q.second; });
  }
  if (auto* array = std::get_if<Value::Array>(&a.variant())) return *array == std::get<Value::Array>(b.variant());
  if (auto* set = std::get_if<Value::Set>(&a.variant())) return *set == std::get<Value::Set>(b.variant());
  if (auto* text = a.string()) return *text == *b.string();
  if (auto* bytes = a.bytes()) return *bytes == *b.bytes();
  if (auto* ext = a.ext()) return *ext == *b.ext();
  if (auto* opaque = std::get_if<OpaquePtr>(&a.variant())) {
    const auto& other = std::get<OpaquePtr>(b.variant());
    return *opaque == other || (*opaque && other && **opaque == *other);
  }
  return true;  // nil
}

const Value::Array* Value::array_if() const {
  if (auto* set = std::get_if<Set>(&v_)) return &set->items;
  return std::get_if<Array>(&v_);
}

OpaquePtr Value::opaque() const {
  auto* node = std::get_if<OpaquePtr>(&v_);
  return node ? *node : nullptr;
}

std::int64_t Value::as_int(std::int64_t otherwise) const {
  Number number = number_of(*this);
  if (number.kind == Number::Kind::kInt) return number.integer;
  if (number.kind == Number::Kind::kReal && number.real >= -kTwo63 && number.real < kTwo63) return static_cast<std::int64_t>(number.real);
  return otherwise;
}

std::optional<std::uint64_t> Value::as_uint64() const {
  Number number = number_of(*this);
  if (number.kind == Number::Kind::kUint) return number.unsigned_integer;
  if (number.kind == Number::Kind::kInt && number.integer >= 0) return static_cast<std::uint64_t>(number.integer);
  return std::nullopt;
}

double Value::as_double(double otherwise) const {
  if (auto* d = std::get_if<double>(&v_)) return *d;
  Number number = number_of(*this);
  if (number.kind == Number::Kind::kInt) return static_cast<double>(number.integer);
  if (number.kind == Number::Kind::kUint) return static_cast<double>(number.unsigned_integer);
  return otherwise;
}

bool Value::as_bool(bool otherwise) const {
  if (is_nil()) return false;
  if (auto* b = std::get_if<bool>(&v_)) return *b;
  if (auto* i = std::get_if<std::int64_t>(&v_)) return *i != 0;
  if (auto* u = std::get_if<std::uint64_t>(&v_)) return *u != 0;
  if (auto* d = std::get_if<double>(&v_)) return *d != 0;
  if (auto* text = string()) return !text->empty();
  if (auto* data = bytes()) return !data->empty();
  if (is_array() || is_map() || is_set()) return size() != 0;
  return otherwise;
}

std::string_view Value::as_string(std::string_view otherwise) const {
  auto* text = string();
  return text ? std::string_view(*text) : otherwise;
}

const Value* Value::find(std::string_view key) const {
  auto* map = map_if();
  if (!map) return nullptr;
  for (const auto& [name, value] : *map) {
    auto* text = name.string();
    if (text && *text == key) return &value;
  }
  return nullptr;
}

const Value& Value::operator[](std::string_view key) const {
  const Value* value = find(key);
  return value ? *value : nil_value();
}

Value& Value::set(std::string_view key, Value value) {
  if (is_nil()) v_ = Map{};
  auto* map = std::get_if<Map>(&v_);
  DASK_CHECK(map != nullptr, "set(\"{}\") on a Value that is no map: {}", key, repr());
  if (const Value* found = find(key)) return const_cast<Value&>(*found) = std::move(value);
  return map->emplace_back(Value(key), std::move(value)).second;
}

void Value::push_back(Value value) {
  if (is_nil()) v_ = Array{};
  if (auto* set = std::get_if<Set>(&v_)) {
    set->items.push_back(std::move(value));
    return;
  }
  auto* array = std::get_if<Array>(&v_);
  DASK_CHECK(array != nullptr, "push_back on a Value that is no array: {}", repr());
  array->push_back(std::move(value));
}

std::size_t Value::size() const {
  if (auto* array = array_if()) return array->size();
  if (auto* map = map_if()) return map->size();
  return 0;
}

std::string Value::repr() const {
  std::string out;
  append_repr(out, *this);
  return out;
}

void Value::set_unsigned(std::uint64_t v) {
  if (v <= INT64_MAX) {
    v_ = static_cast<std::int64_t>(v);
  } else {
    v_ = v;
  }
}

}  // namespace dask
