// Key: the name of a task, as Dask has it: str, int, float or a tuple of those, held as the msgpack bytes it arrived in.
// Python's equality decides (1 == 1.0, ("x", 0) == ["x", 0] on the wire): `canonical()` are bytes that are equal exactly when
// the keys are, and the first spelling that was seen stays the key that is sent out. Source: dask/core.py, dask/utils.py.
// A key is one word: copies share the bytes and their hash, so that a key in a message, a map and a task costs its bytes once.
// Thread safety: the count is atomic, the bytes never change; a Key may move between threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

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
  Key(const Key& other) : text_(other.text_) {
    if (text_) text_->users.fetch_add(1, std::memory_order_relaxed);
  }
  Key(Key&& other) noexcept : text_(std::exchange(other.text_, nullptr)) {}
  Key& operator=(const Key& other) {
    Key copy(other);
    std::swap(text_, copy.text_);
    return *this;
  }
  Key& operator=(Key&& other) noexcept {
    Key moved(std::move(other));
    std::swap(text_, moved.text_);
    return *this;
  }
  ~Key() {
    if (text_) release();
  }
  // The key whose name is the string `name`.
  static Key from_string(std::string_view name);
  // Exactly one msgpack value of an allowed type (bytes and None too, which appear as names); else kMalformed.
  static Result<Key> from_msgpack(std::string_view bytes);
  static Result<Key> from_value(const Value& value);
  // Trusts that `bytes` is one valid key (checked by the decoder that found it).
  static Key from_valid_msgpack(std::string_view bytes);

  std::string_view msgpack() const { return text_ ? text_->view() : std::string_view(); }
  Value value() const;
  bool empty() const { return !text_; }

  // Python's str(key): x for "x", ('x', 0) for a tuple.
  std::string str() const;
  // Python's repr(key).
  std::string repr() const;

  friend bool operator==(const Key& a, const Key& b) {
    if (a.text_ == b.text_) return true;
    if (a.text_ && b.text_) {
      const std::size_t hash_a = a.text_->hash.load(std::memory_order_relaxed), hash_b = b.text_->hash.load(std::memory_order_relaxed);
      if (hash_a != 0 && hash_b != 0 && hash_a != hash_b) return false;
    }
    return equal(a.msgpack(), b.msgpack());
  }
  // Key::hash(msgpack()), computed once for all copies.
  std::size_t hash() const {
    if (!text_) return hash(std::string_view());
    std::size_t known = text_->hash.load(std::memory_order_relaxed);
    if (known == 0) text_->hash.store(known = hash(text_->view()), std::memory_order_relaxed);
    return known;
  }
  // Python equality of two keys given as msgpack.
  static bool equal(std::string_view a, std::string_view b);
  // Hash of the canonical form; equal keys have equal hashes. No allocation for strings.
  static std::size_t hash(std::string_view msgpack);

 private:
  // Followed by its bytes.
  struct Text {
    std::atomic<std::uint32_t> users{1};
    std::size_t size = 0;
    std::atomic<std::size_t> hash{0};  // 0: not computed yet
    char* bytes() { return reinterpret_cast<char*>(this + 1); }
    std::string_view view() const { return {reinterpret_cast<const char*>(this + 1), size}; }
  };
  void release() {
    // The only user has nobody to race with.
    if (text_->users.load(std::memory_order_acquire) == 1 || text_->users.fetch_sub(1, std::memory_order_acq_rel) == 1) free(text_);
  }
  static void free(Text* text);

  Text* text_ = nullptr;
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
  std::size_t operator()(const dask::Key& key) const { return key.hash(); }
};
