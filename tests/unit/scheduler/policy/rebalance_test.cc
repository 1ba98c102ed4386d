// Rebalancing: what moves from full workers to empty ones, and what stays. The cases are Dask's own numbers.
#include "scheduler/policy/rebalance.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "scheduler/policy/memory.h"

namespace dask::scheduler {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

// Workers with a memory limit of 100 MiB each, and results on them.
class RebalanceTest : public testing::Test {
 protected:
  WorkerId worker(std::int64_t limit = 100 * kMiB) {
    Worker ws;
    ws.address = fmt::format("tcp://127.0.0.1:{}", 1000 + workers_.size());
    ws.name = Value(workers_.size());
    ws.memory_limit = limit;
    ws.status = WorkerStatus::kRunning;
    workers_.push_back(state_.add_worker(std::move(ws)).id);
    return workers_.back();
  }
  Task& result(const std::string& name, std::int64_t nbytes, std::vector<WorkerId> holders) {
    Task& ts = state_.new_task(Key::from_string(name), TaskState::kMemory);
    state_.set_nbytes(ts, nbytes);
    for (WorkerId id : holders) {
      state_.add_replica(ts, state_.worker(id));
      state_.worker(id).memory_process += nbytes;
    }
    return ts;
  }
  std::vector<std::string> moves(RebalanceSettings settings = {}, std::optional<std::set<std::uint32_t>> allowed = {}) {
    std::vector<std::string> lines;
    for (const Move& move : propose_rebalance(state_, workers_, allowed, settings).moves)
      lines.push_back(fmt::format("{}: {}->{}", state_.task(move.task).key.str(), move.sender.value, move.recipient.value));
    return lines;
  }

  State state_{Settings{}};
  std::vector<WorkerId> workers_;
};

using Lines = std::vector<std::string>;

TEST_F(RebalanceTest, a_full_worker_sends_its_oldest_results_to_an_empty_one) {
  const WorkerId full = worker();
  worker();
  for (int i = 0; i < 8; ++i) result(fmt::format("x{}", i), 10 * kMiB, {full});
  EXPECT_EQ(moves(), (Lines{"x0: 0->1", "x1: 0->1", "x2: 0->1", "x3: 0->1"}));
}

TEST_F(RebalanceTest, nothing_moves_while_memory_is_plenty) {
  const WorkerId full = worker();
  worker();
  result("x", 20 * kMiB, {full});
  EXPECT_EQ(moves(), Lines{});
}

TEST_F(RebalanceTest, nothing_moves_within_the_gap_around_the_mean) {
  const WorkerId a = worker(), b = worker();
  for (int i = 0; i < 25; ++i) result(fmt::format("x{}", i), 2 * kMiB, {a});
  for (int i = 0; i < 21; ++i) result(fmt::format("y{}", i), 2 * kMiB, {b});
  EXPECT_EQ(moves(), Lines{});
}

TEST_F(RebalanceTest, a_result_that_is_larger_than_the_difference_stays) {
  const WorkerId full = worker();
  worker();
  result("large", 60 * kMiB, {full});
  result("small", 10 * kMiB, {full});
  EXPECT_EQ(moves(), (Lines{"small: 0->1"}));
}

TEST_F(RebalanceTest, copies_are_not_sent_where_one_is) {
  const WorkerId full = worker(), half = worker();
  worker();
  result("both", 10 * kMiB, {full, half});
  for (int i = 0; i < 6; ++i) result(fmt::format("x{}", i), 10 * kMiB, {full});
  for (const std::string& move : moves()) EXPECT_NE(move, "both: 0->1");
  EXPECT_FALSE(moves().empty());
}

TEST_F(RebalanceTest, only_allowed_results_move) {
  const WorkerId full = worker();
  worker();
  std::set<std::uint32_t> allowed;
  for (int i = 0; i < 8; ++i) {
    const Task& ts = result(fmt::format("x{}", i), 10 * kMiB, {full});
    if (i >= 6) allowed.insert(ts.slot);
  }
  EXPECT_EQ(moves({}, allowed), (Lines{"x6: 0->1", "x7: 0->1"}));
}

TEST_F(RebalanceTest, workers_without_a_limit_are_brought_to_the_mean) {
  const WorkerId full = worker(0);
  worker(0);
  result("x", kMiB, {full});
  result("y", kMiB, {full});
  EXPECT_EQ(moves(), (Lines{"x: 0->1"}));
}

TEST_F(RebalanceTest, no_workers_no_moves) { EXPECT_EQ(moves(), Lines{}); }

TEST(MemoryState, parts_add_up_even_when_measured_at_different_times) {
  Worker ws;
  ws.memory_process = 100;
  ws.nbytes = 150;  // newer than the heartbeat
  ws.memory_spilled = 20;
  ws.disk_spilled = 15;
  ws.memory_unmanaged_old = 30;
  const MemoryState memory = memory_of(ws);
  EXPECT_EQ(memory.managed, 100);
  EXPECT_EQ(memory.unmanaged_old, 0);
  EXPECT_EQ(memory.measure("managed_total"), 115);
  EXPECT_EQ(memory.measure("unmanaged"), 0);
  EXPECT_EQ(memory.measure("nonsense"), std::nullopt);
}

}  // namespace
}  // namespace dask::scheduler
