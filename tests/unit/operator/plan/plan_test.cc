// What holds for every plan: the same call gives the same actions, in stages, and whatever objects look like, none of it ends in a crash.
#include "operator/plan/plan.h"

#include <gtest/gtest.h>

#include "tests/operator_model/cluster.h"
#include "tests/sim/random.h"

namespace dask::kube {
namespace {

using namespace operator_model;

std::string text(const Actions& actions) {
  std::string all;
  for (const Action& action : actions) {
    all += std::to_string(action.stage) + " " + std::to_string(action.what.index()) + " ";
    std::visit(
        [&](const auto& a) {
          if constexpr (requires { a.body; }) all += to_json(a.body);
          if constexpr (requires { a.object; }) all += a.object.name;
          if constexpr (requires { a.message; }) all += a.message;
        },
        action.what);
    all += "\n";
  }
  return all;
}

// A server with a cluster in full swing, one group of it made by hand.
ApiServer busy_server() {
  ApiServer api("ns");
  Wish wish;
  wish.name = "demo";
  wish.replicas = 3;
  api.create(Kind::kDaskCluster, cluster_object(wish));
  wish.name = "extra";
  api.create(Kind::kDaskWorkerGroup, group_object(wish, "demo"));
  for (int round = 0; round < 4; ++round) {
    for (const Action& action : plan_cluster(observe(api.objects(), "ns", "demo"), {}, api.now_ms)) api.carry_out(action);
    for (const ObjectKey& key : api.keys(Kind::kDeployment)) {
      start_pod(api, make_pod(api, key.second));
      sync_deployment(api, key.second);
    }
  }
  return api;
}

TEST(Plan, is_the_same_for_the_same_question) {
  const ApiServer api = busy_server();
  Observed observed = observe(api.objects(), "ns", "demo");
  observed.scheduler.polled_ms = api.now_ms;
  EXPECT_EQ(text(plan_cluster(observed, {}, api.now_ms)), text(plan_cluster(observed, {}, api.now_ms)));
}

TEST(Plan, wants_nothing_when_all_is_as_wanted) {
  const ApiServer api = busy_server();
  EXPECT_EQ(text(plan_cluster(observe(api.objects(), "ns", "demo"), {}, api.now_ms)), "");
}

TEST(Plan, goes_from_stage_to_stage) {
  ApiServer api("ns");
  api.create(Kind::kDaskCluster, cluster_object(Wish{"demo", 2}));
  int last = -1;
  for (const Action& action : plan_cluster(observe(api.objects(), "ns", "demo"), {}, api.now_ms)) {
    EXPECT_GE(action.stage, last);
    last = action.stage;
  }
  EXPECT_GE(last, 0);
}

TEST(Plan, makes_no_more_workers_at_a_time_than_its_limit) {
  ApiServer api("ns");
  api.create(Kind::kDaskCluster, cluster_object(Wish{"demo", 1000}));
  for (int round = 0; round < 2; ++round)
    for (const Action& action : plan_cluster(observe(api.objects(), "ns", "demo"), {}, api.now_ms)) api.carry_out(action);
  EXPECT_EQ(api.keys(Kind::kDeployment).size(), 1 + kWorkersPerPlanMax);
  bool again = false;
  for (const Action& action : plan_cluster(observe(api.objects(), "ns", "demo"), {}, api.now_ms))
    again |= std::holds_alternative<RequeueAfter>(action.what);
  EXPECT_TRUE(again);
}

// The cluster is scaled to 1 and, before the operator has seen that, its default group to 5: what the plan writes into the group counts.
TEST(Plan, makes_and_takes_no_workers_by_a_spec_that_it_rewrites) {
  ApiServer api = busy_server();
  const auto scale = [&](Kind kind, const char* name, int replicas) {
    Value body = Value::map();
    put(body, {"spec", "worker", "replicas"}, replicas);
    api.patch({kind, "ns", name, {}}, body);
  };
  const auto replicas = [&] { return at(*api.find(Kind::kDaskWorkerGroup, "demo-default"), {"spec", "worker", "replicas"}).as_int(); };
  const std::size_t workers = api.keys(Kind::kDeployment).size();
  for (const int group : {5, 0}) {
    scale(Kind::kDaskCluster, "demo", group == 5 ? 1 : 4);
    scale(Kind::kDaskWorkerGroup, "demo-default", group);
    for (const Action& action : plan_cluster(observe(api.objects(), "ns", "demo"), {}, api.now_ms)) api.carry_out(action);
    EXPECT_EQ(replicas(), group == 5 ? 1 : 4);
    EXPECT_EQ(api.keys(Kind::kDeployment).size(), workers);
  }
}

// An old version may miss ordinals that have been used up since.
TEST(Plan, makes_no_worker_by_an_old_version_of_its_group) {
  ApiServer api = busy_server();
  api.remove({Kind::kDeployment, "ns", api.keys(Kind::kDeployment).front().second, {}});
  const auto cache = api.objects();
  Value body = Value::map();
  put(body, {"status", "retiredOrdinals"}, "0-7");
  for (const char* group : {"demo-default", "extra"}) api.patch_status({Kind::kDaskWorkerGroup, "ns", group, {}}, body);
  const std::size_t deployments = api.keys(Kind::kDeployment).size();
  int refused = 0;
  for (const Action& action : plan_cluster(observe(cache, "ns", "demo"), {}, api.now_ms)) {
    if (refused > 0) break;
    refused += api.carry_out(action).code == 409;
  }
  EXPECT_EQ(refused, 1);
  EXPECT_EQ(api.keys(Kind::kDeployment).size(), deployments);
}

// Replaces some value somewhere by one of another type.
void damage(Value& value, sim::Random& random) {
  static const std::vector<Value> kOthers{Value(), Value(-1), Value("x"), Value(true), Value::map(), Value::array(), Value(1e300)};
  if (auto* map = std::get_if<Value::Map>(&value.variant()); map && !map->empty() && !random.chance(0.1))
    return damage((*map)[random.below(map->size())].second, random);
  if (auto* array = std::get_if<Value::Array>(&value.variant()); array && !array->empty() && !random.chance(0.1))
    return damage((*array)[random.below(array->size())], random);
  value = random.of(kOthers);
}

TEST(Plan, survives_objects_of_any_shape) {
  const ApiServer api = busy_server();
  sim::Random random(11);
  for (int round = 0; round < 2000; ++round) {
    auto cache = api.objects();
    for (int i = 0; i < 3; ++i) {
      auto it = cache.begin();
      std::advance(it, static_cast<std::ptrdiff_t>(random.below(cache.size())));
      damage(it->second, random);
    }
    plan_cluster(observe(cache, "ns", "demo"), {}, api.now_ms);
  }
}

TEST(WorkerName, follows_from_the_group_and_the_ordinal_alone) {
  EXPECT_EQ(worker_name("demo-default", "uid", 0), worker_name("demo-default", "uid", 0));
  EXPECT_NE(worker_name("demo-default", "uid", 0), worker_name("demo-default", "other", 0));
  EXPECT_EQ(worker_name("demo-default", "uid", 0).size(), std::string("demo-default-worker-").size() + 10);
}

}  // namespace
}  // namespace dask::kube
