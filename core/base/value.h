// Value: one msgpack value as a tree, with Dask's opaque nodes. It is the slow, complete form of a message: hot operations
// have structs of their own (core/base/messages.h), everything else is read and built as Values.
// Maps keep their order and may have any Value as a key (who_has, nbytes, metrics have tuples), arrays stand for lists and tuples.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/base/bytes.h"

namespace dask {

// A payload that travels beside the message: Dask's Serialize (kSerialized) or ToPickle (kPickled). `header` is the msgpack
// sub-header, kept verbatim; `frames` are its sub-frames. Forwarding it changes only its index in the new message.
struct Opaque {
  enum class Kind : std::uint8_t { kSerialized, kPickled };
  Kind kind = Kind::kSerialized;
  Bytes header;
  std::vector<Bytes> frames;

  friend bool operator==(const Opaque&, const Opaque&) = default;
};
using OpaquePtr = std::shared_ptr<const Opaque>;

class Value {
 public:
  using Array = std::vector<Value>;
  using Map = std::vector<std::pair<Value, Value>>;  // insertion order, as on the wire
  // A msgpack extension value, kept verbatim.
  struct Ext {
    std::int8_t type = 0;
    Bytes data;
    friend bool operator==(const Ext&, const Ext&) = default;
  };
  // {"__Set__": True, "as-list": [...]}: a Python set.
  struct Set {
    Array items;
    friend bool operator==(const Set&, const Set&);
  };

  Value() = default;
  Value(std::nullptr_t) {}
  Value(bool v) : v_(v) {}
  Value(int v) : v_(static_cast<std::int64_t>(v)) {}
  Value(unsigned v) : v_(static_cast<std::int64_t>(v)) {}
  Value(long v) : v_(static_cast<std::int64_t>(v)) {}
  Value(long long v) : v_(static_cast<std::int64_t>(v)) {}
  Value(unsigned long v) { set_unsigned(v); }
  Value(unsigned long long v) { set_unsigned(v); }
  Value(double v) : v_(v) {}
  Value(const char* v) : v_(std::string(v)) {}
  Value(std::string_view v) : v_(std::string(v)) {}
  Value(std::string v) : v_(std::move(v)) {}
  Value(Bytes v) : v_(std::move(v)) {}
  Value(Array v) : v_(std::move(v)) {}
  Value(Map v) : v_(std::move(v)) {}
  Value(Set v) : v_(std::move(v)) {}
  Value(Ext v) : v_(std::move(v)) {}
  Value(OpaquePtr v) : v_(std::move(v)) {}
  static Value map() { return Value(Map{}); }
  static Value array() { return Value(Array{}); }

  bool is_nil() const { return std::holds_alternative<std::monostate>(v_); }
  bool is_bool() const { return std::holds_alternative<bool>(v_); }
  bool is_int() const { return std::holds_alternative<std::int64_t>(v_) || std::holds_alternative<std::uint64_t>(v_); }
  bool is_double() const { return std::holds_alternative<double>(v_); }
  bool is_number() const { return is_int() || is_double(); }
  bool is_string() const { return std::holds_alternative<std::string>(v_); }
  bool is_bytes() const { return std::holds_alternative<Bytes>(v_); }
  bool is_array() const { return std::holds_alternative<Array>(v_); }
  bool is_map() const { return std::holds_alternative<Map>(v_); }
  bool is_set() const { return std::holds_alternative<Set>(v_); }
  bool is_ext() const { return std::holds_alternative<Ext>(v_); }
  bool is_opaque() const { return std::holds_alternative<OpaquePtr>(v_); }

  // Typed reads. The pointer forms give null when the value has another type.
  const std::string* string() const { return std::get_if<std::string>(&v_); }
  const Bytes* bytes() const { return std::get_if<Bytes>(&v_); }
  const Array* array_if() const;  // arrays and sets: Python iterates both
  const Map* map_if() const { return std::get_if<Map>(&v_); }
  const Ext* ext() const { return std::get_if<Ext>(&v_); }
  OpaquePtr opaque() const;
  // Python's truth of numbers and bools as a number; `otherwise` for other types and values out of range.
  std::int64_t as_int(std::int64_t otherwise = 0) const;
  std::optional<std::uint64_t> as_uint64() const;
  double as_double(double otherwise = 0) const;
  bool as_bool(bool otherwise = false) const;  // Python's truthiness for nil, bool, numbers, strings, containers
  std::string_view as_string(std::string_view otherwise = {}) const;

  // The value under a string key of a map; null when this is no map or has no such key.
  const Value* find(std::string_view key) const;
  // The same, or a shared nil Value.
  const Value& operator[](std::string_view key) const;
  const Value& operator[](const char* key) const { return (*this)[std::string_view(key)]; }
  // Sets a string key of a map, replacing what was there. A nil value becomes a map first.
  Value& set(std::string_view key, Value value);
  void push_back(Value value);  // a nil value becomes an array first
  std::size_t size() const;     // elements of an array, set or map; 0 otherwise

  // Element-wise equality as Python has it: 1 == 1.0 == True, nested too.
  friend bool operator==(const Value& a, const Value& b);

  // One line for logs, in Python's notation; opaque nodes as <Serialized n bytes>.
  std::string repr() const;

  using Variant =
      std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Bytes, Array, Map, Set, Ext, OpaquePtr>;
  const Variant& variant() const { return v_; }
  Variant& variant() { return v_; }

 private:
  void set_unsigned(std::uint64_t v);
  Variant v_;
};

}  // namespace dask
