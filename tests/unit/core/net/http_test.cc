// The HTTP server against a raw client: routes, limits, origins, WebSockets.
#include "core/net/http.h"

#include <gmock/gmock.h>

#include <fmt/format.h>

#include "core/net/http_text.h"
#include "tests/unit/core/net/net_fixture.h"

namespace dask::net::test {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

struct Http : testing::Test {
  void SetUp() override { serve({}); }
  void serve(HttpServer::Limits limits) {
    server.reset();
    auto result = serve_http(loop, "127.0.0.1", 0, false, limits);
    ASSERT_TRUE(result) << result.error().message;
    server = *std::move(result);
    server->route("GET", "/health", [](const HttpRequest&, const HttpReply& reply) { reply({.body = "ok"}); });
    server->route("GET", "/info/*", [](const HttpRequest& request, const HttpReply& reply) {
      reply({.body = "info " + request.path + " " + request.query.at("q")});
    });
    server->route("GET", "/info/special", [](const HttpRequest&, const HttpReply& reply) { reply({.body = "special"}); });
    server->route("POST", "/echo", [](const HttpRequest& request, const HttpReply& reply) {
      reply({.content_type = "application/json", .body = request.body});
    });
    server->route("GET", "/later", [this](const HttpRequest&, HttpReply reply) { later.push_back(std::move(reply)); });
  }
  // Sends raw bytes and gives what comes back until `count` answers have begun and the connection is quiet, or is closed.
  std::string ask(const std::string& text, const std::string& until = "") {
    RawPeer peer(server->port());
    peer.send(text);
    std::string answer;
    bool ended = false;
    EXPECT_TRUE(run_until(loop, [&] {
      answer += peer.receive(&ended);
      return ended || (!until.empty() && answer.find(until) != std::string::npos);
    }));
    return answer;
  }
  static std::string get(const std::string& target, const std::string& headers = "") {
    return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + headers + "\r\n";
  }
  static std::string post(const std::string& target, const std::string& body, const std::string& headers) {
    return fmt::format("POST {} HTTP/1.1\r\nHost: localhost:8787\r\nConnection: close\r\nContent-Length: {}\r\n{}\r\n{}", target,
                       body.size(), headers, body);
  }
  Loop loop;
  std::unique_ptr<HttpServer> server;
  std::vector<HttpReply> later;
};

constexpr const char* kJson = "Content-Type: application/json; charset=utf-8\r\n";

TEST_F(Http, answers_routes_with_the_longest_match) {
  EXPECT_THAT(ask(get("/health")),
              testing::AllOf(StartsWith("HTTP/1.1 200 OK\r\n"), HasSubstr("Content-Length: 2\r\n"), HasSubstr("\r\n\r\nok")));
  EXPECT_THAT(ask(get("/info/a%20b?q=1+2%26")), HasSubstr("info /info/a b 1 2&"));
  EXPECT_THAT(ask(get("/info/special?q=1")), HasSubstr("special"));
  EXPECT_THAT(ask(get("http://localhost/health")), HasSubstr("ok"));
}

TEST_F(Http, keeps_the_connection_for_further_requests) {
  std::string three = "GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /health HTTP/1.1\r\nHost: a\r\n\r\n" + get("/nothing");
  std::string answer = ask(three);
  EXPECT_THAT(answer, HasSubstr("404 Not Found"));
  EXPECT_NE(answer.find("200 OK"), answer.rfind("200 OK"));
}

TEST_F(Http, head_gives_the_headers_of_get) {
  std::string answer = ask("HEAD /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 2\r\n"));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\n"));
}

TEST_F(Http, says_what_is_wrong_with_a_request) {
  EXPECT_THAT(ask(get("/nothing")), testing::AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("there is nothing at /nothing")));
  EXPECT_THAT(ask("DELETE /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
              testing::AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: GET\r\n")));
  EXPECT_THAT(ask(get("/%zz")), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask("this is no HTTP\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask(post("/echo", "{}", "")), StartsWith("HTTP/1.1 415"));
  EXPECT_THAT(ask(post("/echo", "{}", "Content-Type: text/plain\r\n")), HasSubstr("application/json"));
}

TEST_F(Http, limits_bodies_and_headers) {
  serve({.body_bytes_max = 1000, .header_bytes_max = 4096});
  EXPECT_THAT(ask(post("/echo", std::string(1000, 'x'), kJson)), HasSubstr("200 OK"));
  EXPECT_THAT(ask(post("/echo", std::string(1001, 'x'), kJson)), testing::AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("1000 bytes")));
  EXPECT_THAT(ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9223372036854775807\r\n\r\n"), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(
      ask("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n" + std::string(0xfff, 'x') + "\r\n0\r\n\r\n"),
      StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(ask(get("/health", "X: " + std::string(10000, 'x') + "\r\n")), StartsWith("HTTP/1.1 431"));
}

TEST_F(Http, refuses_posts_of_foreign_origins) {
  std::string json = kJson;
  EXPECT_THAT(ask(post("/echo", "{}", json + "Origin: http://evil.example\r\n")),
              testing::AllOf(StartsWith("HTTP/1.1 403"), HasSubstr("evil.example")));
  EXPECT_THAT(ask(post("/echo", "{}", json + "Origin: null\r\n")), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(ask(post("/echo", "{}", json + "Origin: http://localhost:8788\r\n")), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(ask(post("/echo", "[1]", json + "Origin: http://LocalHost:8787\r\n")), HasSubstr("\r\n\r\n[1]"));
  EXPECT_TRUE(is_same_origin("https://h", "h:443"));
  EXPECT_FALSE(is_same_origin("h", "h"));
}

TEST_F(Http, a_handler_may_answer_later_and_only_once) {
  RawPeer peer(server->port());
  peer.send(get("/later"));
  ASSERT_TRUE(run_until(loop, [&] { return later.size() == 1; }));
  later[0]({.body = "first"});
  later[0]({.body = "second"});
  std::string answer;
  bool ended = false;
  ASSERT_TRUE(run_until(loop, [&] {
    answer += peer.receive(&ended);
    return ended;
  }));
  EXPECT_THAT(answer, testing::AllOf(HasSubstr("first"), Not(HasSubstr("second"))));
}

TEST_F(Http, an_answer_for_a_client_that_left_is_dropped) {
  {
    RawPeer peer(server->port());
    peer.send(get("/later"));
    ASSERT_TRUE(run_until(loop, [&] { return later.size() == 1; }));
  }
  later[0]({.body = std::string(1 << 20, 'x')});
  EXPECT_THAT(ask(get("/health")), HasSubstr("ok"));
}

TEST_F(Http, idle_and_slow_clients_are_dropped) {
  serve({.idle_timeout = std::chrono::milliseconds(20)});
  EXPECT_EQ(ask(""), "");
  EXPECT_EQ(ask("GET /health HT"), "");
  EXPECT_EQ(ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx"), "");
}

TEST_F(Http, too_many_connections_are_turned_away) {
  serve({.connections_max = 2});
  RawPeer first(server->port());
  RawPeer second(server->port());
  EXPECT_THAT(ask(get("/health")), StartsWith("HTTP/1.1 503"));
}

TEST_F(Http, takes_the_next_port_when_asked_to) {
  auto refused = serve_http(loop, "127.0.0.1", server->port(), false, {});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("is in use"));
  auto next = serve_http(loop, "127.0.0.1", server->port(), true, {});
  ASSERT_TRUE(next) << next.error().message;
  EXPECT_NE((*next)->port(), server->port());
}

// ---- WebSocket ----

const std::string kUpgrade =
    "GET /eventstream?a=b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

struct WebSocketTest : Http {
  void open(HttpServer::Limits limits = {}) {
    serve(limits);
    server->websocket("/eventstream", [this](WebSocketPtr socket) {
      socket->on_text([this](std::string text) { texts.push_back(std::move(text)); });
      socket->on_closed([this] { ++closed; });
      socket->send("hello");
      sockets.push_back(std::move(socket));
    });
    peer.emplace(server->port());
    peer->send(kUpgrade + "\r\n");
    ASSERT_TRUE(wait_for("hello"));
  }
  bool wait_for(const std::string& text) {
    return run_until(loop, [&] {
      got += peer->receive();
      return got.find(text) != std::string::npos;
    });
  }
  std::optional<RawPeer> peer;
  std::string got;
  std::vector<WebSocketPtr> sockets;
  std::vector<std::string> texts;
  int closed = 0;
};

TEST_F(WebSocketTest, carries_texts_both_ways) {
  open();
  EXPECT_THAT(got,
              testing::AllOf(StartsWith("HTTP/1.1 101"), HasSubstr("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), testing::EndsWith("\x81\x05hello")));
  EXPECT_EQ(sockets[0]->request().query.at("a"), "b");
  peer->send(std::string("\x81\x84\0\0\0\0ping", 10));  // a text, masked with zeros
  ASSERT_TRUE(run_until(loop, [&] { return texts.size() == 1; }));
  EXPECT_EQ(texts[0], "ping");
  sockets[0]->send("one");
  sockets[0]->send("two");
  ASSERT_TRUE(wait_for("two"));
  peer->close();
  ASSERT_TRUE(run_until(loop, [&] { return closed == 1; }));
  sockets[0]->send("nobody is there");
}

TEST_F(WebSocketTest, garbage_closes_it) {
  open();
  peer->send("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
  ASSERT_TRUE(wait_for("\x88\x02\x03\xea"));  // a close frame: protocol error
  peer->close();
  ASSERT_TRUE(run_until(loop, [&] { return closed == 1; }));
}

TEST_F(WebSocketTest, one_that_does_not_read_is_dropped) {
  open({.websocket_queue_bytes_max = 8 << 20});
  auto more = loop.every(std::chrono::milliseconds(1), [&] { sockets[0]->send(std::string(1 << 20, 'x')); });
  ASSERT_TRUE(run_until(loop, [&] { return closed == 1; }));
}

TEST_F(WebSocketTest, close_says_goodbye_after_what_was_queued) {
  open();
  sockets[0]->send("last");
  sockets[0]->close();
  ASSERT_TRUE(wait_for("last"));
  bool ended = false;
  peer->send(std::string("\x88\x82\0\0\0\0\x03\xe9", 8));
  ASSERT_TRUE(run_until(loop, [&] {
    peer->receive(&ended);
    return ended;
  }));
  EXPECT_EQ(closed, 0);
}

TEST_F(WebSocketTest, foreign_origins_and_other_paths_are_refused) {
  open();
  EXPECT_THAT(ask(kUpgrade + "Origin: http://evil.example\r\n\r\n", "refused"), StartsWith("HTTP/1.1 403"));
  std::string other = kUpgrade;
  other.replace(other.find("/eventstream"), 12, "/other");
  EXPECT_THAT(ask(other + "\r\n", "no WebSocket"), StartsWith("HTTP/1.1 404"));
}

TEST_F(WebSocketTest, the_server_may_go_while_sockets_are_open) {
  open();
  server.reset();
  bool ended = false;
  ASSERT_TRUE(run_until(loop, [&] {
    peer->receive(&ended);
    return ended;
  }));
  sockets[0]->send("late");
  sockets[0]->close();
}

}  // namespace dask::net::test
