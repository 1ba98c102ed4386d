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

TEST_F(CourierTest, receives_into_a_block_that_stays_until_nobody_uses_it) {
  const std::string text = text_of(kSize);
  Sockets peer;
  std::thread writer([&] {
    for (std::size_t done = 1000; done < text.size();)
      if (const ssize_t n = ::write(peer.theirs.get(), text.data() + done, text.size() - done); n > 0) done += static_cast<std::size_t>(n);
    EXPECT_EQ(::write(peer.theirs.get(), "next", 4), 4);
  });
  std::uint64_t block = 0, address = 0;
  ASSERT_TRUE(courier->receive(peer.ours.get(), text.size(), 1000, [&](int error, std::uint64_t id, std::uint64_t at) {
    EXPECT_EQ(error, 0);
    block = id;
    address = at;
    loop.stop();
  }));
  loop.run();
  writer.join();
  EXPECT_EQ(read_all(peer.ours.get(), 4), "next");  // what follows is the worker's to read
  EXPECT_EQ(courier->received_bytes(), text.size() - 1000);
  const std::string_view received(reinterpret_cast<const char*>(address), text.size());
  EXPECT_TRUE(received.substr(1000) == std::string_view(text).substr(1000));
  EXPECT_EQ(received.substr(0, 1000), std::string(1000, '\0'));
  ASSERT_EQ(dask_courier_keep(post, block), 0);
  courier->free(block);
  EXPECT_EQ(send(peer.ours.get(), text.substr(0, 10)), 0);  // by then it has been freed
  EXPECT_TRUE(received.substr(1000) == std::string_view(text).substr(1000));
  dask_courier_let_go(post, block);
  EXPECT_EQ(dask_courier_keep(post, block), -1);
  dask_courier_let_go(post, block);  // for nothing
}

TEST_F(CourierTest, a_block_whose_sender_goes_is_none) {
  Sockets peer;
  ASSERT_EQ(::write(peer.theirs.get(), "part", 4), 4);
  peer.theirs.reset();
  std::optional<int> result;
  std::uint64_t block = 0;
  ASSERT_TRUE(courier->receive(peer.ours.get(), kSize, 0, [&](int error, std::uint64_t id, std::uint64_t) {
    result = error;
    block = id;
    loop.stop();
  }));
  loop.run();
  EXPECT_EQ(result, ECONNRESET);
  EXPECT_EQ(dask_courier_keep(post, block), -1);
}

TEST_F(CourierTest, a_size_that_is_a_lie_is_refused_or_costs_nothing) {
  Sockets peer;
  std::optional<int> result;
  ASSERT_TRUE(courier->receive(peer.ours.get(), 1ULL << 60, 0, [&](int error, std::uint64_t, std::uint64_t) {
    result = error;
    loop.stop();
  }));
  loop.run();
  EXPECT_EQ(result, ENOMEM);
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
