// Profiles of several workers as one: counts add up by place, series by interval.
#include "scheduler/extensions/profiles.h"

#include <gtest/gtest.h>

namespace dask::scheduler {
namespace {

Value call(std::string_view name, int count, Value::Map children = {}) {
  return Value(Value::Map{
      {"count", count}, {"identifier", name}, {"description", "of " + std::string(name)}, {"children", Value(std::move(children))}});
}

TEST(Profiles, counts_add_up_by_place) {
  const Value a = call("root", 3, {{"f", call("f", 3, {{"g", call("g", 1)}})}});
  const Value b = call("root", 5, {{"f", call("f", 2)}, {"h", call("h", 3)}});
  const Value merged = merge_profiles({a, b});
  EXPECT_EQ(merged["count"], Value(8));
  EXPECT_EQ(merged["children"]["f"]["count"], Value(5));
  EXPECT_EQ(merged["children"]["f"]["children"]["g"]["count"], Value(1));
  EXPECT_EQ(merged["children"]["h"]["description"], Value("of h"));
}

TEST(Profiles, nothing_and_nonsense_merge_to_the_profile_of_nothing) {
  EXPECT_EQ(merge_profiles({}), empty_profile());
  EXPECT_EQ(merge_profiles({Value("error"), Value::map()}), empty_profile());
  EXPECT_EQ(merge_profiles({empty_profile(), call("root", 1)})["count"], Value(1));
}

TEST(Profiles, a_profile_that_is_too_deep_is_cut) {
  Value deep = call("leaf", 1);
  for (int i = 0; i < 2 * kProfileDepthMax; ++i) deep = call("f", 1, {{"f", std::move(deep)}});
  const Value merged = merge_profiles({deep, deep});
  const Value* at = &merged;
  int depth = 0;
  while ((*at)["children"].size() > 0) {
    at = &(*at)["children"].map_if()->front().second;
    ++depth;
  }
  EXPECT_EQ(depth, kProfileDepthMax);
  EXPECT_EQ((*at)["count"], Value(2));
}

TEST(Profiles, series_add_up_by_interval) {
  const auto at = [](double t, Value n) { return Value(Value::Array{t, std::move(n)}); };
  const Value a(Value::Map{{"counts", Value(Value::Array{at(10.1, 1), at(11.2, 2)})},
                           {"keys", Value(Value::Array{at(10.1, Value(Value::Map{{"inc", 1}}))})}});
  const Value b(Value::Map{{"counts", Value(Value::Array{at(10.9, 4)})},
                           {"keys", Value(Value::Array{at(11.0, Value(Value::Map{{"dec", 2}, {"inc", 5}}))})}});
  const Value merged = merge_profile_metadata({a, b, Value()}, 1);
  EXPECT_EQ(merged["counts"].repr(), "((10.0, 5), (11.0, 2))");
  EXPECT_EQ(merged["keys"].repr(), "{'inc': ((10.0, 1), (11.0, 5)), 'dec': ((10.0, 0), (11.0, 2))}");
}

}  // namespace
}  // namespace dask::scheduler
