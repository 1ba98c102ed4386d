// The custom resources: what is read, what is kept, what is said about specs that cannot be used.
#include "operator/api/dask.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dask::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

DaskCluster cluster(std::string_view spec) {
  auto object = parse_json(R"({"metadata": {"name": "c"}, "spec": )" + std::string(spec) + "}");
  EXPECT_TRUE(object) << spec;
  return *parse_dask_cluster(*object);
}

constexpr std::string_view kGood =
    R"({"scheduler": {"spec": {"containers": [{"name": "s"}]}, "service": {}}, "worker": {"spec": {"containers": [{"name": "w"}]}}})";

TEST(DaskCluster, has_the_defaults_of_its_schema) {
  const DaskCluster c = cluster(kGood);
  EXPECT_THAT(c.problems, IsEmpty());
  EXPECT_EQ(c.worker.replicas, 1);
  EXPECT_EQ(c.idle_timeout_ms, 0);
  EXPECT_EQ(c.workload, WorkerWorkload::kDeployment);
  EXPECT_EQ(c.drain, DrainPolicy{});
}

TEST(DaskCluster, keeps_a_pod_spec_as_it_came) {
  const DaskCluster c = cluster(
      R"({"scheduler": {"spec": {"containers": [{"name": "s"}], "resourceClaims": [{"name": "gpu"}], "x": 1.5}, "service": {}},
          "worker": {"spec": {"containers": [{"name": "w"}]}}})");
  EXPECT_EQ(to_json(c.scheduler.spec), R"({"containers":[{"name":"s"}],"resourceClaims":[{"name":"gpu"}],"x":1.5})");
}

TEST(DaskCluster, names_what_is_missing_and_what_to_give) {
  EXPECT_THAT(cluster("{}").problems, testing::Contains(HasSubstr("spec.scheduler.spec is missing")));
  EXPECT_THAT(cluster(R"({"scheduler": {"spec": {"containers": []}, "service": {}}, "worker": {"spec": {"containers": [3]}}})").problems,
              ElementsAre(HasSubstr("spec.scheduler.spec.containers is missing or empty"), HasSubstr("spec.worker.spec.containers[0]")));
  EXPECT_THAT(cluster(R"({"workerWorkload": "StatefulSet", "drain": {"onTimeout": 1}})").problems,
              testing::IsSupersetOf({HasSubstr("it can be Deployment or Pod"), HasSubstr("it can be Keep or Delete")}));
}

TEST(DaskCluster, of_wrong_types_is_a_value_with_problems) {
  for (const char* spec :
       {"[]", "3", R"({"scheduler": "x", "worker": []})", R"({"worker": {"replicas": "many", "spec": 1}, "idleTimeout": {}})",
        R"({"idleTimeout": 1e300, "worker": {"replicas": -5}})"}) {
    const DaskCluster c = cluster(spec);
    EXPECT_THAT(c.problems, Not(IsEmpty())) << spec;
    EXPECT_GE(c.worker.replicas, 0) << spec;
    EXPECT_GE(c.idle_timeout_ms, 0) << spec;
  }
}

TEST(DaskWorkerGroup, needs_the_name_of_a_cluster) {
  const auto group =
      parse_dask_worker_group(*parse_json(R"({"metadata": {"name": "g"}, "spec": {"worker": {"spec": {"containers": [{}]}}}})"));
  EXPECT_THAT(group->problems, ElementsAre(HasSubstr("spec.cluster is missing")));
}

TEST(Status, is_what_it_was_after_writing_and_reading) {
  DaskClusterStatus status{
      "Running", 4, 3, 2, "a=b", "tcp://x:1", "http://x:2", {3, 2, 1, 0}, {{"Ready", false, "Starting", "m", 4, 9000}}};
  Value object = *parse_json(R"({"metadata": {"name": "c"}})");
  object.set("status", render(status));
  EXPECT_EQ(parse_dask_cluster(object)->status, status);
  DaskWorkerGroupStatus group{4, 3, 2, "a=b", "0-3", {3, 2, 1, 1}, {{"Degraded", true, "X", "m", 4, 9000}}};
  object.set("status", render(group));
  EXPECT_EQ(parse_dask_worker_group(object)->status, group);
}

TEST(Status, that_is_empty_takes_fields_away_when_it_is_patched) {
  Value before = render(DaskWorkerGroupStatus{1, 1, 1, "s", "0-1", {}, {}});
  merge_patch(before, render(DaskWorkerGroupStatus{}));
  EXPECT_EQ(before.find("retiredOrdinals"), nullptr);
  EXPECT_EQ(before.find("selector"), nullptr);
}

}  // namespace
}  // namespace dask::kube
