// AgeSet: a set of pointers, the oldest first. Nearly every task has one or two dependents, waiters and holders: so many lie in the set
// itself, without memory of their own; more of them in a tree that compares numbers, not what the pointers lead to.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

namespace dask::worker {

// T has a `seq`, unique and never used again, which does not change while it is a member. Adding and removing end the validity of all
// iterators.
template <class T>
class AgeSet {
  struct Member {
    std::uint64_t seq = 0;
    T* value = nullptr;
    friend bool operator<(const Member& a, const Member& b) { return a.seq < b.seq; }
  };
  using Tree = std::set<Member>;

 public:
  class const_iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = T*;
    using difference_type = std::ptrdiff_t;
    using pointer = T* const*;
    using reference = T* const&;

    const_iterator() = default;
    reference operator*() const { return few_ ? *few_ : many_->value; }
    const_iterator& operator++() {
      if (few_) {
        ++few_;
      } else {
        ++many_;
      }
      return *this;
    }
    const_iterator operator++(int) {
      const_iterator before = *this;
      ++*this;
      return before;
    }
    friend bool operator==(const const_iterator& a, const const_iterator& b) { return a.few_ == b.few_ && a.many_ == b.many_; }

   private:
    friend class AgeSet;
    explicit const_iterator(T* const* few) : few_(few) {}
    explicit const_iterator(typename Tree::const_iterator many) : many_(many) {}
    T* const* few_ = nullptr;
    typename Tree::const_iterator many_{};
  };
  using iterator = const_iterator;
  using value_type = T*;

  bool empty() const { return !many_ && !few_[0]; }
  std::size_t size() const { return many_ ? many_->size() : count_few(); }
  const_iterator begin() const { return many_ ? const_iterator(many_->begin()) : const_iterator(few_.data()); }
  const_iterator end() const { return many_ ? const_iterator(many_->end()) : const_iterator(few_.data() + count_few()); }

  std::size_t count(const T* value) const {
    if (many_) return many_->count(Member{value->seq, nullptr});
    for (const T* member : few_)
      if (member == value) return 1;
    return 0;
  }

  // Whether it was new.
  bool insert(T* value) {
    if (many_) return insert_many(value);
    std::size_t at = 0;
    for (; at < kFew && few_[at] && few_[at]->seq <= value->seq; ++at)
      if (few_[at] == value) return false;
    const std::size_t size = count_few();
    if (size == kFew) {
      many_ = std::make_unique<Tree>();
      for (T*& member : few_) many_->insert(many_->end(), Member{member->seq, std::exchange(member, nullptr)});
      return insert_many(value);
    }
    for (std::size_t i = size; i > at; --i) few_[i] = few_[i - 1];
    few_[at] = value;
    return true;
  }

  // How many were removed: 0 or 1.
  std::size_t erase(const T* value) {
    if (many_) {
      const std::size_t erased = many_->erase(Member{value->seq, nullptr});
      if (many_->empty()) many_ = nullptr;
      return erased;
    }
    for (std::size_t i = 0; i < kFew; ++i) {
      if (few_[i] != value) continue;
      for (std::size_t next = i + 1; next < kFew; ++next) few_[next - 1] = few_[next];
      few_[kFew - 1] = nullptr;
      return 1;
    }
    return 0;
  }

  void clear() {
    few_ = {};
    many_ = nullptr;
  }

 private:
  static constexpr std::size_t kFew = 2;

  std::size_t count_few() const {
    std::size_t size = 0;
    while (size < kFew && few_[size]) ++size;
    return size;
  }
  // Most come in the order of their age: then the end is their place.
  bool insert_many(T* value) {
    const std::size_t before = many_->size();
    many_->insert(many_->end(), Member{value->seq, value});
    return many_->size() != before;
  }

  std::array<T*, kFew> few_{};  // the oldest first, then nulls; all nulls while there are many
  std::unique_ptr<Tree> many_;  // never empty
};

}  // namespace dask::worker
