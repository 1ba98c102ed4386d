// Actions as requests: what is sent, in which order, and what the answers do to the caches and to the rest of the plan.
#include "operator/controller/executor.h"

#include <gmock/gmock.h>

#include "operator/controller/schedulers.h"
#include "tests/unit/operator/kube/fake_api.h"

namespace dask::kube::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

ObjectRef deployment(const std::string& name, std::string uid = {}) { return {Kind::kDeployment, "ns", name, std::move(uid)}; }

std::string object_json(const std::string& name, int version) {
  return fmt::format(R"({{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"{0}","namespace":"ns","uid":"u-{0}",)"
                     R"("resourceVersion":"{1}","labels":{{"dask.org/cluster-name":"demo"}}}}}})",
                     name, version);
}

std::string refusal(const char* reason) { return fmt::format(R"({{"kind":"Status","reason":"{}","message":"why not"}})", reason); }

struct ExecutorTest : testing::Test {
  void SetUp() override {
    client = client_of(api, loop, clock, &metrics);
    events = std::make_unique<EventRecorder>(loop, clock, *client, "me", &metrics);
    schedulers = std::make_unique<Schedulers>(
        loop, clock, "tcp://127.0.0.1:1", [](const std::string&, const std::string&) {}, &metrics);
    caches = std::make_unique<Caches>(
        loop, clock, *client, std::vector<std::string>{"ns"}, [](const std::string&, Change) {}, [] {});
    executor = std::make_unique<Executor>(loop, *client, *caches, *events, *schedulers, "dask-operator");
    api.handler = [this](const FakeRequest& request, const ExchangePtr& exchange) {
      for (const auto& [part, answer] : answers)
        if (request.has(part)) return exchange->answer(answer.first, answer.second);
      exchange->answer(200, object_json("x", 1));
    };
  }
  Outcome run(Actions actions) {
    std::optional<Outcome> got;
    executor->run(std::move(actions), {Kind::kDaskCluster, "ns", "demo", "u"}, [&](Outcome outcome) { got = std::move(outcome); });
    EXPECT_TRUE(run_until(loop, [&] { return got.has_value(); }));
    return got ? *std::move(got) : Outcome{};
  }
  std::vector<std::string> sent() const {
    std::vector<std::string> all;
    for (const FakeRequest& request : api.requests)
      all.push_back(request.method + " " + request.target.substr(request.target.rfind('/') + 1));
    return all;
  }
  std::size_t cached() { return caches->objects(Kind::kDeployment); }

  net::Loop loop;
  SystemClock clock;
  Metrics metrics;
  FakeApi api{loop};
  std::map<std::string, std::pair<int, std::string>> answers;  // by a part of the path
  std::unique_ptr<KubeClient> client;
  std::unique_ptr<EventRecorder> events;
  std::unique_ptr<Schedulers> schedulers;
  std::unique_ptr<Caches> caches;
  std::unique_ptr<Executor> executor;
};

TEST_F(ExecutorTest, each_action_is_its_request) {
  const Value body(Value::Map{{"a", 1}});
  const Outcome outcome = run({{0, CreateObject{deployment("c"), body}},
                               {1, ApplyObject{deployment("a"), body}},
                               {2, PatchObject{deployment("p"), body}},
                               {3, PatchStatus{{Kind::kDaskCluster, "ns", "s", {}}, body}},
                               {4, DeleteObject{deployment("d", "uid-1"), false, "test"}}});
  EXPECT_FALSE(outcome.error);
  EXPECT_EQ(outcome.writes, 5u);
  EXPECT_THAT(sent(), ElementsAre("POST deployments?fieldManager=dask-operator", "PATCH a?fieldManager=dask-operator&force=true",
                                  "PATCH p?fieldManager=dask-operator", "PATCH status?fieldManager=dask-operator", "DELETE d"));
  EXPECT_THAT(api.requests[1].headers["content-type"], HasSubstr("apply-patch"));
  EXPECT_THAT(api.requests[3].headers["content-type"], HasSubstr("merge-patch"));
  EXPECT_THAT(api.requests[4].body, HasSubstr(R"("preconditions":{"uid":"uid-1"})"));
  EXPECT_THAT(api.requests[4].body, HasSubstr("Background"));
}

TEST_F(ExecutorTest, nothing_of_a_later_stage_is_sent_after_a_failure) {
  answers["/bad"] = {409, refusal("Conflict")};
  const Outcome outcome = run({{0, PatchStatus{{Kind::kDaskWorkerGroup, "ns", "bad", {}}, Value::map()}},
                               {0, PatchObject{deployment("beside"), Value::map()}},
                               {1, DeleteObject{deployment("later", "u"), false, "drained"}},
                               {2, RequeueAfter{1000}}});
  ASSERT_TRUE(outcome.error);
  EXPECT_EQ(outcome.error->status, 409);
  EXPECT_THAT(outcome.failed, HasSubstr("cannot write the status of DaskWorkerGroup ns/bad"));
  EXPECT_EQ(api.count("/beside"), 1u);
  EXPECT_EQ(api.count("/later"), 0u);
  EXPECT_EQ(outcome.requeue_ms, std::nullopt);
}

TEST_F(ExecutorTest, what_is_done_already_is_no_failure) {
  answers["fieldManager=dask-operator"] = {404, refusal("NotFound")};
  EXPECT_FALSE(run({{0, PatchObject{deployment("gone"), Value::map()}}}).error);
  EXPECT_TRUE(run({{0, ApplyObject{deployment("gone"), Value::map()}}}).error);
  answers["fieldManager=dask-operator"] = {409, refusal("AlreadyExists")};
  EXPECT_FALSE(run({{0, CreateObject{deployment("there"), Value::map()}}}).error);
  answers["/gone"] = {404, refusal("NotFound")};
  answers["/another"] = {409, refusal("Conflict")};
  EXPECT_FALSE(
      run({{0, DeleteObject{deployment("gone", "u"), false, ""}}, {0, DeleteObject{deployment("another", "u"), false, ""}}}).error);
}

TEST_F(ExecutorTest, answers_go_into_the_caches_at_once_and_what_was_deleted_does_not_come_back) {
  answers["/x"] = {200, object_json("x", 5)};
  run({{0, ApplyObject{deployment("x"), Value::map()}}});
  EXPECT_EQ(cached(), 1u);
  answers["/x"] = {200, R"({"kind":"Status","status":"Success"})"};
  run({{0, DeleteObject{deployment("x", "u-x"), false, ""}}});
  EXPECT_EQ(cached(), 0u);
  answers["/x"] = {200, object_json("x", 6)};
  run({{0, PatchObject{deployment("x"), Value::map()}}});
  EXPECT_EQ(cached(), 0u);
}

TEST_F(ExecutorTest, what_the_api_server_refuses_for_what_is_in_it_is_remembered) {
  answers["/wrong"] = {422, refusal("Invalid")};
  const Outcome outcome = run({{0, ApplyObject{deployment("wrong"), Value::map()}}, {0, ApplyObject{deployment("x"), Value::map()}}});
  ASSERT_EQ(outcome.refusals.size(), 1u);
  EXPECT_EQ(outcome.refusals[0].object.name, "wrong");
  EXPECT_EQ(outcome.refusals[0].code, 422);
  EXPECT_EQ(outcome.refusals[0].message, "why not");
  EXPECT_EQ(outcome.writes, 2u);
}

TEST_F(ExecutorTest, who_leads_no_more_sends_nothing) {
  executor->stop();
  const Outcome outcome = run({{0, DeleteObject{deployment("x", "u"), false, ""}}});
  ASSERT_TRUE(outcome.error);
  EXPECT_TRUE(api.requests.empty());
}

TEST_F(ExecutorTest, the_soonest_requeue_counts) {
  EXPECT_EQ(run({{0, RequeueAfter{500}}, {0, RequeueAfter{20}}, {1, RequeueAfter{100}}}).requeue_ms, 20);
}

}  // namespace
}  // namespace dask::kube::test
