// What pods, Deployments and Services say, in the forms that kubelets and controllers write.
#include "operator/api/children.h"

#include <gtest/gtest.h>

namespace dask::kube {
namespace {

Pod pod(std::string_view status) {
  auto parsed = parse_json(R"({"metadata": {"name": "p"}, "status": )" + std::string(status) + "}");
  EXPECT_TRUE(parsed) << status;
  return *parse_pod(*parsed);
}

TEST(Pod, that_waits_for_its_image_says_why) {
  const Pod p = pod(R"({"phase": "Pending", "containerStatuses": [{"name": "c", "ready": false, "restartCount": 0,
      "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\""}}}]})");
  EXPECT_EQ(p.trouble, "ImagePullBackOff");
  EXPECT_EQ(p.trouble_message, "container c: Back-off pulling image \"x\"");
  EXPECT_FALSE(p.started);
}

TEST(Pod, that_is_being_made_is_no_trouble) {
  EXPECT_EQ(pod(R"({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]})").trouble, "");
  EXPECT_EQ(pod(R"({"phase": "Pending"})").trouble, "");
}

TEST(Pod, that_crashes_tells_how_it_ended) {
  const Pod p = pod(R"({"phase": "Running", "containerStatuses": [{"name": "c", "restartCount": 4,
      "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s"}},
      "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}}}]})");
  EXPECT_EQ(p.trouble, "CrashLoopBackOff");
  EXPECT_EQ(p.trouble_message, "container c: exit code 3");
  EXPECT_TRUE(p.started);
  EXPECT_EQ(p.restarts, 4);
}

TEST(Pod, that_needs_too_much_memory_is_out_of_memory_and_not_just_crashing) {
  EXPECT_EQ(pod(R"({"containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}},
      "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]})")
                .trouble,
            "OOMKilled");
  EXPECT_EQ(pod(R"({"containerStatuses": [{"ready": false, "state": {"running": {}},
      "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]})")
                .trouble,
            "OOMKilled");
}

TEST(Pod, that_fits_nowhere_is_unschedulable) {
  const Pod p = pod(R"({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
      "message": "0/1 nodes are available"}]})");
  EXPECT_EQ(p.trouble, "Unschedulable");
  EXPECT_EQ(p.trouble_message, "0/1 nodes are available");
}

TEST(Pod, that_was_evicted_says_so) {
  const Pod p = pod(R"({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."})");
  EXPECT_EQ(p.trouble, "Evicted");
  EXPECT_TRUE(p.ended());
}

TEST(Pod, that_is_ready_has_no_trouble) {
  const Pod p = pod(R"({"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}],
      "containerStatuses": [{"ready": true, "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}]})");
  EXPECT_TRUE(p.ready && p.started);
  EXPECT_EQ(p.trouble, "");
  EXPECT_EQ(p.ip, "10.0.0.1");
}

TEST(Pod, belongs_to_the_deployment_of_its_replica_set) {
  auto object = parse_json(R"({"metadata": {"name": "a-default-worker-0123456789-7d9f-x2", "ownerReferences": [
      {"kind": "ReplicaSet", "name": "a-default-worker-0123456789-7d9f", "uid": "u", "controller": true}]}})");
  EXPECT_EQ(parse_pod(*object)->workload(), "a-default-worker-0123456789");
  object =
      parse_json(R"({"metadata": {"name": "bare", "ownerReferences": [{"kind": "DaskWorkerGroup", "name": "g", "controller": true}]}})");
  EXPECT_EQ(parse_pod(*object)->workload(), "bare");
  EXPECT_EQ(pod("{}").workload(), "");
}

TEST(Deployment, is_ready_only_when_its_controller_has_seen_the_newest_spec) {
  Deployment d;
  d.meta.generation = 2;
  d.ready_replicas = 1;
  d.observed_generation = 1;
  EXPECT_FALSE(d.ready());
  d.observed_generation = 2;
  EXPECT_TRUE(d.ready());
}

TEST(Deployment, tells_that_a_quota_forbids_its_pods) {
  const auto d = parse_deployment(*parse_json(R"({"metadata": {"name": "d"}, "status": {"conditions": [
      {"type": "Progressing", "status": "True"},
      {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: q"}]}})"));
  EXPECT_EQ(d->failure_reason, "FailedCreate");
  EXPECT_EQ(d->failure_message, "exceeded quota: q");
}

TEST(Service, gives_ports_by_name_and_the_address_of_its_load_balancer) {
  const auto s = parse_service(*parse_json(R"({"metadata": {"name": "s"}, "spec": {"type": "LoadBalancer", "clusterIP": "10.1.1.1",
      "ports": [{"name": "tcp-comm", "port": 9000}]}, "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example"}]}}})"));
  EXPECT_EQ(s->port("tcp-comm", 8786), 9000);
  EXPECT_EQ(s->port("http-dashboard", 8787), 8787);
  EXPECT_EQ(s->ingress, "lb.example");
}

}  // namespace
}  // namespace dask::kube
