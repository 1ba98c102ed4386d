// Key: the name of a task, as Dask has it: str, int, float or a tuple of those, held as the msgpack bytes it arrived in.
// Python's equality decides (1 == 1.0, ("x", 0) == ["x", 0] on the wire): `canonical()` are bytes that are equal exactly when
// the keys are, and the first spelling that was seen stays the key that is sent out. Source: dask/core.py, dask/utils.py.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/value.h"

namespace dask {

namespace msgpack {
class Reader;
}

// Named limit: tuples inside tuples of one key.
inline constexpr int kKeyDepthMax = 64;

class Key {
 public:
  Key() = default;
  // The key whose name is the string `name`.
  static Key from_string(std::string_view name);
  // Exactly one msgpack value of an allowed type (bytes and None too, which appear as names); else kMalformed.
  static Result<Key> from_msgpack(std::string_view bytes);
  static Result<Key> from_value(const Value& value);
  // Trusts that `bytes` is one valid key (checked by the decoder that found it).
  static Key from_valid_msgpack(std::string bytes) {
    Key key;
    key.bytes_ = std::move(bytes);
    return key;
  }

  std::string_view msgpack() const { return bytes_; }
  Value value() const;
  bool empty() const { return bytes_.empty(); }

  // Python's str(key): x for "x", ('x', 0) for a tuple.
  std::string str() const;
  // Python's repr(key).
  std::string repr() const;

  friend bool operator==(const Key& a, const Key& b) { return equal(a.bytes_, b.bytes_); }
  // Python equality of two keys given as msgpack.
  static bool equal(std::string_view a, std::string_view b);
  // Hash of the canonical form; equal keys have equal hashes. No allocation for strings.
  static std::size_t hash(std::string_view msgpack);

 private:
  std::string bytes_;
};

// Steps over one key; false when the next value is no key (a map, too deep, broken). Does not allocate.
bool skip_key(msgpack::Reader& reader);

// Canonical msgpack of a key: minimal widths, integral floats and bools as integers, -0.0 as 0.
std::string canonical_key(std::string_view msgpack);
// True when `canonical_key(msgpack) == msgpack` can be seen from the first byte (strings of minimal width).
bool is_plainly_canonical(std::string_view msgpack);

// dask.utils.key_split: the prefix that tasks share ("inc" of "inc-3f…"), which names durations and progress bars.
std::string key_split(std::string_view key_msgpack);
// distributed's key_split_group: the group ("inc-3f…" of ("inc-3f…", 0)) that decides whether tasks are root-like.
std::string key_split_group(std::string_view key_msgpack);

}  // namespace dask

template <>
struct std::hash<dask::Key> {
  std::size_t operator()(const dask::Key& key) const { return dask::Key::hash(key.msgpack()); }
};
