// Leader election with two candidates on one Lease that the test keeps; Events with their series and budget.
#include "operator/kube/leader.h"

#include <gmock/gmock.h>

#include "core/base/json.h"
#include "operator/kube/event_recorder.h"
#include "tests/unit/operator/kube/fake_api.h"

namespace dask::kube::test {

using testing::HasSubstr;

// A server that keeps one Lease as the real one would: PUT with an old version conflicts.
struct LeaseServer {
  explicit LeaseServer(net::Loop& loop) : api(loop) {
    api.handler = [this](const FakeRequest& request, const ExchangePtr& exchange) {
      if (broken) return exchange->answer(500, "{}");
      if (request.method == "GET") return lease.is_map() ? exchange->answer(200, to_json(lease)) : exchange->answer(404, "{}");
      Value body = *parse_json(request.body);
      if (request.method == "POST" && lease.is_map()) return exchange->answer(409, "{}");
      if (request.method == "PUT" && body["metadata"]["resourceVersion"].as_string() != std::to_string(version))
        return exchange->answer(409, "{}");
      Value metadata = body["metadata"];
      metadata.set("resourceVersion", std::to_string(++version));
      body.set("metadata", metadata);
      lease = body;
      exchange->answer(200, to_json(lease));
    };
  }
  std::string holder() const { return std::string(lease["spec"]["holderIdentity"].as_string()); }
  FakeApi api;
  Value lease;
  int version = 0;
  bool broken = false;
};

struct Candidate {
  Candidate(net::Loop& loop, const Clock& clock, const FakeApi& api, const std::string& name, LeaseTimes times) {
    client = client_of(api, loop, clock);
    elector = std::make_unique<LeaderElector>(loop, clock, *client, "ns", "lease", name,
                                              LeaderElector::Handlers{[this] { ++started; }, [this] { ++lost; }}, 1, times);
  }
  std::unique_ptr<KubeClient> client;
  std::unique_ptr<LeaderElector> elector;
  int started = 0, lost = 0;
};

constexpr LeaseTimes kFast{15, 10, 0.005, 1.2};

TEST(LeaderElector, one_of_two_leads_and_the_other_takes_over_when_it_gives_back) {
  net::Loop loop;
  SystemClock clock;
  LeaseServer server(loop);
  Candidate a(loop, clock, server.api, "a", kFast), b(loop, clock, server.api, "b", kFast);
  a.elector->start();
  ASSERT_TRUE(run_until(loop, [&] { return a.elector->leading(); }));
  b.elector->start();
  ASSERT_TRUE(run_until(loop, [&] { return b.elector->holder() == "a" && server.version > 5; }));
  EXPECT_FALSE(b.elector->leading());
  bool released = false;
  a.elector->release([&] { released = true; });
  ASSERT_TRUE(run_until(loop, [&] { return released && b.elector->leading(); }));
  EXPECT_EQ(server.holder(), "b");
  EXPECT_EQ(server.lease["spec"]["leaseTransitions"].as_int(), 1);
  EXPECT_EQ(a.lost, 0) << "giving back is no loss";
  EXPECT_EQ(b.started, 1);
}

TEST(LeaderElector, takes_a_lease_that_nobody_renews_after_having_watched_it_for_its_duration) {
  net::Loop loop;
  SystemClock clock;
  LeaseServer server(loop);
  server.version = 1;
  server.lease = *parse_json(
      R"({"metadata":{"name":"lease","resourceVersion":"1"},"spec":{"holderIdentity":"dead","leaseDurationSeconds":1,"renewTime":"2099-01-01T00:00:00.000000Z"}})");
  Candidate a(loop, clock, server.api, "a", kFast);
  a.elector->start();
  ASSERT_TRUE(run_until(loop, [&] { return a.elector->leading(); }));
  EXPECT_EQ(server.holder(), "a");
}

TEST(LeaderElector, stops_leading_when_it_cannot_renew) {
  net::Loop loop;
  SystemClock clock;
  LeaseServer server(loop);
  LeaseTimes times = kFast;
  times.renew_deadline_s = 0.05;
  Candidate a(loop, clock, server.api, "a", times);
  a.elector->start();
  ASSERT_TRUE(run_until(loop, [&] { return a.elector->leading(); }));
  server.broken = true;
  ASSERT_TRUE(run_until(loop, [&] { return a.lost == 1; }));
  EXPECT_FALSE(a.elector->leading());
}

TEST(LeaderElector, stops_leading_when_another_has_taken_the_lease) {
  net::Loop loop;
  SystemClock clock;
  LeaseServer server(loop);
  LeaseTimes times = kFast;
  times.renew_deadline_s = 0.2;
  Candidate a(loop, clock, server.api, "a", times);
  a.elector->start();
  ASSERT_TRUE(run_until(loop, [&] { return a.elector->leading(); }));
  Value spec = server.lease["spec"];
  spec.set("holderIdentity", "thief");
  server.lease.set("spec", spec);
  Value metadata = server.lease["metadata"];
  metadata.set("resourceVersion", std::to_string(++server.version));
  server.lease.set("metadata", metadata);
  ASSERT_TRUE(run_until(loop, [&] { return a.lost == 1; }));
  EXPECT_EQ(server.holder(), "thief");
}

struct EventsTest : testing::Test {
  void SetUp() override {
    api.handler = [](const FakeRequest&, const ExchangePtr& exchange) { exchange->answer(201, "{}"); };
    client = client_of(api, loop, time);
    events = std::make_unique<EventRecorder>(loop, time, *client, "instance", nullptr);
  }
  struct Still final : Clock {
    double wall() const override { return 1.7e9 + at; }
    double monotonic() const override { return at; }
    double at = 1000;
  } time;
  bool all_sent() {
    return run_until(loop, [&] { return events->in_flight() == 0; });
  }
  static EmitEvent about(const std::string& name, const std::string& message) {
    return {{Kind::kDaskCluster, "ns", name, "uid-" + name}, true, "Reason", "Action", message};
  }
  net::Loop loop;
  FakeApi api{loop};
  std::unique_ptr<KubeClient> client;
  std::unique_ptr<EventRecorder> events;
};

TEST_F(EventsTest, writes_what_the_api_wants) {
  events->emit(about("a", "it \"broke\""));
  ASSERT_TRUE(all_sent());
  ASSERT_EQ(api.requests.size(), 1u);
  EXPECT_EQ(api.requests[0].target, "/apis/events.k8s.io/v1/namespaces/ns/events");
  const Value event = *parse_json(api.requests[0].body);
  EXPECT_EQ(event["note"].as_string(), "it \"broke\"");
  EXPECT_EQ(event["type"].as_string(), "Warning");
  EXPECT_EQ(event["regarding"]["kind"].as_string(), "DaskCluster");
  EXPECT_EQ(event["regarding"]["uid"].as_string(), "uid-a");
  EXPECT_THAT(std::string(event["eventTime"].as_string()), HasSubstr("."));
}

TEST_F(EventsTest, writes_what_waits_when_the_program_ends) {
  std::vector<ExchangePtr> held;
  api.handler = [&](const FakeRequest& request, const ExchangePtr& exchange) {
    if (request.target == "/held") return held.push_back(exchange);
    exchange->answer(201, "{}");
  };
  bool flushed = false;
  client->send({.path = "/held"}, [](KubeReply) {});  // for this one, an Event would wait
  events->emit(about("a", "the last word"));
  EXPECT_EQ(client->waiting(), 1u);
  events->flush([&] {
    flushed = true;
    EXPECT_EQ(events->in_flight(), 0u);
  });
  EXPECT_FALSE(flushed) << "never at once";
  ASSERT_TRUE(run_until(loop, [&] { return flushed; }));
  EXPECT_EQ(api.count("/events"), 1u);
  flushed = false;
  events->flush([&] { flushed = true; });
  ASSERT_TRUE(run_until(loop, [&] { return flushed; })) << "with nothing to write";
}

TEST_F(EventsTest, does_not_keep_a_program_from_ending_when_nobody_answers) {
  api.handler = [](const FakeRequest&, const ExchangePtr&) {};
  bool flushed = false;
  events->emit(about("a", "unheard"));
  events->flush([&] { flushed = true; });
  ASSERT_TRUE(run_until(loop, [&] { return flushed; }));
  EXPECT_EQ(events->in_flight(), 1u);
}

TEST_F(EventsTest, counts_repetitions_instead_of_writing_them) {
  for (int i = 0; i < 10; ++i) events->emit(about("a", "again"));
  ASSERT_TRUE(all_sent());  // two requests at once go through two connections, in any order
  time.at += kEventRefreshSeconds + 1;
  events->emit(about("a", "again"));
  ASSERT_TRUE(all_sent());
  ASSERT_EQ(api.requests.size(), 2u);
  EXPECT_EQ(api.requests[1].method, "PATCH");
  EXPECT_EQ((*parse_json(api.requests[1].body))["series"]["count"].as_int(), 11);
}

TEST_F(EventsTest, stops_when_one_object_makes_too_many_and_leaves_others_alone) {
  for (int i = 0; i < 100; ++i) events->emit(about("a", "different " + std::to_string(i)));
  EXPECT_EQ(events->dropped(), 100 - static_cast<std::uint64_t>(kEventBurst));
  events->emit(about("b", "first"));
  ASSERT_TRUE(all_sent());
  EXPECT_EQ(api.requests.size(), static_cast<std::size_t>(kEventBurst) + 1);
  time.at += kEventRefillSeconds;
  events->emit(about("a", "later"));
  EXPECT_EQ(events->dropped(), 100 - static_cast<std::uint64_t>(kEventBurst));
}

TEST_F(EventsTest, shortens_notes_between_characters) {
  std::string note;
  while (note.size() < 3000) note += "ä";
  events->emit(about("a", note));
  ASSERT_TRUE(all_sent());
  const Value event = *parse_json(api.requests[0].body);
  EXPECT_LE(event["note"].as_string().size(), kEventNoteBytesMax);
}

}  // namespace dask::kube::test
