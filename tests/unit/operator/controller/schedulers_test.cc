// What the operator asks schedulers over Dask's RPC, and what it makes of their answers, also of wrong ones and of none.
#include "operator/controller/schedulers.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include "tests/unit/core/net/net_fixture.h"

namespace dask::kube {
namespace {

using net::test::run_until;
using testing::ElementsAre;
using testing::HasSubstr;
using Outcome = Retirement::Outcome;

constexpr const char* kA = "tcp://10.0.0.1:1";
constexpr const char* kB = "tcp://10.0.0.2:1";

// Answers each operation as it is told; of what it is not told it says nothing.
struct FakeScheduler {
  explicit FakeScheduler(net::Loop& loop) {
    listener = *net::listen(loop, net::test::loopback(), [this](net::CommPtr comm) {
      std::weak_ptr<net::Comm> weak = comm;
      comm->on_message([this, weak](wire::Frames frames) {
        requests.push_back(*wire::decode_message(frames));
        const auto answer = answers.find(requests.back()["op"].as_string());
        if (answer != answers.end()) weak.lock()->send(wire::encode_message(answer->second));
      });
      comm->on_closed([](const Error&) {});
      comms.push_back(std::move(comm));
    });
  }
  void has_workers(const std::string& id, const std::map<std::string, std::string>& status_by_address, int executing = 0) {
    Value workers = Value::map();
    for (const auto& [address, status] : status_by_address) {
      Value metrics(Value::Map{{"managed_bytes", 7}, {"task_counts", Value(Value::Map{{"executing", executing}})}});
      workers.set(address, Value(Value::Map{{"name", "of " + address}, {"status", status}, {"metrics", std::move(metrics)}}));
    }
    answers["identity"] = Value(Value::Map{{"type", "Scheduler"}, {"id", id}, {"workers", std::move(workers)}});
  }
  std::vector<std::string> asked() const {
    std::vector<std::string> ops;
    for (const Value& request : requests) ops.emplace_back(request["op"].as_string());
    return ops;
  }
  std::unique_ptr<net::Listener> listener;
  std::vector<net::CommPtr> comms;
  std::map<std::string, Value, std::less<>> answers;
  std::vector<Value> requests;
};

Value error(const char* text) { return Value(Value::Map{{"status", "uncaught-error"}, {"exception_text", text}}); }

struct SchedulersTest : testing::Test {
  void SetUp() override {
    fake.has_workers("s-1", {{kA, "running"}, {kB, "closing_gracefully"}});
    fake.answers["processing"] = Value(Value::Map{{kA, Value(Value::Array{"x", "y"})}, {kB, Value::array()}});
    fake.answers["check_idle"] = Value();
  }
  const SchedulerView& poll() {
    const std::size_t before = changes;
    schedulers.poll(endpoint);
    EXPECT_TRUE(schedulers.view("ns", "demo").polling);
    EXPECT_TRUE(run_until(loop, [&] { return changes > before; }));
    return view = schedulers.view("ns", "demo");
  }
  const SchedulerView& retire(AskSchedulerToRetire request) {
    request.scheduler = endpoint;
    const std::size_t before = changes;
    schedulers.retire(request);
    EXPECT_EQ(schedulers.view("ns", "demo").retirements.at(request.addresses[0]).outcome, Outcome::kAsked);
    EXPECT_TRUE(run_until(loop, [&] { return changes > before; }));
    return view = schedulers.view("ns", "demo");
  }
  static const SchedulerWorker& worker(const SchedulerView& of, const std::string& address) {
    for (const SchedulerWorker& one : of.workers)
      if (one.address == address) return one;
    ADD_FAILURE() << "no worker " << address;
    return of.workers.at(0);
  }

  net::Loop loop;
  SystemClock clock;
  FakeScheduler fake{loop};
  std::size_t changes = 0;
  SchedulerView view;
  Metrics metrics;
  SchedulerEndpoint endpoint{"ns", "demo", "demo-scheduler.ns.svc", "127.0.0.1", port(), 8787};
  Schedulers schedulers{loop, clock, "", [this](const std::string&, const std::string&) { ++changes; }, &metrics};

  std::int64_t port() const {
    const std::string address = fake.listener->address();
    return std::stoll(address.substr(address.rfind(':') + 1));
  }
};

TEST_F(SchedulersTest, a_poll_tells_who_is_there_and_what_each_has_to_do) {
  poll();
  EXPECT_TRUE(view.reachable());
  EXPECT_FALSE(view.polling);
  EXPECT_EQ(view.id, "s-1");
  EXPECT_EQ(worker(view, kA).processing, 2);
  EXPECT_EQ(worker(view, kA).stored_bytes, 7);
  EXPECT_EQ(worker(view, kA).name, std::string("of ") + kA);
  EXPECT_EQ(worker(view, kB).processing, 0);
  EXPECT_EQ(worker(view, kB).status, "closing_gracefully");
  EXPECT_EQ(view.idle_since_ms, std::nullopt);
  EXPECT_THAT(fake.asked(), ElementsAre("identity", "processing", "check_idle"));
}

TEST_F(SchedulersTest, an_idle_scheduler_says_since_when) {
  fake.answers["check_idle"] = Value(1'700'000'000.5);
  EXPECT_EQ(poll().idle_since_ms, 1'700'000'000'500);
}

TEST_F(SchedulersTest, a_leaving_worker_of_whose_tasks_nothing_is_said_is_not_taken_for_quiet) {
  fake.answers["processing"] = error("KeyError");
  poll();
  EXPECT_EQ(worker(view, kA).processing, 0);
  EXPECT_EQ(worker(view, kB).processing, 1);
}

TEST_F(SchedulersTest, of_very_many_workers_only_those_that_leave_are_asked_for) {
  std::map<std::string, std::string> many;
  for (std::size_t i = 0; i < kProcessingWorkersMax; ++i) many[fmt::format("tcp://10.1.{}.{}:1", i / 250, i % 250)] = "running";
  fake.has_workers("s-1", many);
  poll();
  EXPECT_TRUE(fake.requests[1]["workers"].is_nil());
  many[kB] = "closing_gracefully";
  fake.has_workers("s-1", many);
  fake.requests.clear();
  poll();
  ASSERT_EQ(fake.requests[1]["workers"].size(), 1u);
  EXPECT_EQ(fake.requests[1]["workers"].array_if()->at(0).as_string(), kB);
  EXPECT_EQ(worker(view, kB).processing, 0);
}

TEST_F(SchedulersTest, what_is_no_scheduler_counts_as_out_of_reach_and_says_why) {
  fake.answers["identity"] = error("it burns");
  poll();
  EXPECT_FALSE(view.reachable());
  EXPECT_THAT(view.failure, HasSubstr("it burns"));
  const TimeMs since = view.failing_since_ms;
  fake.answers["identity"] = Value(Value::Map{{"type", "Worker"}});
  poll();
  EXPECT_THAT(view.failure, HasSubstr("as no scheduler does"));
  EXPECT_EQ(view.failing_since_ms, since);
  SetUp();
  poll();
  EXPECT_TRUE(view.reachable());
  EXPECT_EQ(view.failing_since_ms, 0);
}

TEST_F(SchedulersTest, a_request_to_retire_closes_and_removes_nobody_and_names_who_else_is_closing) {
  poll();
  fake.requests.clear();
  fake.answers["retire_workers"] = Value(Value::Map{{kA, Value::map()}});
  retire({{}, {kA}, true, {kB}});
  const Value& sent = fake.requests.at(0);
  EXPECT_EQ(sent["workers"].size(), 2u);
  EXPECT_FALSE(sent["close_workers"].as_bool(true));
  EXPECT_FALSE(sent["remove"].as_bool(true));
  EXPECT_EQ(view.retirements.at(kA).outcome, Outcome::kRetired);
  EXPECT_TRUE(view.retirements.at(kA).quiet);
  EXPECT_EQ(view.retirements.count(kB), 0u);
}

TEST_F(SchedulersTest, who_is_not_in_the_answer_stays_and_an_error_is_no_answer) {
  fake.answers["retire_workers"] = Value(Value::Map{{kA, Value::map()}});
  retire({{}, {kA, kB}, false, {}});
  EXPECT_EQ(view.retirements.at(kA).outcome, Outcome::kRetired);
  EXPECT_EQ(view.retirements.at(kB).outcome, Outcome::kStays);
  for (const Value& wrong : {error("no"), Value("OK")}) {
    fake.answers["retire_workers"] = wrong;
    retire({{}, {kA}, false, {}});
    EXPECT_EQ(view.retirements.at(kA).outcome, Outcome::kFailed);
  }
}

TEST_F(SchedulersTest, another_scheduler_at_the_address_has_promised_nothing) {
  poll();
  fake.answers["retire_workers"] = Value(Value::Map{{kA, Value::map()}});
  retire({{}, {kA}, true, {}});
  EXPECT_EQ(poll().retirements.size(), 1u);
  fake.has_workers("s-2", {{kA, "running"}});
  EXPECT_TRUE(poll().retirements.empty());
}

TEST_F(SchedulersTest, an_answer_for_a_cluster_that_was_forgotten_is_dropped) {
  schedulers.poll(endpoint);
  schedulers.forget("ns", "demo");
  EXPECT_EQ(schedulers.size(), 0u);
  endpoint.cluster = "other";
  schedulers.poll(endpoint);
  ASSERT_TRUE(run_until(loop, [&] { return schedulers.view("ns", "other").polled_ms != 0; }));
  EXPECT_EQ(schedulers.view("ns", "demo").polled_ms, 0);
  EXPECT_EQ(schedulers.size(), 1u);
}

}  // namespace
}  // namespace dask::kube
