// Edges against a naive model: sets of names. Removing swaps the last edge into the gap on both sides; mates must follow.
#include <map>
#include <set>

#include "state_fixture.h"

namespace dask::scheduler {
namespace {

using EdgesTest = StateTest;

std::set<std::string> names(const State& state, const auto& edges, bool flagged) {
  std::set<std::string> found;
  for (const Edge& edge : edges)
    if (!flagged || edge.flag) found.insert(state.task(edge.task).key.str());
  return found;
}

TEST_F(EdgesTest, AnEdgeAndItsMateNameEachOther) {
  Task& x = task("x");
  Task& y = task("y");
  Task& z = task("z");
  state_.add_dependency(z, x);
  state_.add_dependency(z, y);
  state_.add_dependency(y, x);
  EXPECT_EQ(&state_.task(state_.mate_of_dependency(z.dependencies[1]).task), &z);
  EXPECT_EQ(&state_.task(state_.mate_of_dependent(x.dependents[1]).task), &x);
  state_.remove_dependency(z, 0);
  EXPECT_EQ(names(state_, z.dependencies, false), std::set<std::string>{"y"});
  EXPECT_EQ(names(state_, x.dependents, false), std::set<std::string>{"y"});
  EXPECT_EQ(state_.validate(), "");
}

TEST_F(EdgesTest, FlagsAreCountedOnBothSides) {
  Task& x = task("x");
  Task& y = task("y");
  state_.add_dependency(y, x);
  state_.set_waiting_on(y, y.dependencies[0], true);
  state_.set_waiting_on(y, y.dependencies[0], true);
  state_.set_waiter(x, x.dependents[0], true);
  EXPECT_EQ(y.waiting_on, 1u);
  EXPECT_EQ(x.waiters, 1u);
  state_.remove_dependency(y, 0);
  EXPECT_EQ(y.waiting_on, 0u);
  EXPECT_EQ(x.waiters, 0u);
}

TEST_F(EdgesTest, AgreeWithSetsThroughManyChanges) {
  for (std::uint32_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    State state{Settings{}};
    constexpr std::uint32_t kTasks = 12;
    std::vector<Task*> tasks;
    for (std::uint32_t i = 0; i < kTasks; ++i)
      tasks.push_back(&state.new_task(Key::from_string(fmt::format("t{}", i)), TaskState::kReleased));
    std::map<std::string, std::set<std::string>> dependencies, waiting_on, waiters;
    for (int step = 0; step < 2000; ++step) {
      Task& ts = *tasks[random() % kTasks];
      Task& other = *tasks[random() % kTasks];
      const std::string name = ts.key.str(), other_name = other.key.str();
      if (&ts == &other) continue;
      if (!dependencies[name].contains(other_name)) {
        state.add_dependency(ts, other);
        dependencies[name].insert(other_name);
      }
      std::size_t at = 0;
      while (&state.task(ts.dependencies[at].task) != &other) ++at;
      switch (random() % 4) {
        case 0: state.set_waiting_on(ts, ts.dependencies[at], random() % 2); break;
        case 1: state.set_waiter(other, state.mate_of_dependency(ts.dependencies[at]), random() % 2); break;
        case 2:
          state.remove_dependency(ts, at);
          dependencies[name].erase(other_name);
          break;
        default:
          if (random() % 10 == 0) {
            state.clear_waiters(ts);
            state.clear_waiting_on(ts);
          }
      }
      for (Task* t : tasks) {
        ASSERT_EQ(names(state, t->dependencies, false), dependencies[t->key.str()]);
        ASSERT_EQ(names(state, t->dependencies, true).size(), t->waiting_on);
        ASSERT_EQ(names(state, t->dependents, true).size(), t->waiters);
        for (const Edge& edge : t->dependencies) ASSERT_EQ(&state.task(state.mate_of_dependency(edge).task), t);
        for (const Edge& edge : t->dependents) ASSERT_EQ(&state.task(state.mate_of_dependent(edge).task), t);
      }
    }
  }
}

}  // namespace
}  // namespace dask::scheduler
