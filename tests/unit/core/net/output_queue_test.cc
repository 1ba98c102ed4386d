// OutputQueue on a socket pair: what lies elsewhere is fetched as the socket takes it, in order with everything else.
#include "core/net/output_queue.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <string>

#include "core/runtime/process.h"
#include "tests/unit/core/net/text_source.h"

namespace dask::net::test {
namespace {

class OutputQueueTest : public testing::Test {
 protected:
  void SetUp() override {
    auto pair = socket_pair();
    ASSERT_TRUE(pair);
    ours = std::move(pair->first);
    theirs = std::move(pair->second);
  }
  // Writes and reads in turn until there is nothing more to write.
  OutputQueue::Outcome carry_over(std::string& received) {
    for (;;) {
      const auto outcome = queue.write_to(ours.get());
      std::string piece(1 << 20, '\0');
      ssize_t n;
      while ((n = ::recv(theirs.get(), piece.data(), piece.size(), MSG_DONTWAIT)) > 0)
        received.append(piece, 0, static_cast<std::size_t>(n));
      if (outcome != OutputQueue::Outcome::kBlocked) return outcome;
    }
  }
  OutputQueue queue;
  FileDescriptor ours, theirs;
};

TEST_F(OutputQueueTest, sends_what_lies_elsewhere_in_its_place) {
  const std::string first = text_of(3 * OutputQueue::kStageBytes + 17), second = text_of(OutputQueue::kStageBytes);
  const std::string big(100'000, 'b');
  queue.add_copy("before");
  queue.add(Bytes::elsewhere(std::make_shared<TextSource>(first), first.size()));
  queue.add(Bytes::elsewhere(std::make_shared<TextSource>(second), second.size()));
  queue.add_copy("between");
  queue.add(Bytes::own(big));
  queue.add(Bytes::elsewhere(std::make_shared<TextSource>(first), first.size()));
  EXPECT_EQ(queue.bytes(), 2 * first.size() + second.size() + big.size() + 13);
  std::string received;
  EXPECT_EQ(carry_over(received), OutputQueue::Outcome::kEmpty);
  EXPECT_TRUE(received == "before" + first + second + "between" + big + first);
  EXPECT_TRUE(queue.empty());
}

TEST_F(OutputQueueTest, fetches_each_byte_once) {
  auto source = std::make_shared<TextSource>(text_of(2'000'001));
  queue.add(Bytes::elsewhere(source, source->text().size()));
  std::string received;
  EXPECT_EQ(carry_over(received), OutputQueue::Outcome::kEmpty);
  EXPECT_EQ(source->fetched(), source->text().size());
}

TEST_F(OutputQueueTest, lets_a_source_go_when_all_of_it_is_sent) {
  auto source = std::make_shared<TextSource>(text_of(1'000'000));
  std::weak_ptr<TextSource> weak = source;
  const std::size_t size = source->text().size();
  queue.add(Bytes::elsewhere(std::move(source), size));
  std::string received;
  carry_over(received);
  EXPECT_TRUE(weak.expired());
}

TEST_F(OutputQueueTest, hands_over_what_its_source_can_send_and_goes_on_behind_it) {
  auto source = std::make_shared<TextSource>(text_of(2 * OutputQueue::kHandOverBytesMin));
  const auto small = std::make_shared<TextSource>(text_of(OutputQueue::kHandOverBytesMin - 1));
  std::function<void(int)> sent;
  source->ask = [&](int, std::uint64_t offset, std::uint64_t size, std::function<void(int)> done) {
    EXPECT_EQ(offset, 0u);
    EXPECT_EQ(size, source->text().size());
    sent = std::move(done);
  };
  small->ask = [](int, std::uint64_t, std::uint64_t, const std::function<void(int)>&) { FAIL() << "it is too small"; };
  queue.add_copy("before");
  queue.add(Bytes::elsewhere(source, source->text().size()));
  queue.add_copy("between");
  queue.add(Bytes::elsewhere(small, small->text().size()));
  EXPECT_EQ(queue.write_to(ours.get(), true), OutputQueue::Outcome::kHandOver);
  bool done = false;
  ASSERT_TRUE(queue.hand_over(ours.get(), [&](int error) {
    EXPECT_EQ(error, 0);
    done = true;
  }));
  std::string received(6, '\0');
  EXPECT_EQ(::recv(theirs.get(), received.data(), received.size(), MSG_DONTWAIT), 6);
  EXPECT_EQ(received, "before");
  sent(0);
  ASSERT_TRUE(done);
  queue.handed_over();
  received.clear();
  EXPECT_EQ(carry_over(received), OutputQueue::Outcome::kEmpty);
  EXPECT_TRUE(received == "between" + small->text());
  EXPECT_EQ(source->fetched(), 0u);
}

TEST_F(OutputQueueTest, reads_what_its_source_cannot_send) {
  const auto source = std::make_shared<TextSource>(text_of(2 * OutputQueue::kHandOverBytesMin));
  queue.add(Bytes::elsewhere(source, source->text().size()));
  EXPECT_EQ(queue.write_to(ours.get(), true), OutputQueue::Outcome::kHandOver);
  EXPECT_FALSE(queue.hand_over(ours.get(), [](int) { FAIL(); }));
  std::string received;
  EXPECT_EQ(carry_over(received), OutputQueue::Outcome::kEmpty);
  EXPECT_TRUE(received == source->text());
}

TEST_F(OutputQueueTest, keeps_what_is_handed_over_until_it_is_sent_also_when_it_is_cleared) {
  auto source = std::make_shared<TextSource>(text_of(2 * OutputQueue::kHandOverBytesMin));
  std::weak_ptr<TextSource> weak = source;
  std::function<void(int)> sent;
  source->ask = [&](int, std::uint64_t, std::uint64_t, std::function<void(int)> done) { sent = std::move(done); };
  const std::size_t size = source->text().size();
  queue.add(Bytes::elsewhere(std::move(source), size));
  EXPECT_EQ(queue.write_to(ours.get(), true), OutputQueue::Outcome::kHandOver);
  ASSERT_TRUE(queue.hand_over(ours.get(), [](int) {}));
  queue.clear();
  EXPECT_FALSE(weak.expired());
  sent(0);
  queue.handed_over();  // of what is there no more
  sent = nullptr;
  EXPECT_TRUE(weak.expired());
  EXPECT_TRUE(queue.empty());
}

TEST_F(OutputQueueTest, says_when_what_it_should_send_is_gone) {
  auto source = std::make_shared<TextSource>(text_of(10'000'000));
  queue.add(Bytes::elsewhere(source, source->text().size()));
  EXPECT_EQ(queue.write_to(ours.get()), OutputQueue::Outcome::kBlocked);
  source->lose();
  std::string received;
  EXPECT_EQ(carry_over(received), OutputQueue::Outcome::kGone);
  EXPECT_LT(received.size(), source->text().size());
}

}  // namespace
}  // namespace dask::net::test
