// Reducing replicas: which copies go, and which stay because somebody needs them.
#include "scheduler/policy/reduce_replicas.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace dask::scheduler {
namespace {

class ReduceReplicasTest : public testing::Test {
 protected:
  WorkerId worker(WorkerStatus status = WorkerStatus::kRunning) {
    Worker ws;
    ws.address = fmt::format("tcp://127.0.0.1:{}", 1000 + state_.workers().size());
    ws.name = Value(state_.workers().size());
    ws.status = status;
    return state_.add_worker(std::move(ws)).id;
  }
  Task& result(const std::string& name, const std::vector<WorkerId>& holders, std::int64_t nbytes = 10) {
    Task& ts = state_.new_task(Key::from_string(name), TaskState::kMemory);
    state_.set_nbytes(ts, nbytes);
    for (WorkerId id : holders) {
      state_.add_replica(ts, state_.worker(id));
      state_.worker(id).memory_process += nbytes;
    }
    return ts;
  }
  // A task that waits for, or runs with, a result.
  Task& needs(const std::string& name, Task& dependency, WorkerId runs_on = {}) {
    Task& ts = state_.new_task(Key::from_string(name), TaskState::kReleased);
    state_.add_dependency(ts, dependency);
    state_.set_waiter(dependency, dependency.dependents[ts.dependencies.back().mate], true);
    state_.set_state(ts, runs_on.valid() ? TaskState::kProcessing : TaskState::kWaiting);
    if (runs_on.valid()) state_.add_to_processing(ts, state_.worker(runs_on));
    return ts;
  }
  std::vector<std::string> drops() {
    std::vector<std::string> lines;
    for (const Drop& drop : propose_drops(state_, state_.replicated_tasks(), "managed"))
      lines.push_back(fmt::format("{} from {}", state_.task(drop.task).key.str(), drop.worker.value));
    return lines;
  }

  State state_{Settings{}};
};

using Lines = std::vector<std::string>;

TEST_F(ReduceReplicasTest, copies_go_from_the_fullest_workers) {
  const WorkerId a = worker(), b = worker(), c = worker();
  result("filler", {b}, 100);
  result("little", {a}, 50);
  result("x", {a, b, c});
  EXPECT_EQ(drops(), (Lines{"x from 1", "x from 0"}));
}

TEST_F(ReduceReplicasTest, drops_of_one_run_count_for_the_next_choice) {
  const WorkerId a = worker(), b = worker();
  for (int i = 0; i < 4; ++i) result(fmt::format("x{}", i), {a, b});
  EXPECT_EQ(drops(), (Lines{"x0 from 0", "x1 from 1", "x2 from 0", "x3 from 1"}));
}

TEST_F(ReduceReplicasTest, copies_go_from_paused_workers_first) {
  const WorkerId a = worker(), b = worker(WorkerStatus::kPaused);
  result("filler", {a}, 100);
  result("x", {a, b});
  EXPECT_EQ(drops(), (Lines{"x from 1"}));
}

TEST_F(ReduceReplicasTest, every_worker_that_needs_it_keeps_its_copy) {
  const WorkerId a = worker(), b = worker(), c = worker();
  Task& x = result("x", {a, b, c});
  needs("y", x, a);
  needs("z", x, a);
  needs("w", x, b);
  EXPECT_EQ(drops(), (Lines{"x from 2"}));
}

TEST_F(ReduceReplicasTest, tasks_without_a_worker_keep_a_copy_each) {
  const WorkerId a = worker(), b = worker(), c = worker();
  Task& x = result("x", {a, b, c});
  needs("y", x);
  needs("z", x);
  EXPECT_EQ(drops().size(), 1u);
}

TEST_F(ReduceReplicasTest, the_only_copy_off_leaving_workers_stays) {
  const WorkerId a = worker(), b = worker(WorkerStatus::kClosingGracefully);
  Task& x = result("x", {a, b});
  needs("y", x, b);
  EXPECT_EQ(drops(), Lines{});
}

TEST_F(ReduceReplicasTest, actors_and_single_copies_stay) {
  const WorkerId a = worker(), b = worker();
  result("actor", {a, b}).actor = true;
  Task& x = result("x", {a, b});
  state_.remove_replica(x, state_.worker(b));
  EXPECT_EQ(drops(), Lines{});
  EXPECT_EQ(state_.replicated_tasks().size(), 1u);
}

TEST_F(ReduceReplicasTest, replicated_tasks_are_listed_once_however_often_copies_come_and_go) {
  const WorkerId a = worker(), b = worker();
  Task& x = result("x", {a});
  for (int i = 0; i < 10'000; ++i) {
    state_.add_replica(x, state_.worker(b));
    state_.remove_replica(x, state_.worker(b));
  }
  EXPECT_TRUE(state_.replicated_tasks().empty());
  state_.add_replica(x, state_.worker(b));
  state_.remove_replica(x, state_.worker(b));
  state_.add_replica(x, state_.worker(b));
  EXPECT_EQ(state_.replicated_tasks().size(), 1u);
}

}  // namespace
}  // namespace dask::scheduler
