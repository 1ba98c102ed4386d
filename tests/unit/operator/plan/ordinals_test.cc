// Sets of ordinals as text.
#include "operator/plan/ordinals.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/sim/random.h"

namespace dask::kube {
namespace {

TEST(Ordinals, that_touch_become_one_range) {
  Ordinals ordinals;
  for (const int i : {3, 1, 7, 2, 8, 0}) ordinals.insert(i);
  EXPECT_EQ(ordinals.str(), "0-3,7-8");
  ordinals.insert(5);
  ordinals.insert(6);
  ordinals.insert(4);
  EXPECT_EQ(ordinals.str(), "0-8");
}

TEST(Ordinals, that_nobody_can_read_are_left_out) {
  EXPECT_EQ(Ordinals::parse("0-3,x,,-2,9-7,12,13,99999999999999999999,5-").str(), "0-3,12-13");
  EXPECT_EQ(Ordinals::parse("").str(), "");
  EXPECT_EQ(Ordinals::parse("5-9,0-6,8-20").str(), "0-20");
}

TEST(Ordinals, are_the_set_that_was_put_in) {
  sim::Random random(7);
  for (int round = 0; round < 50; ++round) {
    std::set<std::int64_t> reference;
    Ordinals ordinals;
    for (int i = 0; i < 60; ++i) {
      const auto ordinal = static_cast<std::int64_t>(random.below(40));
      reference.insert(ordinal);
      ordinals.insert(ordinal);
    }
    const Ordinals again = Ordinals::parse(ordinals.str());
    for (std::int64_t i = 0; i < 41; ++i) EXPECT_EQ(again.contains(i), reference.contains(i)) << ordinals.str() << " " << i;
  }
}

}  // namespace
}  // namespace dask::kube
