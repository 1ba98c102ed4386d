// HeapSet: a set of pointers whose smallest element is found first; ties go to the oldest. Dask's HeapSet (distributed/collections.py).
// An element keeps the priority that it had when it was added. Removing is O(1): entries that no longer hold are skipped when they surface,
// and everything is rebuilt when most of it is such entries. What is added in ascending order, as tasks of a graph and inputs of one task
// are, lies in a queue beside the heap, where adding and popping are O(1), too.
#pragma once

#include <algorithm>
#include <cstdint>
#include <unordered_map>
#include <utility>
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
    Entry entry{priority, next_++, value->seq, value};
    if (queue_size() == 0) {
      queue_.clear();
      queue_begin_ = 0;
    }
    if (queue_.empty() || !Later{}(queue_.back(), entry)) {
      queue_.push_back(std::move(entry));
    } else {
      heap_.push_back(std::move(entry));
      std::push_heap(heap_.begin(), heap_.end(), Later{});
    }
  }
  bool remove(const T* value) {
    if (members_.erase(value->seq) == 0) return false;
    if (members_.empty()) {
      clear_entries();
    } else if (heap_.size() + queue_size() > kSlack + 2 * members_.size()) {
      const auto stale = [this](const Entry& entry) { return !holds(entry); };
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(std::exchange(queue_begin_, 0)));
      std::erase_if(queue_, stale);
      std::erase_if(heap_, stale);
      std::make_heap(heap_.begin(), heap_.end(), Later{});
    }
    return true;
  }
  // The element with the lowest priority; null when empty.
  T* peek() {
    const Entry* entry = first();
    return entry ? entry->value : nullptr;
  }
  // Its priority. Not when empty.
  const Priority& peek_priority() { return first()->priority; }
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
    for (std::size_t i = queue_begin_; i < queue_.size(); ++i)
      if (holds(queue_[i])) entries.push_back(&queue_[i]);
    std::sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) { return Later{}(*b, *a); });
    std::vector<T*> out;
    out.reserve(entries.size());
    for (const Entry* entry : entries) out.push_back(entry->value);
    return out;
  }
  void clear() {
    clear_entries();
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
  std::size_t queue_size() const { return queue_.size() - queue_begin_; }
  void clear_entries() {
    heap_.clear();
    queue_.clear();
    queue_begin_ = 0;
  }
  // Of the element with the lowest priority; null when empty. Takes away the entries before it that no longer hold.
  const Entry* first() {
    while (!heap_.empty() && !holds(heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), Later{});
      heap_.pop_back();
    }
    while (queue_size() != 0 && !holds(queue_[queue_begin_])) ++queue_begin_;
    if (queue_begin_ > kSlack && queue_begin_ > queue_.size() / 2)
      queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(std::exchange(queue_begin_, 0)));
    if (queue_size() == 0) return heap_.empty() ? nullptr : &heap_.front();
    return heap_.empty() || Later{}(heap_.front(), queue_[queue_begin_]) ? &queue_[queue_begin_] : &heap_.front();
  }

  std::vector<Entry> heap_;
  std::vector<Entry> queue_;  // ascending from queue_begin_ on; what lies before it has been taken
  std::size_t queue_begin_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> members_;  // seq of a value to the order of its entry
  std::uint64_t next_ = 0;
};

}  // namespace dask::worker
