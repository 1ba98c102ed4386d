// A Server that listens but whose loop never runs, with its HTTP handlers caught: tests feed the machine and call handlers
// directly, on a clock of their own.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "core/net/http.h"
#include "scheduler/server/routes.h"
#include "scheduler/server/server.h"

namespace dask::scheduler::test {

class TestClock final : public Clock {
 public:
  double wall() const override { return now; }
  double monotonic() const override { return now; }
  double now = 1000;
};

class CaughtRoutes final : public net::HttpServer {
 public:
  void route(std::string method, std::string path, net::HttpHandler handler) override {
    handlers[{std::move(method), std::move(path)}] = std::move(handler);
  }
  void websocket(std::string path, std::function<void(net::WebSocketPtr)> opened) override {
    websockets[std::move(path)] = std::move(opened);
  }
  std::uint16_t port() const override { return 0; }
  void close() override {}

  std::map<std::pair<std::string, std::string>, net::HttpHandler> handlers;
  std::map<std::string, std::function<void(net::WebSocketPtr)>> websockets;
};

// A browser as the live page sees it.
class TestSocket final : public net::WebSocket {
 public:
  void send(std::string text) override { sent.push_back(std::move(text)); }
  void on_text(std::function<void(std::string)> handler) override { say = std::move(handler); }
  void on_closed(std::function<void()> handler) override { leave = std::move(handler); }
  std::size_t queued_bytes() const override { return 0; }
  const net::HttpRequest& request() const override { return request_; }
  void close() override {}

  std::vector<std::string> sent;
  std::function<void(std::string)> say;
  std::function<void()> leave;

 private:
  net::HttpRequest request_;
};

class ServerFixture : public ::testing::Test {
 protected:
  static ServerOptions default_options() {
    ServerOptions options;
    options.host = options.dashboard_host = "127.0.0.1";
    options.port = options.dashboard_port = 0;
    options.python = "/no/such/python";
    return options;
  }
  void start(ServerOptions options = default_options()) {
    server = std::make_unique<Server>(loop, clock, std::move(options));
    auto started = server->start();
    ASSERT_TRUE(started.has_value()) << started.error().message;
    add_routes(*server, http);
  }

  // The answer of the handler that is registered for `path` or for `pattern`.
  net::HttpResponse get(const std::string& path, const std::string& pattern = {}) {
    return ask("GET", path, pattern.empty() ? path : pattern, {});
  }
  net::HttpResponse post(const std::string& path, std::string body) { return ask("POST", path, path, std::move(body)); }
  net::HttpResponse ask(const std::string& method, const std::string& path, const std::string& pattern, std::string body) {
    net::HttpResponse answer;
    answer.status = -1;
    auto handler = http.handlers.find({method, pattern});
    if (handler == http.handlers.end()) return answer;
    net::HttpRequest request;
    request.method = method;
    request.path = path.substr(0, path.find('?'));
    request.body = std::move(body);
    handler->second(request, [&](net::HttpResponse response) { answer = std::move(response); });
    return answer;
  }

  WorkerId add_worker(const std::string& address, const std::string& name) {
    Worker ws;
    ws.address = address;
    ws.host = "127.0.0.1";
    ws.name = name;
    ws.nthreads = 2;
    ws.memory_limit = 1 << 30;
    ws.status = WorkerStatus::kRunning;
    server->apply(WorkerConnected{std::move(ws)}, "test");
    return server->machine().last_worker();
  }
  // Data that entered from outside: a task in memory.
  void add_data(const Key& key, WorkerId worker, std::int64_t nbytes) {
    server->apply(ClientConnected{"client", {}}, "test");
    const ClientId client = server->machine().last_client();
    server->apply(DataUpdated{client, {{key, {worker}, nbytes}}}, "test");
  }

  net::Loop loop;
  TestClock clock;
  CaughtRoutes http;
  std::unique_ptr<Server> server;
};

}  // namespace dask::scheduler::test
