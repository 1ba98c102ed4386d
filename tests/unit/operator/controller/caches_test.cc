// What the caches say of a change: that somebody wants something, which is planned at once, or that something gets on, which may wait.
#include "operator/controller/caches.h"

#include <gmock/gmock.h>

#include "core/base/json.h"
#include "operator/kube/client.h"
#include "tests/unit/operator/kube/fake_api.h"

namespace dask::kube::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Told = std::pair<std::string, Change>;
const std::string kDemo = "DaskCluster/ns/demo";

struct CachesTest : testing::Test {
  void SetUp() override {
    client = client_of(api, loop, clock);
    caches = std::make_unique<Caches>(
        loop, clock, *client, std::vector<std::string>{"ns"},
        [this](const std::string& key, Change change) { told.emplace_back(key, change); }, [] {});
  }
  // What was told of an object of this version, whose metadata and everything else are given as JSON.
  std::vector<Told> wrote(Kind kind, const std::string& name, int version, const std::string& metadata, const std::string& rest = "{}") {
    told.clear();
    Value object = parse_json(rest).value();
    Value meta = parse_json(metadata).value();
    meta.set("name", name);
    meta.set("namespace", "ns");
    meta.set("uid", "u-" + name);
    meta.set("resourceVersion", std::to_string(version));
    object.set("metadata", std::move(meta));
    caches->wrote(kind, object);
    return told;
  }

  net::Loop loop;
  SystemClock clock;
  FakeApi api{loop};
  std::unique_ptr<KubeClient> client;
  std::unique_ptr<Caches> caches;
  std::vector<Told> told;
};

TEST_F(CachesTest, a_new_or_changed_or_leaving_cluster_is_a_wish_and_its_status_is_not) {
  const Told wish{kDemo, Change::kWish}, progress{kDemo, Change::kProgress};
  EXPECT_THAT(wrote(Kind::kDaskCluster, "demo", 1, R"({"generation":1})"), ElementsAre(wish));
  EXPECT_THAT(wrote(Kind::kDaskCluster, "demo", 2, R"({"generation":1})", R"({"status":{"phase":"Running"}})"), ElementsAre(progress));
  EXPECT_THAT(wrote(Kind::kDaskCluster, "demo", 3, R"({"generation":2})"), ElementsAre(wish));
  EXPECT_THAT(wrote(Kind::kDaskCluster, "demo", 4, R"({"generation":2,"annotations":{"a":"b"}})"), ElementsAre(wish));
  EXPECT_THAT(wrote(Kind::kDaskCluster, "demo", 5, R"({"generation":2,"labels":{"a":"b"}})"), ElementsAre(wish));
  EXPECT_THAT(wrote(Kind::kDaskCluster, "demo", 6, R"({"generation":2,"labels":{"a":"b"},"deletionTimestamp":"2026-01-01T00:00:00Z"})"),
              ElementsAre(wish));
  EXPECT_THAT(wrote(Kind::kDaskCluster, "demo", 6, R"({"generation":9})"), IsEmpty()) << "nothing new";
}

TEST_F(CachesTest, a_group_that_changes_hands_is_a_wish_to_both_clusters) {
  EXPECT_THAT(wrote(Kind::kDaskWorkerGroup, "group", 1, R"({"generation":1})", R"({"spec":{"cluster":"demo"}})"),
              ElementsAre(Told(kDemo, Change::kWish)));
  EXPECT_THAT(wrote(Kind::kDaskWorkerGroup, "group", 2, R"({"generation":2})", R"({"spec":{"cluster":"other"}})"),
              ElementsAre(Told("DaskCluster/ns/other", Change::kWish), Told(kDemo, Change::kWish)));
}

TEST_F(CachesTest, what_a_cluster_is_made_of_only_gets_on) {
  const std::string labels = R"({"labels":{"dask.org/cluster-name":"demo"}})";
  for (const Kind kind : {Kind::kDeployment, Kind::kService, Kind::kPod})
    EXPECT_THAT(wrote(kind, "demo-scheduler", 1, labels), ElementsAre(Told(kDemo, Change::kProgress))) << name_of(kind);
  told.clear();
  caches->deleted({Kind::kPod, "ns", "demo-scheduler", "u-demo-scheduler"});
  EXPECT_THAT(told, ElementsAre(Told(kDemo, Change::kProgress)));
}

}  // namespace
}  // namespace dask::kube::test
