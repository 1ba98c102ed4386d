// What State counts about workers: replicas, bytes, tasks by prefix, data to fetch, idle and saturated ones.
#include "state_fixture.h"

namespace dask::scheduler {
namespace {

using WorkersTest = StateTest;

TEST_F(WorkersTest, ReplicasAndBytesFollowEachOther) {
  Worker& a = worker("a");
  Worker& b = worker("b");
  Task& x = task("x");
  Task& y = task("y");
  hold(x, a, 100);
  hold(y, a, 10);
  state_.add_replica(x, b);
  state_.add_replica(x, b);  // once is enough
  EXPECT_EQ(a.nbytes, 110);
  EXPECT_EQ(b.nbytes, 100);
  state_.set_nbytes(x, 50);
  EXPECT_EQ(a.nbytes, 60);
  EXPECT_EQ(b.nbytes, 50);
  state_.remove_replica(x, a);
  EXPECT_EQ(a.nbytes, 10);
  EXPECT_TRUE(state_.holds(b, x));
  EXPECT_EQ(state_.validate(), "");
}

TEST_F(WorkersTest, DataThatSeveralTasksNeedIsFetchedOnce) {
  Worker& a = worker("a");
  Worker& b = worker("b");
  Task& x = task("x");
  hold(x, a, 1000);
  Task& y = task("y");
  Task& z = task("z");
  for (Task* ts : {&y, &z}) {
    state_.add_dependency(*ts, x);
    state_.set_waiter(x, state_.mate_of_dependency(ts->dependencies[0]), true);
    process(*ts, b);
  }
  EXPECT_EQ(b.network_occ, 1000);
  state_.remove_from_processing(y);
  state_.set_waiter(x, state_.mate_of_dependency(y.dependencies[0]), false);
  state_.set_state(y, TaskState::kReleased);
  EXPECT_EQ(b.network_occ, 1000);
  EXPECT_EQ(state_.validate(), "");
  state_.add_replica(x, b);
  EXPECT_EQ(b.network_occ, 0);
  EXPECT_EQ(state_.validate(), "");
}

TEST_F(WorkersTest, OccupancyIsWhatTasksOfThePrefixUsuallyTake) {
  Worker& a = worker("a", 2);
  Task& x = task("inc-1");
  process(x, a);
  EXPECT_DOUBLE_EQ(state_.occupancy(a), 0.5);  // nothing is known yet
  state_.add_duration(x, "compute", 10, 12);
  EXPECT_DOUBLE_EQ(state_.occupancy(a), 2);
  Task& y = task("inc-2");
  process(y, a);
  EXPECT_DOUBLE_EQ(state_.occupancy(a), 4);
  EXPECT_DOUBLE_EQ(state_.total_occupancy(), 4);
  state_.add_to_long_running(y);
  EXPECT_DOUBLE_EQ(state_.occupancy(a), 2);
  EXPECT_EQ(state_.task_slots_available(a), 3 - 1);  // ceil(1.1 * 2), less one
  state_.remove_from_processing(y);
  state_.set_state(y, TaskState::kReleased);
  EXPECT_EQ(a.long_running, 0);
  EXPECT_EQ(state_.validate(), "");
}

TEST_F(WorkersTest, AWorkerIsIdleWhileAThreadIsFree) {
  Worker& a = worker("a", 2);
  EXPECT_EQ(state_.idle(), std::vector<WorkerId>{a.id});
  process(task("x"), a);
  EXPECT_EQ(state_.idle(), std::vector<WorkerId>{a.id});
  process(task("y"), a);
  EXPECT_TRUE(state_.idle().empty());
  EXPECT_FALSE(state_.idle_task_count().empty());
  process(task("z"), a);
  EXPECT_TRUE(state_.idle_task_count().empty());
}

TEST_F(WorkersTest, AWorkerWithMuchMoreToDoThanOthersIsSaturated) {
  Worker& a = worker("a");
  worker("b");
  worker("c");
  for (int i = 0; i < 10; ++i) process(task(fmt::format("x-{}", i)), a);
  EXPECT_TRUE(state_.saturated().contains(a.id));
  EXPECT_EQ(state_.idle().size(), 2u);
}

TEST_F(WorkersTest, WorkersThatDoNotRunAreInNoList) {
  Worker& a = worker("a");
  state_.set_status(a, WorkerStatus::kPaused);
  EXPECT_TRUE(state_.running().empty());
  EXPECT_TRUE(state_.idle().empty());
  EXPECT_TRUE(state_.idle_task_count().empty());
  state_.set_status(a, WorkerStatus::kRunning);
  EXPECT_EQ(state_.running().size(), 1u);
  EXPECT_EQ(state_.idle().size(), 1u);
}

TEST_F(WorkersTest, AreFoundByAddressAndByName) {
  Worker& a = worker("a");
  Worker other;
  other.address = "tcp://other";
  other.name = Value(7);
  Worker& seven = state_.add_worker(std::move(other));
  EXPECT_EQ(state_.find_worker("tcp://a"), &a);
  EXPECT_EQ(state_.find_worker_by_name(Value("tcp://a")), &a);
  EXPECT_EQ(state_.find_worker_by_name(Value("a")), &a);
  EXPECT_EQ(state_.find_worker_by_name(Value(7)), &seven);
  state_.remove_worker(a);
  EXPECT_EQ(state_.find_worker("tcp://a"), nullptr);
  EXPECT_EQ(state_.find_worker_by_name(Value("a")), nullptr);
  EXPECT_EQ(state_.total_nthreads(), 1);
}

}  // namespace
}  // namespace dask::scheduler
