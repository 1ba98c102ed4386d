// Both sides of the courier in one process: its thread sends and receives for a loop, as an executor's does for a worker.
#include "worker/execute/courier.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <thread>

#include "worker/courier/messages.h"
#include "worker/courier/post.h"

namespace dask::worker {
namespace {

constexpr std::size_t kSize = 24 << 20;  // more than a turn, and than any socket holds

std::string text_of(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 2654435761u >> 13);
  return text;
}

std::uint64_t address_of(const std::string& text) { return reinterpret_cast<std::uint64_t>(text.data()); }

class CourierTest : public testing::Test {
 protected:
  void SetUp() override {
    auto control = packet_socket_pair();
    ASSERT_TRUE(control);
    post = dask_courier_start(control->second.release());
    ASSERT_NE(post, nullptr);
    courier = std::make_shared<Courier>(loop, std::move(control->first));
  }
  void TearDown() override {
    courier->end();
    loop.post([this] { loop.stop(); });
    loop.run();
  }

  // The result of one transfer.
  int send(int socket, const std::string& text) {
    std::optional<int> result;
    EXPECT_TRUE(courier->send(socket, address_of(text), text.size(), [&](int error) {
      result = error;
      loop.stop();
    }));
    loop.run();
    return result.value_or(-1);
  }

  static std::string read_all(int fd, std::size_t size) {
    std::string text(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      const ssize_t n = ::read(fd, text.data() + done, size - done);
      if (n <= 0) break;
      done += static_cast<std::size_t>(n);
    }
    text.resize(done);
    return text;
  }

  struct Sockets {
    Sockets() {
      auto made = socket_pair();
      ours = std::move(made->first);
      theirs = std::move(made->second);
    }
    FileDescriptor ours, theirs;
  };

  net::Loop loop;
  void* post = nullptr;
  std::shared_ptr<Courier> courier;
};

TEST_F(CourierTest, sends_all_of_it_to_a_peer_that_reads_slowly) {
  const std::string text = text_of(kSize);
  Sockets peer;
  std::string received;
  std::thread reader([&] { received = read_all(peer.theirs.get(), text.size()); });
  EXPECT_EQ(send(peer.ours.get(), text), 0);
  reader.join();
  EXPECT_TRUE(received == text);
  EXPECT_EQ(courier->sent_bytes(), text.size());
  // The socket is still ours alone: its end is one for the peer.
  peer.ours.reset();
  EXPECT_EQ(read_all(peer.theirs.get(), 1), "");
}

TEST_F(CourierTest, a_peer_that_does_not_read_keeps_nobody_else_waiting) {
  const std::string text = text_of(kSize);
  Sockets deaf, peer;
  std::optional<int> deaf_result;
  ASSERT_TRUE(courier->send(deaf.ours.get(), address_of(text), text.size(), [&](int error) {
    deaf_result = error;
    loop.stop();
  }));
  std::string received;
  std::thread reader([&] { received = read_all(peer.theirs.get(), text.size()); });
  EXPECT_EQ(send(peer.ours.get(), text), 0);
  reader.join();
  EXPECT_TRUE(received == text);
  EXPECT_FALSE(deaf_result);
  ::shutdown(deaf.ours.get(), SHUT_RDWR);  // as a comm does that is closed meanwhile
  loop.run();
  EXPECT_EQ(deaf_result, EPIPE);
}

TEST_F(CourierTest, says_that_the_peer_has_gone) {
  const std::string text = text_of(kSize);
  Sockets peer;
  peer.theirs.reset();
  EXPECT_EQ(send(peer.ours.get(), text), EPIPE);
  EXPECT_EQ(courier->sent_bytes(), 0u);
}

TEST_F(CourierTest, says_that_memory_is_not_there) {
  Sockets peer;
  std::optional<int> result;
  ASSERT_TRUE(courier->send(peer.ours.get(), 4096, kSize, [&](int error) {
    result = error;
    loop.stop();
  }));
  loop.run();
  EXPECT_EQ(result, EFAULT);
}

TEST_F(CourierTest, what_is_under_way_when_the_executor_ends_is_gone) {
  static const auto& text = *new std::string(text_of(kSize));  // the thread, which dies with the executor elsewhere, reads on for a while
  Sockets deaf;
  std::optional<int> result;
  ASSERT_TRUE(courier->send(deaf.ours.get(), address_of(text), text.size(), [&](int error) {
    result = error;
    loop.stop();
  }));
  courier->end();
  EXPECT_FALSE(result);
  loop.run();
  EXPECT_EQ(result, ESTALE);
  EXPECT_FALSE(courier->send(deaf.ours.get(), address_of(text), text.size(), [](int) { FAIL(); }));
}

TEST_F(CourierTest, refuses_and_counts_what_is_beyond_its_limit) {
  const std::string text = text_of(4 << 20);
  Sockets deaf;
  int ended = 0;
  for (int i = 0; i < kCourierTransfersMax; ++i)
    ASSERT_TRUE(courier->send(deaf.ours.get(), address_of(text), text.size(), [&](int) {
      if (++ended == kCourierTransfersMax) loop.stop();
    }));
  EXPECT_FALSE(courier->send(deaf.ours.get(), address_of(text), text.size(), [](int) { FAIL(); }));
  EXPECT_EQ(courier->refused(), 1u);
  deaf.theirs.reset();
  loop.run();
  EXPECT_EQ(ended, kCourierTransfersMax);
  EXPECT_TRUE(courier->send(deaf.ours.get(), address_of(text), text.size(), [](int) {}));
}

}  // namespace
}  // namespace dask::worker
