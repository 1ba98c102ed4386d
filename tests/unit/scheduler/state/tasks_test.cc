// Tasks, their groups and prefixes, slots and ids, clients and wishes.
#include "state_fixture.h"

namespace dask::scheduler {
namespace {

using TasksTest = StateTest;

void forget(State& state, Task& ts) {
  state.set_state(ts, TaskState::kForgotten);
  state.forget(ts);
}

TEST_F(TasksTest, AForgottenTaskCanBeReadUntilTheNextEvent) {
  Task& x = task("x");
  const TaskId id = State::id_of(x);
  forget(state_, x);
  EXPECT_EQ(state_.find(Key::from_string("x").msgpack()), nullptr);
  EXPECT_EQ(state_.get(id), &x);
  state_.reap();
  EXPECT_EQ(state_.get(id), nullptr);
  Task& again = task("x");
  EXPECT_EQ(again.slot, id.index);
  EXPECT_NE(State::id_of(again), id);
}

TEST_F(TasksTest, AKeyThatIsForgottenAndComesBackInOneEventIsTwoTasks) {
  Task& x = task("x");
  forget(state_, x);
  Task& again = task("x");
  EXPECT_NE(&again, &x);
  state_.reap();
  EXPECT_EQ(state_.find(Key::from_string("x").msgpack()), &again);
  EXPECT_EQ(state_.validate(), "");
}

TEST_F(TasksTest, GroupsAndPrefixesCountStates) {
  task("inc-1");
  Task& x = task("inc-2");
  state_.set_state(x, TaskState::kWaiting);
  ASSERT_EQ(state_.prefixes().size(), 1u);
  const TaskPrefix& inc = state_.prefix(state_.prefixes().begin()->second);
  EXPECT_EQ(inc.name, "inc");
  EXPECT_EQ(inc.size, 2);
  EXPECT_EQ(inc.states[static_cast<std::size_t>(TaskState::kWaiting)], 1);
  EXPECT_EQ(inc.states[static_cast<std::size_t>(TaskState::kReleased)], 1);
}

TEST_F(TasksTest, AGroupGoesWithItsLastTask) {
  Task& x = task("x");
  Task& y = task("x-1");
  EXPECT_EQ(state_.groups().size(), 1u);
  forget(state_, x);
  EXPECT_EQ(state_.groups().size(), 1u);
  forget(state_, y);
  EXPECT_TRUE(state_.groups().empty());
  state_.reap();
  const TaskPrefix& prefix = state_.prefix(state_.prefixes().begin()->second);
  EXPECT_EQ(prefix.size, 0);
}

TEST_F(TasksTest, GroupsThatDependOnEachOtherInACircleAreFreed) {
  for (int round = 0; round < 3; ++round) {
    Task& a = task("a");
    Task& b = task("b");
    Task& a1 = task("a-1");
    state_.add_dependency(b, a);
    state_.add_dependency(a1, b);
    const GroupId group_of_a = a.group, group_of_b = b.group;
    state_.remove_dependency(b, 0);
    state_.remove_dependency(a1, 0);
    for (Task* ts : {&a, &b, &a1}) forget(state_, *ts);
    state_.reap();
    EXPECT_TRUE(state_.groups().empty());
    EXPECT_LT(group_of_a.value, 2u) << "the slot of a group was not used again";
    EXPECT_LT(group_of_b.value, 2u);
  }
}

TEST_F(TasksTest, WishesAreMirrored) {
  const ClientId c = state_.add_client("c", true).id;
  const ClientId d = state_.add_client("d", true).id;
  Task& x = task("x");
  Task& y = task("y");
  Task& z = task("z");
  for (Task* ts : {&x, &y, &z}) state_.add_want(*ts, c);
  state_.add_want(x, c);  // once is enough
  state_.add_want(x, d);
  EXPECT_EQ(state_.client(c).wants_what.size(), 3u);
  EXPECT_TRUE(state_.remove_want(x, c));
  EXPECT_FALSE(state_.remove_want(x, c));
  EXPECT_TRUE(state_.wants(x, d));
  EXPECT_FALSE(state_.wants(x, c));
  EXPECT_EQ(state_.validate(), "");
}

TEST_F(TasksTest, DurationsAreAveragedPerPrefix) {
  Task& x = task("inc-1");
  EXPECT_DOUBLE_EQ(state_.prefix_duration(state_.prefix(x.prefix)), 0.5);
  state_.add_duration(x, "transfer", 0, 100);
  EXPECT_DOUBLE_EQ(state_.prefix_duration(state_.prefix(x.prefix)), 0.5);
  state_.add_duration(x, "compute", 0, 4);
  state_.add_duration(x, "compute", 4, 6);
  EXPECT_DOUBLE_EQ(state_.prefix_duration(state_.prefix(x.prefix)), 3);
  EXPECT_EQ(state_.group(x.group).all_durations_us.at("compute"), 6'000'000);
}

TEST_F(TasksTest, TheTransitionLogKeepsTheLastOnes) {
  Settings settings;
  settings.transition_log_length = 3;
  State state(settings);
  Task& x = state.new_task(Key::from_string("x"), TaskState::kReleased);
  for (int i = 0; i < 5; ++i) state.log_transition(x, TaskState::kReleased, TaskState::kWaiting, fmt::format("s{}", i), i);
  const auto log = state.transition_log();
  ASSERT_EQ(log.size(), 3u);
  EXPECT_EQ(log[0]->stimulus_id, "s2");
  EXPECT_EQ(log[2]->stimulus_id, "s4");
}

}  // namespace
}  // namespace dask::scheduler
