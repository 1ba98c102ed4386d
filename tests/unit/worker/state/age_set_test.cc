// AgeSet against std::set, small and large, and the iterators of both forms.
#include "worker/state/age_set.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

namespace dask::worker {
namespace {

struct Item {
  std::uint64_t seq = 0;
};
using Items = std::vector<Item*>;

Items all_of(const AgeSet<Item>& set) { return Items(set.begin(), set.end()); }

TEST(AgeSet, keeps_few_in_the_order_of_their_age) {
  Item a{1}, b{2};
  AgeSet<Item> set;
  EXPECT_TRUE(set.empty());
  EXPECT_TRUE(set.begin() == set.end());
  EXPECT_TRUE(set.insert(&b));
  EXPECT_TRUE(set.insert(&a));
  EXPECT_FALSE(set.insert(&a));
  EXPECT_FALSE(set.insert(&b));
  EXPECT_EQ(all_of(set), (Items{&a, &b}));
  EXPECT_EQ(set.erase(&a), 1u);
  EXPECT_EQ(set.erase(&a), 0u);
  EXPECT_EQ(all_of(set), (Items{&b}));
  EXPECT_EQ(set.size(), 1u);
}

TEST(AgeSet, keeps_many_in_the_order_of_their_age_and_can_be_emptied_and_filled_again) {
  std::vector<Item> items;
  for (std::uint64_t i = 0; i < 9; ++i) items.push_back(Item{i});
  AgeSet<Item> set;
  for (const std::size_t i : {4, 8, 1, 0, 7, 3, 2, 6, 5}) EXPECT_TRUE(set.insert(&items[i]));
  Items expected;
  for (Item& item : items) expected.push_back(&item);
  EXPECT_EQ(all_of(set), expected);
  for (Item& item : items) EXPECT_EQ(set.erase(&item), 1u);
  EXPECT_TRUE(set.empty());
  EXPECT_EQ(set.size(), 0u);
  EXPECT_TRUE(set.insert(&items[3]));
  EXPECT_EQ(all_of(set), (Items{&items[3]}));
  set.clear();
  EXPECT_TRUE(set.empty());
}

TEST(AgeSet, agrees_with_a_map_whatever_is_done) {
  std::vector<Item> items;
  for (std::uint64_t i = 0; i < 6; ++i) items.push_back(Item{i});
  AgeSet<Item> set;
  std::map<std::uint64_t, Item*> model;
  std::uint64_t random = 1;
  for (int step = 0; step < 20'000; ++step) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    Item* item = &items[(random >> 33) % items.size()];
    const std::uint64_t choice = random >> 57;
    if (choice == 0) {
      set.clear();
      model.clear();
    } else if (choice < 64) {
      ASSERT_EQ(set.insert(item), model.try_emplace(item->seq, item).second);
    } else {
      ASSERT_EQ(set.erase(item), model.erase(item->seq));
    }
    Items expected;
    for (const auto& [seq, member] : model) expected.push_back(member);
    ASSERT_EQ(all_of(set), expected);
    ASSERT_EQ(set.size(), model.size());
    ASSERT_EQ(set.empty(), model.empty());
    for (const Item& other : items) ASSERT_EQ(set.count(&other), model.count(other.seq));
  }
}

}  // namespace
}  // namespace dask::worker
