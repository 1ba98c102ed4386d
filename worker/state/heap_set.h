// HeapSet: a set of pointers whose smallest element is found first; ties go to the oldest. Dask's HeapSet (distributed/collections.py).
// An element keeps the priority that it had when it was added. Removing is O(1): entries that no longer hold are skipped when they surface,
// and the heap is rebuilt when most of it is such entries.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace dask::worker {

// T has a `seq`, unique and never used again.
template <class T, class Priority>
class HeapSet {
 public:
  bool empty() const { return members_.empty(); }
  std::size_t size() const { return members_.size(); }
  bool contains(const T* value) const { return members_.count(value->seq) != 0; }

  void add(T* value, const Priority& priority) {
    if (!members_.try_emplace(value->seq, next_).second) return;
    heap_.push_back({priority, next_++, value->seq, value});
    std::push_heap(heap_.begin(), heap_.end(), Later{});
  }
  bool remove(const T* value) {
    if (members_.erase(value->seq) == 0) return false;
    if (members_.empty()) {
      heap_.clear();
    } else if (heap_.size() > kSlack + 2 * members_.size()) {
      std::erase_if(heap_, [this](const Entry& entry) { return !holds(entry); });
      std::make_heap(heap_.begin(), heap_.end(), Later{});
    }
    return true;
  }
  // The element with the lowest priority; null when empty.
  T* peek() {
    settle();
    return heap_.empty() ? nullptr : heap_.front().value;
  }
  // Its priority. Not when empty.
  const Priority& peek_priority() {
    settle();
    return heap_.front().priority;
  }
  T* pop() {
    T* value = peek();
    if (value) remove(value);
    return value;
  }
  // All elements, first the one that pop() would give. O(n log n).
  std::vector<T*> sorted() const {
    std::vector<const Entry*> entries;
    for (const Entry& entry : heap_)
      if (holds(entry)) entries.push_back(&entry);
    std::sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) { return Later{}(*b, *a); });
    std::vector<T*> out;
    out.reserve(entries.size());
    for (const Entry* entry : entries) out.push_back(entry->value);
    return out;
  }
  void clear() {
    heap_.clear();
    members_.clear();
  }

 private:
  static constexpr std::size_t kSlack = 64;  // entries that may be stale before a rebuild is worth it
  struct Entry {
    Priority priority;
    std::uint64_t order = 0;  // of adding
    std::uint64_t seq = 0;    // of the value, which may be gone by now
    T* value = nullptr;
  };
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const {
      if (a.priority < b.priority) return false;
      if (b.priority < a.priority) return true;
      return a.order > b.order;
    }
  };
  bool holds(const Entry& entry) const {
    auto found = members_.find(entry.seq);
    return found != members_.end() && found->second == entry.order;
  }
  void settle() {
    while (!heap_.empty() && !holds(heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), Later{});
      heap_.pop_back();
    }
  }

  std::vector<Entry> heap_;
  std::unordered_map<std::uint64_t, std::uint64_t> members_;  // seq of a value to the order of its entry
  std::uint64_t next_ = 0;
};

}  // namespace dask::worker
