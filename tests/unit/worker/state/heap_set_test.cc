// HeapSet against a plain sorted list.
#include "worker/state/heap_set.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>

namespace dask::worker {
namespace {

struct Item {
  std::uint64_t seq = 0;
};

TEST(HeapSet, gives_the_smallest_first_and_the_oldest_among_equals) {
  Item a{1}, b{2}, c{3};
  HeapSet<Item, int> set;
  set.add(&b, 1);
  set.add(&a, 1);
  set.add(&c, 0);
  EXPECT_EQ(set.size(), 3u);
  EXPECT_EQ(set.sorted(), (std::vector<Item*>{&c, &b, &a}));
  EXPECT_EQ(set.pop(), &c);
  EXPECT_EQ(set.pop(), &b);
  EXPECT_EQ(set.peek(), &a);
  EXPECT_TRUE(set.remove(&a));
  EXPECT_FALSE(set.remove(&a));
  EXPECT_EQ(set.pop(), nullptr);
}

TEST(HeapSet, forgets_the_old_priority_of_what_is_added_again) {
  Item a{1}, b{2};
  HeapSet<Item, int> set;
  set.add(&a, 0);
  set.add(&b, 1);
  set.remove(&a);
  set.add(&a, 2);
  EXPECT_EQ(set.peek(), &b);
  EXPECT_EQ(set.peek_priority(), 1);
}

TEST(HeapSet, agrees_with_a_sorted_list_whatever_is_done) {
  std::vector<std::unique_ptr<Item>> items;
  for (std::uint64_t i = 0; i < 40; ++i) items.push_back(std::make_unique<Item>(Item{i}));
  HeapSet<Item, int> set;
  std::map<Item*, std::pair<int, std::uint64_t>> model;
  std::uint64_t random = 1, order = 0;
  for (int step = 0; step < 20'000; ++step) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    Item* item = items[(random >> 33) % items.size()].get();
    const int priority = static_cast<int>((random >> 50) % 5);
    if ((random >> 60) < 7) {
      if (model.try_emplace(item, priority, order).second) ++order;
      set.add(item, priority);
    } else if ((random >> 60) < 14) {
      EXPECT_EQ(set.remove(item), model.erase(item) == 1);
    } else if (Item* popped = set.pop()) {
      for (const auto& [other, place] : model) ASSERT_LE(model[popped], place);
      model.erase(popped);
    }
    ASSERT_EQ(set.size(), model.size());
    ASSERT_EQ(set.contains(item), model.count(item) == 1);
    std::map<std::pair<int, std::uint64_t>, Item*> by_place;
    for (const auto& [other, place] : model) by_place[place] = other;
    std::vector<Item*> expected;
    for (const auto& [place, other] : by_place) expected.push_back(other);
    ASSERT_EQ(set.sorted(), expected);
  }
}

TEST(HeapSet, gives_a_long_ascending_row_and_what_comes_between_in_order) {
  std::vector<Item> items;
  for (std::uint64_t i = 0; i < 3000; ++i) items.push_back(Item{i});
  HeapSet<Item, int> set;
  for (std::size_t i = 0; i < 1000; ++i) set.add(&items[i], static_cast<int>(i));
  for (std::size_t i = 0; i < 500; ++i) EXPECT_EQ(set.pop(), &items[i]);
  // Descending, each between two of those that are left; then an ascending row again.
  for (std::size_t i = 999; i >= 500; --i) set.add(&items[1000 + i], static_cast<int>(i));
  for (std::size_t i = 2000; i < 3000; ++i) set.add(&items[i], static_cast<int>(i));
  for (std::size_t i = 500; i < 1000; ++i) {
    EXPECT_EQ(set.peek_priority(), static_cast<int>(i));
    EXPECT_EQ(set.pop(), &items[i]);
    EXPECT_EQ(set.pop(), &items[1000 + i]);
  }
  for (std::size_t i = 2000; i < 3000; ++i) EXPECT_EQ(set.pop(), &items[i]);
  EXPECT_EQ(set.pop(), nullptr);
  EXPECT_TRUE(set.empty());
}

}  // namespace
}  // namespace dask::worker
