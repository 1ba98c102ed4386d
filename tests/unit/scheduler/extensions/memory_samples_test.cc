// Memory samples: taken when due, handed over once, forgotten with their client.
#include "scheduler/extensions/memory_samples.h"

#include <gtest/gtest.h>

namespace dask::scheduler {
namespace {

using Due = std::vector<std::pair<std::string, std::string>>;

TEST(MemorySamples, are_taken_at_once_and_at_every_interval) {
  MemorySamples m;
  EXPECT_EQ(m.next_deadline(), Deadline());
  m.start("s", "client", "process", 0.5, 10);
  EXPECT_EQ(m.take_due(10), (Due{{"s", "process"}}));
  m.sample("s", 1000.0, 7);
  EXPECT_EQ(m.take_due(10.4), Due{});
  EXPECT_EQ(m.next_deadline(), Deadline(10.5));
  EXPECT_EQ(m.take_due(10.6).size(), 1u);
  m.sample("s", 1000.5, 8);
  EXPECT_EQ(m.stop("s")->repr(), "((1000.0, 7), (1000.5, 8))");
  EXPECT_EQ(m.stop("s"), std::nullopt);
}

TEST(MemorySamples, end_with_their_client) {
  MemorySamples m;
  m.start("a", "one", "process", 1, 0);
  m.start("b", "two", "managed", 1, 0);
  EXPECT_EQ(m.clients(), (std::set<std::string>{"one", "two"}));
  m.client_left("one");
  EXPECT_EQ(m.take_due(0), (Due{{"b", "managed"}}));
}

TEST(MemorySamples, a_late_turn_takes_one_sample_not_many) {
  MemorySamples m;
  m.start("s", "client", "process", 0.1, 0);
  EXPECT_EQ(m.take_due(100).size(), 1u);
  EXPECT_EQ(m.next_deadline(), Deadline(100));
}

}  // namespace
}  // namespace dask::scheduler
