// KubeClient and RestClient against a server that puts off, refuses, breaks off and is silent.
#include "operator/kube/client.h"

#include <gmock/gmock.h>

#include "tests/unit/operator/kube/fake_api.h"

namespace dask::kube::test {

using testing::HasSubstr;

struct ClientTest : testing::Test {
  void SetUp() override { connect({}); }
  void connect(KubeAccess access) { client = client_of(api, loop, clock, &metrics, std::move(access)); }
  KubeReply ask(KubeRequest request) {
    std::optional<KubeReply> got;
    client->send(std::move(request), [&](KubeReply reply) { got = std::move(reply); });
    EXPECT_TRUE(run_until(loop, [&] { return got.has_value(); }));
    return got ? *std::move(got) : tl::unexpected(KubeError{});
  }
  net::Loop loop;
  SystemClock clock;
  Metrics metrics;
  FakeApi api{loop};
  std::unique_ptr<KubeClient> client;
};

TEST_F(ClientTest, sends_method_path_body_and_type) {
  api.handler = [](const FakeRequest&, const ExchangePtr& exchange) { exchange->answer(200, R"({"kind":"Pod"})"); };
  auto reply = ask({.method = "PATCH", .path = "/api/v1/pods/a?force=true", .content_type = std::string(kApplyPatch), .body = "{\"a\":1}"});
  ASSERT_TRUE(reply);
  EXPECT_EQ((*reply)["kind"].as_string(), "Pod");
  ASSERT_EQ(api.requests.size(), 1u);
  EXPECT_EQ(api.requests[0].method, "PATCH");
  EXPECT_EQ(api.requests[0].target, "/api/v1/pods/a?force=true");
  EXPECT_EQ(api.requests[0].body, "{\"a\":1}");
  EXPECT_THAT(api.requests[0].headers["content-type"], HasSubstr("application/apply-patch+yaml"));
  EXPECT_EQ(api.requests[0].headers["user-agent"], "test");
  EXPECT_THAT(metrics.expose(), HasSubstr("rest_client_requests_total{code=\"200\""));
}

TEST_F(ClientTest, tells_the_servers_words_when_it_refuses) {
  api.handler = [](const FakeRequest&, const ExchangePtr& exchange) {
    exchange->answer(422, R"({"kind":"Status","reason":"Invalid","message":"spec.x is wrong"})");
  };
  auto reply = ask({.path = "/x"});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().status, 422);
  EXPECT_EQ(reply.error().reason, "Invalid");
  EXPECT_EQ(reply.error().message, "spec.x is wrong");
  EXPECT_FALSE(reply.error().passing());
}

TEST_F(ClientTest, tries_again_when_the_server_puts_it_off_and_gives_up_in_the_end) {
  int puts_off = 2;
  api.handler = [&](const FakeRequest&, const ExchangePtr& exchange) {
    puts_off-- > 0 ? exchange->answer(429, "{}", "Retry-After: 0\r\n") : exchange->answer(200, "{}");
  };
  EXPECT_TRUE(ask({.path = "/x"}));
  EXPECT_EQ(api.requests.size(), 3u);
  puts_off = 1000;
  auto reply = ask({.path = "/y"});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().status, 429);
  EXPECT_EQ(api.count("/y"), 1u + kRetriesMax);
}

TEST_F(ClientTest, does_not_repeat_an_error_that_asks_for_no_wait) {
  api.handler = [](const FakeRequest&, const ExchangePtr& exchange) { exchange->answer(500, "broken"); };
  auto reply = ask({.path = "/x"});
  ASSERT_FALSE(reply);
  EXPECT_TRUE(reply.error().passing());
  EXPECT_EQ(api.requests.size(), 1u);
}

TEST_F(ClientTest, knows_how_long_the_server_takes_for_a_request) {
  EXPECT_EQ(client->latency_s(), 0);
  api.handler = [](const FakeRequest&, const ExchangePtr& exchange) { exchange->answer(200, "{}"); };
  const double begun = clock.monotonic();
  ASSERT_TRUE(ask({.path = "/x"}));
  const double first = client->latency_s();
  EXPECT_GT(first, 0);
  EXPECT_LE(first, clock.monotonic() - begun);
  // One slow answer among others moves it by its weight.
  std::vector<ExchangePtr> held;
  api.handler = [&](const FakeRequest&, const ExchangePtr& exchange) { held.push_back(exchange); };
  bool answered = false;
  client->send({.path = "/slow"}, [&](KubeReply) { answered = true; });
  const double sent = clock.monotonic();
  ASSERT_TRUE(run_until(loop, [&] { return !held.empty() && clock.monotonic() - sent > 10 * first; }));
  held[0]->answer(200, "{}");
  ASSERT_TRUE(run_until(loop, [&] { return answered; }));
  EXPECT_GT(client->latency_s(), 1.8 * first);
  EXPECT_LE(client->latency_s(), first + kLatencyWeight * (clock.monotonic() - sent));
}

TEST_F(ClientTest, lets_a_patient_request_wait_until_there_is_nothing_else_to_ask) {
  std::vector<std::string> order;
  std::vector<ExchangePtr> held;
  api.handler = [&](const FakeRequest& request, const ExchangePtr& exchange) {
    order.push_back(request.target);
    if (request.target == "/held")
      held.push_back(exchange);
    else
      exchange->answer(200, "{}");
  };
  bool patient = false, other = false;
  client->send({.path = "/patient", .patient = true}, [&](KubeReply reply) { patient = reply.has_value(); });
  client->send({.path = "/held"}, [&](KubeReply) { other = true; });
  ASSERT_TRUE(run_until(loop, [&] { return !held.empty(); }));
  const double begun = clock.monotonic();
  ASSERT_TRUE(run_until(loop, [&] { return clock.monotonic() - begun > 2 * std::chrono::duration<double>(kPatientQuiet).count(); }));
  EXPECT_FALSE(patient);
  EXPECT_EQ(client->waiting(), 1u);
  held[0]->answer(200, "{}");
  ASSERT_TRUE(run_until(loop, [&] { return patient; }));
  EXPECT_TRUE(other);
  EXPECT_EQ(order, (std::vector<std::string>{"/held", "/patient"}));
}

TEST_F(ClientTest, lets_a_patient_request_wait_for_some_time_only) {
  std::vector<ExchangePtr> held;
  api.handler = [&](const FakeRequest& request, const ExchangePtr& exchange) {
    if (request.target == "/held")
      held.push_back(exchange);
    else
      exchange->answer(200, "{}");
  };
  bool patient = false;
  const double begun = clock.monotonic();
  client->send({.path = "/held"}, [](KubeReply) {});
  client->send({.path = "/patient", .patient = true}, [&](KubeReply) { patient = true; });
  ASSERT_TRUE(run_until(loop, [&] { return patient; }));
  EXPECT_GE(clock.monotonic() - begun, kPatientMostSeconds);
  EXPECT_EQ(held.size(), 1u);
}

TEST_F(ClientTest, says_so_when_nobody_answers) {
  api.handler = [](const FakeRequest&, const ExchangePtr&) {};
  auto reply = ask({.path = "/x", .timeout = std::chrono::milliseconds(20)});
  ASSERT_FALSE(reply);
  EXPECT_TRUE(reply.error().unreachable());
  EXPECT_THAT(reply.error().message, HasSubstr("no answer within"));
}

TEST_F(ClientTest, survives_a_connection_that_breaks_in_an_answer) {
  api.handler = [](const FakeRequest&, const ExchangePtr& exchange) {
    exchange->send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"half\":");
    exchange->cut();
  };
  auto reply = ask({.path = "/x"});
  ASSERT_FALSE(reply);
  EXPECT_TRUE(reply.error().unreachable());
}

TEST_F(ClientTest, takes_what_is_no_json_for_no_answer) {
  api.handler = [](const FakeRequest&, const ExchangePtr& exchange) { exchange->answer(200, "<html>"); };
  auto reply = ask({.path = "/x"});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().reason, "Malformed");
}

TEST_F(ClientTest, has_no_more_requests_under_way_than_its_limit) {
  std::vector<ExchangePtr> held;
  api.handler = [&](const FakeRequest&, const ExchangePtr& exchange) { held.push_back(exchange); };
  std::size_t answered = 0;
  const std::size_t all = 3 * kRequestsInFlightMax;
  for (std::size_t i = 0; i < all; ++i) client->send({.path = "/x"}, [&](KubeReply reply) { answered += reply.has_value(); });
  std::size_t most = 0;
  EXPECT_TRUE(run_until(loop, [&] {
    most = std::max(most, held.size());
    if (held.size() == std::min(kRequestsInFlightMax, all - answered)) {
      for (const ExchangePtr& exchange : std::exchange(held, {})) exchange->answer(200, "{}");
    }
    return answered == all;
  }));
  EXPECT_EQ(most, kRequestsInFlightMax);
}

TEST_F(ClientTest, reads_the_token_again_when_the_server_does_not_take_it) {
  const std::string path = testing::TempDir() + "/token";
  auto write = [&](const char* token) {
    FILE* file = fopen(path.c_str(), "w");
    fputs(token, file);
    fclose(file);
  };
  write("old\n");
  struct Still final : Clock {
    double wall() const override { return 1e9 + at; }
    double monotonic() const override { return at; }
    double at = 100;
  } still;
  KubeAccess access;
  access.server = api.url();
  access.token_file = path;
  auto made = KubeClient::create(loop, still, access, "test", nullptr);
  ASSERT_TRUE(made);
  client = *std::move(made);
  client->start([](Result<void>) {});
  api.handler = [](const FakeRequest& request, const ExchangePtr& exchange) {
    exchange->answer(request.headers.at("authorization") == "Bearer new" ? 200 : 401, "{}");
  };
  EXPECT_EQ(ask({.path = "/x"}).error().status, 401);
  write("new\n");
  still.at += 5;
  EXPECT_EQ(ask({.path = "/x"}).error().status, 401) << "a token is read again only after a while, or a refusal";
  EXPECT_TRUE(ask({.path = "/x"}));
  client.reset();
}

TEST_F(ClientTest, refuses_addresses_and_certificates_that_cannot_be_used) {
  KubeAccess access;
  access.server = "ftp://nowhere";
  access.origin = "a test";
  EXPECT_THAT(KubeClient::create(loop, clock, access, "test", nullptr).error().message, HasSubstr("a test"));
  access.server = "https://127.0.0.1:1";
  access.ca_pem = "no certificate";
  EXPECT_EQ(KubeClient::create(loop, clock, access, "test", nullptr).error().code, ErrorCode::kInvalidArgument);
}

TEST_F(ClientTest, a_stream_that_nobody_takes_stops_the_server_instead_of_filling_the_memory) {
  api.handler = [](const FakeRequest&, const ExchangePtr& exchange) {
    exchange->begin_stream();
    for (int i = 0; i < 200; ++i) exchange->chunk(std::string(10'000, 'x'));
    exchange->end_stream();
  };
  std::size_t bytes = 0, pieces_max = 0;
  bool ended = false;
  client->stream("/x", std::chrono::minutes(1),
                 {[](net::RestResponse) {},
                  [&](std::string_view piece) {
                    bytes += piece.size();
                    pieces_max = std::max(pieces_max, piece.size());
                  },
                  [&](Result<void>) { ended = true; }});
  EXPECT_TRUE(run_until(loop, [&] { return ended; }));
  EXPECT_GT(bytes, 0u);
  EXPECT_LT(pieces_max, net::kRestStreamBytesMax + 20'000);
}

}  // namespace dask::kube::test
