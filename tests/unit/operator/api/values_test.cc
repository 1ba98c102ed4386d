// Times, paths, hashes and JSON trees of the operator's values.
#include <gtest/gtest.h>

#include "operator/api/meta.h"

namespace dask::kube {
namespace {

Value json(std::string_view text) {
  auto parsed = parse_json(text);
  EXPECT_TRUE(parsed) << text;
  return parsed.value_or(Value());
}

TEST(Time, is_written_as_kubernetes_writes_it_and_read_back) {
  EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339(1'709'210'096'789), "2024-02-29T12:34:56Z");
  EXPECT_EQ(rfc3339(-1), "1969-12-31T23:59:59Z");
  for (const TimeMs when : {0LL, 951'782'400'000LL, 1'709'210'096'000LL, 4'102'444'799'000LL})
    EXPECT_EQ(parse_rfc3339(rfc3339(when)), when);
}

TEST(Time, is_read_with_fractions_and_offsets) {
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:01.25Z"), 1250);
  EXPECT_EQ(parse_rfc3339("1970-01-01T02:00:00+02:00"), 0);
  EXPECT_EQ(parse_rfc3339("1969-12-31t23:30:00-00:30"), 0);
}

TEST(Time, that_is_none_is_nothing) {
  for (const char* text : {"", "now", "2024-13-01T00:00:00Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00Zx", "2024-01-01 00:00:00Z",
                           "2024-01-01T25:00:00Z", "2024-01-01T00:00:00.Z", "2024-01-01T00:00:00+2"})
    EXPECT_FALSE(parse_rfc3339(text)) << text;
}

TEST(Path, leads_to_an_object_or_to_a_collection) {
  EXPECT_EQ(path_of(Kind::kPod, "ns", "p"), "/api/v1/namespaces/ns/pods/p");
  EXPECT_EQ(path_of(Kind::kDeployment, ""), "/apis/apps/v1/deployments");
  EXPECT_EQ(path_of(Kind::kDaskCluster, "ns"), "/apis/kubernetes.dask.org/v1/namespaces/ns/daskclusters");
  for (const Kind kind : kKinds) EXPECT_EQ(kind_named(api_version_of(kind), name_of(kind)), kind);
  EXPECT_FALSE(kind_named("v1", "Deployment"));
}

TEST(Hash, never_changes_as_names_of_running_workers_are_made_of_it) {
  EXPECT_EQ(hex_of(stable_hash("uid/0"), 10), "371c82dd76");
  EXPECT_NE(stable_hash("uid/1"), stable_hash("uid/0"));
  EXPECT_EQ(hex_of(0, 10), "0000000000");
}

TEST(MergePatch, does_what_rfc_7396_says) {
  Value target = json(R"({"a": {"b": 1, "c": 2}, "d": [1, 2], "e": "x"})");
  merge_patch(target, json(R"({"a": {"b": null, "f": {"g": null, "h": 1}}, "d": [3], "e": {"i": 1}})"));
  EXPECT_EQ(to_json(target), R"({"a":{"c":2,"f":{"h":1}},"d":[3],"e":{"i":1}})");
  merge_patch(target, json("7"));
  EXPECT_EQ(to_json(target), "7");
}

TEST(Nulls, go_from_maps_at_any_depth) {
  EXPECT_EQ(to_json(without_nulls(json(R"({"a": null, "b": [{"c": null}, 1], "d": {"e": null}})"))), R"({"b":[{},1],"d":{}})");
}

TEST(Meta, needs_a_name_and_nothing_else) {
  EXPECT_FALSE(parse_meta(json("{}")));
  EXPECT_FALSE(parse_meta(json(R"({"metadata": {"name": 3}})")));
  EXPECT_FALSE(parse_meta(json("[]")));
  const auto meta = parse_meta(json(R"({"metadata": {"name": "x", "labels": 3, "annotations": {"a": 1, "b": "c"}, "ownerReferences": [4],
                                       "finalizers": "f", "generation": "g", "deletionTimestamp": 7}})"));
  ASSERT_TRUE(meta);
  EXPECT_TRUE(meta->labels.empty());
  EXPECT_EQ(meta->annotations, (Labels{{"b", "c"}}));
  EXPECT_FALSE(meta->deleting());
  EXPECT_EQ(meta->controller(), nullptr);
}

TEST(Conditions, are_what_they_were_after_writing_and_reading) {
  const std::vector<Condition> conditions{{"Ready", true, "Ready", "fine", 3, 5000}, {"Degraded", false, "AsExpected", "", 3, 7000}};
  EXPECT_EQ(parse_conditions(Value(Value::Map{{"conditions", render(conditions)}})), conditions);
}

}  // namespace
}  // namespace dask::kube
