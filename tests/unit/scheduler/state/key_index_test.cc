// The index against a map, with seeds: the same questions must have the same answers.
#include "scheduler/state/key_index.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "core/base/key.h"

namespace dask::scheduler {
namespace {

class KeyIndexTest : public testing::Test {
 protected:
  std::uint32_t find(const Key& key) const {
    return index_.find(
        key.msgpack(), Key::hash(key.msgpack()), [this](std::uint32_t slot) { return keys_[slot].msgpack(); }, &Key::equal);
  }
  std::uint32_t insert(const Key& key) {
    keys_.push_back(key);
    const auto slot = static_cast<std::uint32_t>(keys_.size() - 1);
    index_.insert(Key::hash(key.msgpack()), slot);
    return slot;
  }
  std::vector<Key> keys_;
  KeyIndex index_;
};

TEST_F(KeyIndexTest, FindsWhatWasInsertedAndNothingElse) {
  EXPECT_EQ(find(Key::from_string("x")), KeyIndex::kNone);
  const std::uint32_t x = insert(Key::from_string("x"));
  EXPECT_EQ(find(Key::from_string("x")), x);
  EXPECT_EQ(find(Key::from_string("y")), KeyIndex::kNone);
  EXPECT_EQ(index_.size(), 1u);
}

TEST_F(KeyIndexTest, EqualKeysOfDifferentSpellingAreOneKey) {
  const std::uint32_t one = insert(*Key::from_value(Value(1)));
  EXPECT_EQ(find(*Key::from_value(Value(1.0))), one);
  EXPECT_EQ(find(*Key::from_value(Value(2))), KeyIndex::kNone);
  EXPECT_EQ(find(Key::from_string("1")), KeyIndex::kNone);
}

TEST_F(KeyIndexTest, AgreesWithAMapThroughManyInsertionsAndErasures) {
  for (std::uint32_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    KeyIndex index;
    std::map<std::string, std::uint32_t> model;
    std::vector<std::string> names;
    const auto name_of = [&](std::uint32_t slot) { return std::string_view(names[slot]); };
    for (int step = 0; step < 5000; ++step) {
      const std::string name = std::string(Key::from_string(fmt::format("k{}", random() % 300)).msgpack());
      const std::size_t hash = Key::hash(name);
      const std::uint32_t found = index.find(name, hash, name_of, &Key::equal);
      const auto it = model.find(name);
      ASSERT_EQ(found, it == model.end() ? KeyIndex::kNone : it->second);
      // Phases of growth and of decline, so that marks of erased entries pile up.
      const bool grow = step / 1000 % 2 == 0 ? random() % 4 != 0 : random() % 4 == 0;
      if (it == model.end() && grow) {
        names.push_back(name);
        const auto slot = static_cast<std::uint32_t>(names.size() - 1);
        index.insert(hash, slot);
        model.emplace(name, slot);
      } else if (it != model.end() && !grow) {
        index.erase(hash, it->second);
        model.erase(it);
      }
      ASSERT_EQ(index.size(), model.size());
    }
    for (const auto& [name, slot] : model) ASSERT_EQ(index.find(name, Key::hash(name), name_of, &Key::equal), slot);
  }
}

}  // namespace
}  // namespace dask::scheduler
