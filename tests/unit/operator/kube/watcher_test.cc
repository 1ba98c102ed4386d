// Lists and watches against an API server that does everything that real ones do on bad days.
#include "operator/kube/watcher.h"

#include <gmock/gmock.h>

#include <map>

#include "tests/unit/operator/kube/fake_api.h"

namespace dask::kube::test {

using testing::ElementsAre;

// Fast enough for a test; nothing here asserts a time.
constexpr WatchTimes kFast{300, 600, 5, {0.002, 0.01, 1.0}, 0.0};

std::string object(const std::string& name, int version) {
  return fmt::format(R"({{"metadata":{{"name":"{}","resourceVersion":"{}"}}}})", name, version);
}
std::string list(const std::vector<std::string>& items, int version, const std::string& next = "") {
  std::string joined;
  for (const std::string& item : items) joined += (joined.empty() ? "" : ",") + item;
  return fmt::format(R"({{"kind":"PodList","metadata":{{"resourceVersion":"{}","continue":"{}"}},"items":[{}]}})", version, next, joined);
}
std::string status(int code, const std::string& reason) {
  return fmt::format(R"({{"kind":"Status","status":"Failure","code":{},"reason":"{}","message":"for the test"}})", code, reason);
}

struct Seen : Watcher::Receiver {
  void begin_list() override { log.push_back("list"); }
  void listed(const Value& value) override { log.push_back("listed " + name(value)); }
  void end_list(std::string_view version) override { log.push_back("end " + std::string(version)); }
  void changed(const Value& value) override { log.push_back("changed " + name(value)); }
  void deleted(const Value& value) override { log.push_back("deleted " + name(value)); }
  void reached() override { ++reached_again; }
  static std::string name(const Value& value) { return std::string(value["metadata"]["name"].as_string()); }
  bool has(const std::string& line) const { return std::find(log.begin(), log.end(), line) != log.end(); }
  std::vector<std::string> log;
  int reached_again = 0;
};

struct WatcherTest : testing::Test {
  void SetUp() override {
    client = client_of(api, loop, clock);
    api.handler = [this](const FakeRequest& request, const ExchangePtr& exchange) {
      auto& answers = request.has("watch=1") ? watches : lists;
      auto& last = request.has("watch=1") ? watch : list_exchange;
      last = exchange;
      ASSERT_FALSE(answers.empty()) << "nobody expected " << request.target;
      auto answer = answers.front();
      if (answers.size() > 1) answers.pop_front();
      answer(exchange);
    };
  }
  void start(WatchTimes times = kFast) {
    watcher = std::make_unique<Watcher>(loop, clock, *client, "/api/v1/pods", "a=b", seen, 1, times);
    watcher->start();
  }
  bool until(const std::string& line) {
    return run_until(loop, [&] { return seen.has(line); });
  }
  using Answer = std::function<void(const ExchangePtr&)>;
  static Answer whole(const std::string& body) {
    return [body](const ExchangePtr& exchange) { exchange->answer(200, body); };
  }
  static Answer silent() {
    return [](const ExchangePtr& exchange) { exchange->begin_stream(); };
  }
  static Answer events(const std::vector<std::pair<std::string, std::string>>& all) {
    return [all](const ExchangePtr& exchange) {
      exchange->begin_stream();
      for (const auto& [type, what] : all) exchange->event(type, what);
    };
  }

  net::Loop loop;
  SystemClock clock;
  FakeApi api{loop};
  std::unique_ptr<KubeClient> client;
  Seen seen;
  std::unique_ptr<Watcher> watcher;
  std::deque<Answer> lists, watches;  // the last of each stays
  ExchangePtr watch, list_exchange;
};

TEST_F(WatcherTest, lists_in_pages_and_then_follows_changes) {
  lists = {whole(list({object("a", 3)}, 7, "next page/1")), whole(list({object("b", 5)}, 7))};
  watches = {events({{"ADDED", object("c", 8)}, {"MODIFIED", object("a", 9)}, {"DELETED", object("b", 10)}}), silent()};
  start();
  ASSERT_TRUE(until("deleted b"));
  EXPECT_THAT(seen.log, ElementsAre("list", "listed a", "listed b", "end 7", "changed c", "changed a", "deleted b"));
  EXPECT_EQ(api.count("continue=next%20page%2F1"), 1u);
  EXPECT_EQ(api.count("labelSelector=a%3Db"), api.requests.size());
  EXPECT_TRUE(api.requests.back().has("resourceVersion=7"));
  EXPECT_TRUE(api.requests.back().has("allowWatchBookmarks=true"));
  EXPECT_TRUE(watcher->synced());
}

TEST_F(WatcherTest, watches_on_from_the_last_version_after_the_server_ended_a_watch) {
  lists = {whole(list({}, 7))};
  watches = {[](const ExchangePtr& exchange) {
               exchange->begin_stream();
               exchange->event("ADDED", object("a", 8));
               exchange->end_stream();
             },
             events({{"ADDED", object("b", 9)}})};
  start();
  ASSERT_TRUE(until("changed b"));
  EXPECT_EQ(api.count("resourceVersion=8&"), 1u);
  EXPECT_EQ(watcher->lists(), 1u);
}

TEST_F(WatcherTest, takes_the_version_of_a_bookmark) {
  lists = {whole(list({}, 7))};
  watches = {[](const ExchangePtr& exchange) {
               exchange->begin_stream();
               exchange->event("BOOKMARK", R"({"metadata":{"resourceVersion":"40"}})");
               exchange->end_stream();
             },
             events({{"ADDED", object("b", 41)}})};
  start();
  ASSERT_TRUE(until("changed b"));
  EXPECT_EQ(api.count("resourceVersion=40&"), 1u);
}

TEST_F(WatcherTest, lists_again_when_its_version_is_too_old) {
  lists = {whole(list({object("a", 3)}, 7)), whole(list({object("b", 30)}, 50))};
  watches = {events({{"ERROR", status(410, "Expired")}}), events({{"ADDED", object("c", 51)}})};
  start();
  ASSERT_TRUE(until("changed c"));
  EXPECT_THAT(seen.log, ElementsAre("list", "listed a", "end 7", "list", "listed b", "end 50", "changed c"));
}

TEST_F(WatcherTest, lists_again_when_the_watch_is_refused_with_410) {
  lists = {whole(list({}, 7)), whole(list({}, 50))};
  watches = {[](const ExchangePtr& exchange) { exchange->answer(410, status(410, "Expired")); }, events({{"ADDED", object("c", 51)}})};
  start();
  ASSERT_TRUE(until("changed c"));
  EXPECT_TRUE(seen.has("end 50"));
}

TEST_F(WatcherTest, begins_the_pages_anew_when_the_continue_token_is_too_old) {
  lists = {whole(list({object("a", 3)}, 7, "old")), [](const ExchangePtr& exchange) { exchange->answer(410, status(410, "Expired")); },
           whole(list({object("b", 9)}, 9))};
  watches = {silent()};
  start();
  ASSERT_TRUE(until("end 9"));
  EXPECT_THAT(seen.log, ElementsAre("list", "listed a", "list", "listed b", "end 9"));
}

TEST_F(WatcherTest, waits_as_the_server_says_while_its_storage_is_being_initialized) {
  lists = {[](const ExchangePtr& exchange) { exchange->answer(429, status(429, "TooManyRequests"), "Retry-After: 0\r\n"); },
           [](const ExchangePtr& exchange) { exchange->answer(429, status(429, "TooManyRequests"), "Retry-After: 0\r\n"); },
           whole(list({}, 7))};
  watches = {silent()};
  start();
  ASSERT_TRUE(until("end 7"));
  EXPECT_EQ(api.count("limit="), 3u);
}

TEST_F(WatcherTest, keeps_trying_while_the_server_fails_and_says_when_it_is_back) {
  lists = {[](const ExchangePtr& exchange) { exchange->answer(500, "no JSON"); }, [](const ExchangePtr& exchange) { exchange->cut(); },
           [](const ExchangePtr& exchange) { exchange->answer(200, "{\"items\": [{\"meta"); },
           [](const ExchangePtr& exchange) { exchange->answer(200, "[]"); }, whole(list({}, 7))};
  watches = {silent()};
  start();
  ASSERT_TRUE(until("end 7"));
  EXPECT_EQ(seen.reached_again, 1);
  EXPECT_EQ(watcher->failing_since(), 0);
}

TEST_F(WatcherTest, watches_on_after_a_connection_broke_in_the_middle_of_an_event) {
  lists = {whole(list({}, 7))};
  watches = {[](const ExchangePtr& exchange) {
               exchange->begin_stream();
               exchange->event("ADDED", object("a", 8));
               exchange->chunk("{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"na");
               exchange->cut();
             },
             events({{"MODIFIED", object("a", 9)}})};
  start();
  ASSERT_TRUE(run_until(loop, [&] { return std::count(seen.log.begin(), seen.log.end(), "changed a") == 2; }));
  EXPECT_EQ(watcher->lists(), 1u);
  EXPECT_EQ(api.count("resourceVersion=8&"), 1u);
}

TEST_F(WatcherTest, puts_events_together_that_arrive_in_pieces) {
  lists = {whole(list({}, 7))};
  watches = {[](const ExchangePtr& exchange) {
    exchange->begin_stream();
    const std::string all =
        fmt::format("{{\"type\":\"ADDED\",\"object\":{}}}\n{{\"type\":\"ADDED\",\"object\":{}}}\n", object("a", 8), object("b", 9));
    for (const char c : all) exchange->chunk(std::string(1, c));
  }};
  start();
  ASSERT_TRUE(until("changed b"));
  EXPECT_TRUE(seen.has("changed a"));
}

TEST_F(WatcherTest, tries_again_after_garbage_and_lists_when_there_is_nothing_else) {
  lists = {whole(list({}, 7)), whole(list({}, 70))};
  const Answer garbage = [](const ExchangePtr& exchange) {
    exchange->begin_stream();
    exchange->chunk("<html>a proxy that means well</html>\n");
  };
  watches = {garbage, garbage, garbage, events({{"ADDED", object("a", 71)}})};
  start();
  ASSERT_TRUE(until("changed a"));
  EXPECT_TRUE(seen.has("end 70"));
}

TEST_F(WatcherTest, survives_a_server_that_ends_every_watch_at_once) {
  lists = {whole(list({}, 7))};
  const Answer short_one = [](const ExchangePtr& exchange) {
    exchange->begin_stream();
    exchange->end_stream();
  };
  watches = {short_one, short_one, short_one, events({{"ADDED", object("a", 8)}})};
  WatchTimes times = kFast;
  times.good_s = 3600;
  start(times);
  ASSERT_TRUE(until("changed a"));
  EXPECT_EQ(watcher->lists(), 1u);
}

TEST_F(WatcherTest, takes_a_connection_that_is_silent_for_too_long_for_dead) {
  lists = {whole(list({}, 7))};
  watches = {silent(), events({{"ADDED", object("a", 8)}})};
  WatchTimes times = kFast;
  times.shortest_s = 0.01;
  times.longest_s = 0.02;
  times.grace_s = 0.01;
  start(times);
  ASSERT_TRUE(until("changed a"));
  EXPECT_EQ(watcher->lists(), 1u);
}

TEST_F(WatcherTest, ends_quietly_with_a_watch_under_way) {
  lists = {whole(list({}, 7))};
  watches = {silent()};
  start();
  ASSERT_TRUE(until("end 7"));
  watcher.reset();
  client.reset();
  EXPECT_TRUE(run_until(loop, [&] { return !watch || watch->closed_by_client() || watch->fd() < 0; }));
}

}  // namespace dask::kube::test
