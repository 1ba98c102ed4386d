#include "scheduler/state/key_index.h"

#include "core/base/check.h"

namespace dask::scheduler {

void KeyIndex::place(std::size_t hash, std::uint32_t slot) {
  std::size_t i = hash & mask();
  while (entries_[i].slot != kNone) i = (i + 1) & mask();
  entries_[i] = Entry{static_cast<std::uint32_t>(hash >> 32), slot, static_cast<std::uint32_t>(hash)};
  ++used_;
}

void KeyIndex::insert(std::size_t hash, std::uint32_t slot) {
  if ((used_ + 1) * 4 > entries_.size() * 3) grow();
  place(hash, slot);
  ++size_;
}

void KeyIndex::erase(std::size_t hash, std::uint32_t slot) {
  for (std::size_t i = hash & mask();; i = (i + 1) & mask()) {
    DASK_CHECK(entries_[i].slot != kNone, "slot {} is not in the key index", slot);
    if (entries_[i].slot != slot) continue;
    // An entry at the end of its run can be emptied; inside a run it must stay as a mark.
    const bool last = entries_[(i + 1) & mask()].slot == kNone;
    entries_[i].slot = last ? kNone : kDeleted;
    if (last) --used_;
    --size_;
    return;
  }
}

void KeyIndex::grow() {
  std::vector<Entry> old = std::move(entries_);
  std::size_t capacity = old.size();
  while (size_ * 2 >= capacity) capacity *= 2;
  entries_.assign(capacity, Entry{});
  used_ = 0;
  for (const Entry& entry : old)
    if (entry.slot < kDeleted) place((std::size_t{entry.tag} << 32) | entry.low, entry.slot);
}

}  // namespace dask::scheduler
