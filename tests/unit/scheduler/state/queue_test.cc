// The queue of root-ish tasks against a sorted set; slots that are used again must not wake old entries.
#include <set>
#include <tuple>

#include "state_fixture.h"

namespace dask::scheduler {
namespace {

using QueueTest = StateTest;

TEST_F(QueueTest, GivesTheHighestPriorityFirst) {
  Task& low = task("low");
  Task& high = task("high");
  Task& middle = task("middle");
  low.priority = Priority{0, 2, 0};
  high.priority = Priority{-1, 3, 0};
  middle.priority = Priority{0, 1, 5};
  for (Task* ts : {&low, &high, &middle}) state_.queue_push(*ts);
  for (Task* expected : {&high, &middle, &low}) {
    ASSERT_EQ(state_.queue_peek(), expected);
    state_.queue_remove(*expected);
  }
  EXPECT_EQ(state_.queue_peek(), nullptr);
  EXPECT_EQ(state_.queue_size(), 0u);
}

TEST_F(QueueTest, AnEntryOfAForgottenTaskDoesNotComeBackWithItsSlot) {
  Task& old = task("old");
  state_.queue_push(old);
  state_.queue_remove(old);
  state_.set_state(old, TaskState::kForgotten);
  state_.forget(old);
  state_.reap();
  Task& young = task("young");
  ASSERT_EQ(young.slot, old.slot);
  EXPECT_EQ(state_.queue_peek(), nullptr);
  state_.queue_push(young);
  EXPECT_EQ(state_.queue_peek(), &young);
}

TEST_F(QueueTest, AgreesWithASortedSetThroughManyChanges) {
  std::mt19937 random(7);
  std::vector<Task*> tasks;
  for (int i = 0; i < 200; ++i) {
    tasks.push_back(&task(fmt::format("t{}", i)));
    tasks.back()->priority = Priority{static_cast<double>(random() % 3), 1, static_cast<double>(i)};
  }
  std::set<std::pair<Priority, Task*>> model;
  for (int step = 0; step < 20000; ++step) {
    Task* ts = tasks[random() % tasks.size()];
    if (model.contains({ts->priority, ts})) {
      state_.queue_remove(*ts);
      model.erase({ts->priority, ts});
    } else {
      state_.queue_push(*ts);
      model.insert({ts->priority, ts});
    }
    ASSERT_EQ(state_.queue_size(), model.size());
    ASSERT_EQ(state_.queue_peek(), model.empty() ? nullptr : model.begin()->second);
  }
}

}  // namespace
}  // namespace dask::scheduler
