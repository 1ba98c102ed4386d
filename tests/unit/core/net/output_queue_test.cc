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
