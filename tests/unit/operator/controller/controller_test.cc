// The controller's queue and timer, on an API server that takes its time.
#include "operator/controller/controller.h"

#include <gtest/gtest.h>

#include "tests/unit/operator/kube/fake_api.h"

namespace dask::kube::test {
namespace {

// Counts how often somebody looks at it: a loop that spins looks again and again.
struct WatchedClock final : Clock {
  double wall() const override { return real.wall(); }
  double monotonic() const override {
    ++looks;
    return real.monotonic();
  }
  SystemClock real;
  mutable int looks = 0;
};

std::string cluster_json(const std::string& name) {
  return fmt::format(
      R"({{"apiVersion":"kubernetes.dask.org/v1","kind":"DaskCluster","metadata":{{"name":"{0}","namespace":"ns","uid":"u-{0}",)"
      R"("resourceVersion":"1","generation":1}},"spec":{{"worker":{{"replicas":1,"spec":{{"containers":[{{"name":"worker"}}]}}}},)"
      R"("scheduler":{{"spec":{{"containers":[{{"name":"scheduler"}}]}},"service":{{}}}}}}}})",
      name);
}

TEST(Controller, sleeps_while_as_many_clusters_are_worked_on_as_may_be) {
  net::Loop loop;
  WatchedClock clock;
  Metrics metrics;
  FakeApi api(loop);
  std::vector<ExchangePtr> held;
  ExchangePtr deployments;
  bool hold = true;
  api.handler = [&](const FakeRequest& request, const ExchangePtr& exchange) {
    if (request.method != "GET") return hold ? held.push_back(exchange) : exchange->answer(422, "{}");
    if (request.has("watch=")) {
      if (request.has("/deployments?")) deployments = exchange;
      return exchange->begin_stream();
    }
    const std::string items = request.has("/daskclusters?") ? cluster_json("one") + "," + cluster_json("two") : "";
    exchange->answer(200, fmt::format(R"({{"metadata":{{"resourceVersion":"1"}},"items":[{}]}})", items));
  };
  const auto client = client_of(api, loop, clock, &metrics);
  OperatorOptions options;
  options.namespaces = {"ns"};
  options.reconciles_max = 1;
  Controller controller(loop, clock, *client, options, metrics, "me");
  controller.start();
  controller.lead();
  ASSERT_TRUE(run_until(loop, [&] { return !held.empty() && deployments; }));
  // What gets on is looked at a little later; when that time comes, nothing may be begun, and the loop has nothing to do.
  deployments->event("ADDED", R"({"metadata":{"name":"d","namespace":"ns","uid":"u","resourceVersion":"2",)"
                              R"("labels":{"dask.org/cluster-name":"three"}}})");
  const auto settled = [&](double since) { return clock.real.monotonic() - since > 2 * kSettleMostSeconds; };
  ASSERT_TRUE(run_until(loop, [&, since = clock.real.monotonic()] { return settled(since); }));
  const int before = clock.looks;
  const std::size_t begun = held.size();
  int turns = 0;
  ASSERT_TRUE(run_until(loop, [&] { return ++turns > 100; }));
  EXPECT_LT(clock.looks - before, 100);
  EXPECT_EQ(held.size(), begun);
  // It is begun once the first has ended.
  hold = false;
  for (const ExchangePtr& one : std::exchange(held, {})) one->answer(422, "{}");
  ASSERT_TRUE(run_until(loop, [&] {
    for (const FakeRequest& request : api.requests)
      if (request.method != "GET" && request.has("two")) return true;
    return false;
  }));
}

}  // namespace
}  // namespace dask::kube::test
