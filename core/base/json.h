// JSON: a writer that builds text in place, Values as JSON, and JSON as a Value. What Python can say and JSON cannot is spelled
// out: keys of maps become strings (Python's str), NaN and infinities become null, bytes and opaque payloads their repr.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "core/base/result.h"
#include "core/base/value.h"

namespace dask {

// Named limit: arrays and objects inside each other, when reading.
inline constexpr int kJsonDepthMax = 256;

// Appends one JSON text. It puts the commas; the caller closes what it opens and writes a key before each value of an object.
class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);
  JsonWriter& null();
  JsonWriter& boolean(bool v);
  JsonWriter& integer(std::int64_t v);
  JsonWriter& unsigned_integer(std::uint64_t v);
  JsonWriter& real(double v);
  // With at most `decimals` (0 to 6) digits behind the point: what a page needs of a time or a percentage.
  JsonWriter& rounded(double v, int decimals);
  JsonWriter& string(std::string_view v);
  JsonWriter& value(const Value& v);
  // Text that is one JSON value already.
  JsonWriter& raw(std::string_view json);

  std::size_t size() const { return out_.size(); }
  std::string take() { return std::exchange(out_, {}); }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();
  void append_string(std::string_view v);

  std::string out_;
};

std::string to_json(const Value& value);

// kMalformed says where the text stops being JSON. Numbers with a point or exponent become doubles.
Result<Value> parse_json(std::string_view text);

}  // namespace dask
