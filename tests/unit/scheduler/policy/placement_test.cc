// Where a task goes: the rules of Dask's decide_worker and its relatives, one by one.
#include "scheduler/policy/placement.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace dask::scheduler {
namespace {

class PlacementTest : public testing::Test {
 protected:
  Worker& worker(const std::string& name, std::int64_t nthreads = 1, std::map<std::string, double> resources = {}) {
    Worker ws;
    ws.address = "tcp://10.0.0.1:" + name;
    ws.host = "10.0.0.1";
    ws.name = Value(name);
    ws.nthreads = nthreads;
    ws.status = WorkerStatus::kRunning;
    ws.resources = std::move(resources);
    return state_.add_worker(std::move(ws));
  }
  Task& task(const std::string& name) { return state_.new_task(Key::from_string(name), TaskState::kReleased); }
  Task& data(const std::string& name, std::int64_t nbytes, std::vector<Worker*> holders) {
    Task& ts = state_.new_task(Key::from_string(name), TaskState::kMemory);
    state_.set_nbytes(ts, nbytes);
    for (Worker* ws : holders) state_.add_replica(ts, *ws);
    return ts;
  }
  Task& process(const std::string& name, Worker& ws) {
    Task& ts = task(name);
    state_.add_to_processing(ts, ws);
    state_.set_state(ts, TaskState::kProcessing);
    state_.check_idle_saturated(ws);
    return ts;
  }
  WorkerId rootish() {
    Task* ts = state_.find(Key::from_string("rootish").msgpack());
    return decide_worker_rootish_queuing_enabled(state_, ts ? *ts : task("rootish"));
  }
  Task& restricted(const std::string& name, std::vector<std::string> workers, bool loose = false,
                   std::vector<std::pair<std::string, double>> resources = {}) {
    auto a = std::make_shared<Annotations>();
    a->workers = std::move(workers);
    a->allow_other_workers = loose;
    a->resources = std::move(resources);
    Task& ts = task(name);
    ts.annotations = std::move(a);
    return ts;
  }

  State state_{Settings{}};
};

TEST_F(PlacementTest, WithoutWorkersThereIsNone) {
  EXPECT_FALSE(decide_worker_non_rootish(state_, task("x")).valid());
  EXPECT_FALSE(rootish().valid());
  EXPECT_FALSE(decide_worker_rootish_queuing_disabled(state_, task("y")).worker.valid());
}

TEST_F(PlacementTest, ATaskGoesToTheBytes) {
  Worker& a = worker("1");
  Worker& b = worker("2");
  Task& x = task("x");
  state_.add_dependency(x, data("small", 10, {&a}));
  state_.add_dependency(x, data("large", 1000, {&b}));
  EXPECT_EQ(decide_worker_non_rootish(state_, x), b.id);
  EXPECT_DOUBLE_EQ(comm_cost(state_, x, b), 10 / 100e6);
  EXPECT_DOUBLE_EQ(comm_cost(state_, x, a), 1000 / 100e6);
}

TEST_F(PlacementTest, OnlyHoldersOfADependencyAreCandidates) {
  Worker& a = worker("1");
  worker("2");
  for (int i = 0; i < 3; ++i) process(fmt::format("busy-{}", i), a);
  Task& x = task("x");
  state_.add_dependency(x, data("d", 10, {&a}));
  EXPECT_EQ(decide_worker_non_rootish(state_, x), a.id) << "stealing moves it, if need be";
}

TEST_F(PlacementTest, AHolderThatDoesNotRunIsNoCandidate) {
  Worker& a = worker("1");
  Worker& b = worker("2");
  Task& x = task("x");
  state_.add_dependency(x, data("d", 10, {&a}));
  state_.set_status(a, WorkerStatus::kPaused);
  EXPECT_EQ(decide_worker_non_rootish(state_, x), b.id);
}

TEST_F(PlacementTest, OfEqualsTheOneThatHoldsLessWins) {
  Worker& a = worker("1");
  Worker& b = worker("2");
  data("other", 100, {&a});
  Task& x = task("x");
  state_.add_dependency(x, data("d", 10, {&a, &b}));
  EXPECT_EQ(decide_worker_non_rootish(state_, x), b.id);
}

TEST_F(PlacementTest, RestrictionsNameAddressesNamesOrHosts) {
  Worker& a = worker("1");
  Worker& b = worker("2");
  EXPECT_EQ(valid_workers(state_, task("free")), std::nullopt);
  EXPECT_EQ(valid_workers(state_, restricted("by-address", {"tcp://10.0.0.1:2"})), std::vector<WorkerId>{b.id});
  EXPECT_EQ(valid_workers(state_, restricted("by-name", {"1"})), std::vector<WorkerId>{a.id});
  EXPECT_EQ(valid_workers(state_, restricted("by-host", {"10.0.0.1"})), (std::vector<WorkerId>{a.id, b.id}));
  EXPECT_EQ(valid_workers(state_, restricted("nobody", {"3"})), std::vector<WorkerId>{});
  state_.set_status(a, WorkerStatus::kPaused);
  EXPECT_EQ(valid_workers(state_, restricted("paused", {"1"})), std::vector<WorkerId>{});
}

TEST_F(PlacementTest, ResourcesMustSuffice) {
  worker("1");
  Worker& gpu = worker("2", 1, {{"GPU", 2}});
  EXPECT_EQ(decide_worker_non_rootish(state_, restricted("x", {}, false, {{"GPU", 2}})), gpu.id);
  EXPECT_FALSE(decide_worker_non_rootish(state_, restricted("y", {}, false, {{"GPU", 3}})).valid());
  EXPECT_FALSE(decide_worker_non_rootish(state_, restricted("z", {"1"}, false, {{"GPU", 1}})).valid());
}

TEST_F(PlacementTest, LooseRestrictionsAreAWish) {
  Worker& a = worker("1");
  Worker& b = worker("2");
  EXPECT_EQ(decide_worker_non_rootish(state_, restricted("x", {"2"}, true)), b.id);
  EXPECT_TRUE(decide_worker_non_rootish(state_, restricted("y", {"3"}, true)).valid());
  EXPECT_FALSE(decide_worker_non_rootish(state_, restricted("z", {"3"})).valid());
  (void)a;
}

TEST_F(PlacementTest, RootishIsALargeGroupWithFewDependencies) {
  worker("1");
  std::vector<Task*> xs;
  for (int i = 0; i < 2; ++i) xs.push_back(&task(fmt::format("x-{}", i)));
  EXPECT_FALSE(is_rootish(state_, *xs[0])) << "two tasks are no more than twice one thread";
  xs.push_back(&task("x-2"));
  EXPECT_TRUE(is_rootish(state_, *xs[0]));
  for (int i = 0; i < 4; ++i) state_.add_dependency(*xs[0], task(fmt::format("d-{}", i)));
  EXPECT_TRUE(is_rootish(state_, *xs[0])) << "one group of four dependencies";
  state_.add_dependency(*xs[0], task("d-4"));
  EXPECT_FALSE(is_rootish(state_, *xs[0])) << "five dependencies are too many";
}

TEST_F(PlacementTest, DataProducersAreRootishAndRestrictedTasksAreNot) {
  worker("1");
  Task& producer = task("p");
  producer.data_producer = true;
  EXPECT_TRUE(is_rootish(state_, producer));
  for (int i = 0; i < 5; ++i) task(fmt::format("r-{}", i));
  Task& r = restricted("r-5", {"1"});
  r.data_producer = true;
  EXPECT_FALSE(is_rootish(state_, r));
}

TEST_F(PlacementTest, QueuedTasksGoToTheLeastLoadedWorkerWithASlot) {
  Worker& a = worker("1", 4);
  Worker& b = worker("2", 1);
  process("p-0", a);
  process("p-1", a);
  EXPECT_EQ(rootish(), b.id);
  process("p-2", b);
  EXPECT_EQ(rootish(), a.id) << "2/4 against 1/1";
  process("p-3", b);
  for (int i = 4; i < 7; ++i) process(fmt::format("p-{}", i), a);
  EXPECT_FALSE(rootish().valid()) << "ceil(1.1 * threads) each";
}

TEST_F(PlacementTest, SiblingsStayTogetherWithoutQueuing) {
  Worker& a = worker("1");
  Worker& b = worker("2");
  std::vector<Task*> xs;
  for (int i = 0; i < 6; ++i) xs.push_back(&task(fmt::format("x-{}", i)));
  CoAssignment first = decide_worker_rootish_queuing_disabled(state_, *xs[0]);
  EXPECT_EQ(first.worker, a.id);
  EXPECT_EQ(first.tasks_left, 2) << "three each";
  TaskGroup& group = state_.group(xs[0]->group);
  group.last_worker = first.worker;
  group.last_worker_tasks_left = 1;
  EXPECT_EQ(decide_worker_rootish_queuing_disabled(state_, *xs[1]).worker, a.id);
  group.last_worker_tasks_left = 0;
  process("other-0", a);
  EXPECT_EQ(decide_worker_rootish_queuing_disabled(state_, *xs[2]).worker, b.id);
}

TEST_F(PlacementTest, ActorsSpreadOverWorkers) {
  Worker& a = worker("1");
  Worker& b = worker("2");
  a.actors.insert(99);
  Task& actor = task("actor");
  actor.actor = true;
  EXPECT_EQ(decide_worker_non_rootish(state_, actor), b.id);
}

TEST_F(PlacementTest, WithManyWorkersTasksGoRound) {
  for (int i = 10; i < 35; ++i) worker(std::to_string(i));
  state_.n_tasks_sent = 3;
  EXPECT_EQ(state_.worker(decide_worker_non_rootish(state_, task("x"))).address, "tcp://10.0.0.1:13");
}

}  // namespace
}  // namespace dask::scheduler
