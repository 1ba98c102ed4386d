// What the network tests share: a loop that runs until something holds, and a raw socket that can say anything.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <string_view>

#include "core/net/comm.h"
#include "core/net/loop.h"
#include "core/wire/message.h"

namespace dask::net::test {

constexpr auto kDeadline = std::chrono::seconds(60);

// Runs the loop until `done()` is true; false after a generous deadline.
inline bool run_until(Loop& loop, const std::function<bool()>& done) {
  bool in_time = true;
  auto poll = loop.every(std::chrono::milliseconds(1), [&] {
    if (done()) loop.stop();
  });
  auto deadline = loop.after(kDeadline, [&] {
    in_time = false;
    loop.stop();
  });
  loop.run();
  return in_time;
}

// A blocking TCP socket on 127.0.0.1.
class RawPeer {
 public:
  explicit RawPeer(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  ~RawPeer() { close(); }
  void send(std::string_view bytes) {
    EXPECT_EQ(::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  bool connected() const { return connected_; }
  int fd() const { return fd_; }
  // What has arrived by now, without waiting. `ended` when the other side closed.
  std::string receive(bool* ended = nullptr) {
    std::string all;
    char buffer[4096];
    for (;;) {
      ssize_t n = ::recv(fd_, buffer, sizeof buffer, MSG_DONTWAIT);
      if (n <= 0) {
        if (ended) *ended = n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
        return all;
      }
      all.append(buffer, static_cast<std::size_t>(n));
    }
  }

 private:
  int fd_;
  bool connected_ = false;
};

inline std::string on_wire(const Value& message) {
  wire::Frames frames = wire::encode_message(message);
  std::string bytes = wire::frames_prelude(frames);
  for (const Bytes& frame : frames) bytes += frame.view();
  return bytes;
}

inline Value handshake() {
  Value message = Value::map();
  message.set("compression", nullptr);
  message.set("python", Value::Array{3, 11, 0});
  message.set("pickle-protocol", 5);
  return message;
}

inline Address loopback(std::uint16_t port = 0) { return Address{"tcp", "127.0.0.1", port}; }

}  // namespace dask::net::test
