// KeyIndex: from a key to the slot of its task. Open addressing over 32-bit slots; the keys themselves stay in the tasks.
// Python's equality decides (1 == 1.0). Expected O(1), about 12 bytes a task.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace dask::scheduler {

class KeyIndex {
 public:
  // Gives the msgpack of the key in a slot.
  using KeyOf = std::function<std::string_view(std::uint32_t)>;
  static constexpr std::uint32_t kNone = UINT32_MAX;

  KeyIndex() : entries_(16) {}

  template <class KeyOfSlot>
  std::uint32_t find(std::string_view key, std::size_t hash, const KeyOfSlot& key_of,
                     bool (*equal)(std::string_view, std::string_view)) const {
    const std::uint32_t tag = static_cast<std::uint32_t>(hash >> 32);
    for (std::size_t i = hash & mask();; i = (i + 1) & mask()) {
      const Entry& entry = entries_[i];
      if (entry.slot == kNone) return kNone;
      if (entry.tag == tag && entry.slot != kDeleted && equal(key, key_of(entry.slot))) return entry.slot;
    }
  }
  // The key must not be there.
  void insert(std::size_t hash, std::uint32_t slot);
  // The slot must be there, under this hash.
  void erase(std::size_t hash, std::uint32_t slot);
  std::size_t size() const { return size_; }

 private:
  static constexpr std::uint32_t kDeleted = UINT32_MAX - 1;
  struct Entry {
    std::uint32_t tag = 0;
    std::uint32_t slot = kNone;
    std::uint32_t low = 0;  // low half of the hash, for growing without touching the keys
  };
  std::size_t mask() const { return entries_.size() - 1; }
  void grow();
  void place(std::size_t hash, std::uint32_t slot);

  std::vector<Entry> entries_;  // a power of two
  std::size_t size_ = 0;
  std::size_t used_ = 0;  // with deleted entries
};

}  // namespace dask::scheduler
