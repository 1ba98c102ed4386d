// A small API server on 127.0.0.1 for tests: it answers what the test says, in pieces when the test wants pieces, and breaks off when told.
// It is polled from the loop of the test, like everything else there.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/net/loop.h"
#include "core/runtime/clock.h"
#include "operator/kube/client.h"
#include "tests/unit/core/net/net_fixture.h"

namespace dask::kube::test {

struct FakeRequest {
  std::string method;
  std::string target;                          // path and query, as sent
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;
  bool has(std::string_view part) const { return target.find(part) != std::string::npos; }
};

// One connection of a client, and the answer to its request.
class Exchange {
 public:
  explicit Exchange(int fd) : fd_(fd) {}
  ~Exchange() { cut(); }
  void answer(int status, const std::string& body, const std::string& more_headers = "") {
    send(fmt::format("HTTP/1.1 {} Whatever\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(),
                     more_headers, body));
  }
  void begin_stream(int status = 200) {
    send(fmt::format("HTTP/1.1 {} Whatever\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n", status));
  }
  void chunk(const std::string& text) { send(fmt::format("{:x}\r\n{}\r\n", text.size(), text)); }
  void event(const std::string& type, const std::string& object) {
    chunk(fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", type, object));
  }
  void end_stream() { send("0\r\n\r\n"); }
  void send(std::string_view bytes) {
    if (fd_ >= 0) (void)!::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // Ends the connection in the middle of whatever it is in.
  void cut() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  bool closed_by_client() const { return ended_; }
  int fd() const { return fd_; }

 private:
  friend class FakeApi;
  int fd_;
  std::string input_;
  bool ended_ = false;
};
using ExchangePtr = std::shared_ptr<Exchange>;

class FakeApi {
 public:
  using Handler = std::function<void(const FakeRequest&, const ExchangePtr&)>;

  explicit FakeApi(net::Loop& loop) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    socklen_t size = sizeof at;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    EXPECT_EQ(::listen(fd_, 128), 0);
    timer_ = loop.every(std::chrono::milliseconds(1), [this] { poll(); });
  }
  ~FakeApi() { ::close(fd_); }

  std::string url() const { return fmt::format("http://127.0.0.1:{}", port_); }
  // Answers every request; those before are in `requests`.
  Handler handler;
  std::vector<FakeRequest> requests;

  std::size_t count(std::string_view part) const {
    std::size_t n = 0;
    for (const FakeRequest& request : requests) n += request.has(part);
    return n;
  }

 private:
  void poll() {
    for (int fd; (fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;)
      open_.push_back(std::make_shared<Exchange>(fd));
    auto all = open_;
    for (const ExchangePtr& one : all) read(one);
    std::erase_if(open_, [](const ExchangePtr& one) { return one->fd_ < 0 || one->ended_; });
  }
  void read(const ExchangePtr& one) {
    char buffer[65536];
    while (one->fd_ >= 0) {
      const ssize_t n = ::recv(one->fd_, buffer, sizeof buffer, 0);
      if (n > 0) {
        one->input_.append(buffer, static_cast<std::size_t>(n));
        continue;
      }
      if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) one->ended_ = true;
      break;
    }
    while (one->fd_ >= 0) {
      const std::size_t end = one->input_.find("\r\n\r\n");
      if (end == std::string::npos) return;
      FakeRequest request = head_of(one->input_.substr(0, end));
      const auto length = request.headers.find("content-length");
      const std::size_t size = length == request.headers.end() ? 0 : std::stoul(length->second);
      if (one->input_.size() < end + 4 + size) return;
      request.body = one->input_.substr(end + 4, size);
      one->input_.erase(0, end + 4 + size);
      requests.push_back(request);
      if (handler) handler(request, one);
    }
  }
  static FakeRequest head_of(const std::string& text) {
    FakeRequest request;
    std::istringstream lines(text);
    lines >> request.method >> request.target;
    std::string line;
    std::getline(lines, line);
    while (std::getline(lines, line)) {
      const std::size_t colon = line.find(':');
      if (colon == std::string::npos) continue;
      std::string name = line.substr(0, colon), value = line.substr(colon + 1);
      for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      while (!value.empty() && (value.back() == '\r' || value.back() == ' ')) value.pop_back();
      value.erase(0, value.find_first_not_of(' '));
      request.headers[name] = value;
    }
    return request;
  }

  int fd_;
  std::uint16_t port_ = 0;
  net::Loop::Timer timer_;
  std::vector<ExchangePtr> open_;
};

using net::test::run_until;

// A client of `api`, which may send at once.
inline std::unique_ptr<KubeClient> client_of(const FakeApi& api, net::Loop& loop, const Clock& clock, Metrics* metrics = nullptr,
                                             KubeAccess access = {}) {
  access.server = api.url();
  auto made = KubeClient::create(loop, clock, std::move(access), "test", metrics);
  if (!made) {
    ADD_FAILURE() << made.error().message;
    return nullptr;
  }
  (*made)->start([](Result<void>) {});
  return *std::move(made);
}

}  // namespace dask::kube::test
