// Tasks that are released, and wanted again, while they run or are in flight; both for running and for seceded ones.
// Cases of distributed/tests/test_cancelled_state.py.
#include "worker_fixture.h"

namespace dask::worker {
namespace {

// x runs and holds all of the resource R; it has seceded in half of the cases.
class RunningTask : public WorkerTest, public testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    settings.resources = {{"R", 1}};
    ASSERT_EQ(handle(needing_r("x", 0)), Lines{"Execute x"});
    if (seceded()) {
      ASSERT_EQ(handle(Secede{key("x"), 1}), Lines{"LongRunningMsg x run 0"});
    }
    ASSERT_EQ(state("x"), before());
    ASSERT_EQ(available(), 0);
  }
  bool seceded() const { return GetParam(); }
  std::string before() const { return seceded() ? "long-running" : "executing"; }
  double available() { return machine().available_resources().at("R"); }
  static ComputeTask needing_r(const std::string& name, std::int64_t run_id) {
    ComputeTask e = compute(name, {}, run_id);
    e.resource_restrictions = {{"R", 1}};
    return e;
  }
  Lines told_again(std::int64_t run_id) { return seceded() ? Lines{fmt::format("LongRunningMsg x run {}", run_id)} : Lines{}; }
};
INSTANTIATE_TEST_SUITE_P(ExecutingAndLongRunning, RunningTask, testing::Bool());

TEST_P(RunningTask, gives_its_resources_back_whatever_the_end) {
  for (int end = 0; end < 3; ++end) {
    if (end != 0) {
      handle(FreeKeys{keys({"x"})}, needing_r("x", end));
      ASSERT_EQ(available(), 0);
    }
    if (end == 0) handle(success("x"));
    if (end == 1) handle(failure("x"));
    if (end == 2) handle(Reschedule{key("x")});
    EXPECT_EQ(available(), 1);
  }
}

TEST_P(RunningTask, released_and_wanted_again_goes_on_as_before) {
  EXPECT_EQ(handle(FreeKeys{keys({"x"})}), Lines{});
  EXPECT_EQ(state("x"), "cancelled(" + before() + ")");
  EXPECT_EQ(handle(needing_r("x", 1)), told_again(1));
  EXPECT_EQ(state("x"), before());
  EXPECT_EQ(available(), 0);
}

TEST_P(RunningTask, released_is_forgotten_with_its_result_when_it_ends) {
  handle(FreeKeys{keys({"x"})});
  EXPECT_EQ(handle(success("x")), Lines{"DropData x"});
  EXPECT_EQ(machine().n_tasks(), 0u);
  EXPECT_EQ(available(), 1);
}

TEST_P(RunningTask, released_is_forgotten_silently_when_it_fails_or_asks_to_be_rescheduled) {
  handle(FreeKeys{keys({"x"})});
  EXPECT_EQ(handle(failure("x")), Lines{});
  EXPECT_EQ(machine().n_tasks(), 0u);
  handle(needing_r("x", 1), FreeKeys{keys({"x"})});
  EXPECT_EQ(handle(Reschedule{key("x")}), Lines{});
  EXPECT_EQ(machine().n_tasks(), 0u);
}

TEST_P(RunningTask, wanted_from_elsewhere_is_not_fetched_when_it_succeeds) {
  EXPECT_EQ(handle(FreeKeys{keys({"x"})}, compute("y", {on_peers("x", {kB})})), Lines{});
  EXPECT_EQ(state("x"), "resumed(" + before() + "->fetch)");
  EXPECT_EQ(handle(success("x")), (Lines{"AddKeysMsg x", "Execute y"}));
  EXPECT_EQ(state("x"), "memory");
  EXPECT_EQ(available(), 1);
}

TEST_P(RunningTask, wanted_from_elsewhere_is_fetched_when_it_fails) {
  handle(FreeKeys{keys({"x"})}, compute("y", {on_peers("x", {kB})}));
  EXPECT_EQ(handle(failure("x")), Lines{"GatherDep tcp://b:1 x 1"});
  EXPECT_EQ(state("x"), "flight");
  EXPECT_EQ(available(), 1);
}

TEST_P(RunningTask, wanted_from_elsewhere_is_fetched_when_it_asks_to_be_rescheduled) {
  handle(FreeKeys{keys({"x"})}, compute("y", {on_peers("x", {kB})}));
  EXPECT_EQ(handle(Reschedule{key("x")}), Lines{"GatherDep tcp://b:1 x 1"});
  EXPECT_EQ(available(), 1);
}

TEST_P(RunningTask, wanted_from_elsewhere_then_released_then_wanted_here_goes_on_as_before) {
  EXPECT_EQ(handle(FreeKeys{keys({"x"})}, compute("y", {on_peers("x", {kB})}), FreeKeys{keys({"y", "x"})}, needing_r("x", 1)),
            told_again(1));
  EXPECT_EQ(state("x"), before());
}

TEST_P(RunningTask, whose_dependent_is_cancelled_goes_on_as_before_when_it_is_wanted_here) {
  EXPECT_EQ(handle(FreeKeys{keys({"x"})}, compute("y", {on_peers("x", {kB})}), FreeKeys{keys({"y"})}, compute("x", {}, 1)), told_again(1));
  EXPECT_EQ(machine().n_tasks(), 1u);
  EXPECT_EQ(state("x"), before());
}

TEST_P(RunningTask, keeps_the_resources_that_it_was_started_with_when_it_is_sent_again_with_others) {
  handle(FreeKeys{keys({"x"})}, compute("x", {}, 1), success("x"));
  EXPECT_EQ(available(), 1);
}

TEST_P(RunningTask, does_not_take_scattered_data_of_its_name) {
  EXPECT_EQ(handle(UpdateData{{{key("x"), 1, {}, "int"}}}), (Lines{"DropData x", "RefuseData x"}));
  EXPECT_EQ(state("x"), before());
}

TEST_P(RunningTask, that_secedes_after_its_release_says_so_only_when_it_is_wanted_again) {
  if (seceded()) return;
  handle(FreeKeys{keys({"x"})});
  EXPECT_EQ(handle(Secede{key("x"), 1}), Lines{});
  EXPECT_EQ(state("x"), "cancelled(long-running)");
  EXPECT_EQ(handle(compute("x", {}, 2)), Lines{"LongRunningMsg x run 2"});
  EXPECT_EQ(state("x"), "long-running");
}

TEST_P(RunningTask, that_secedes_while_it_is_wanted_from_elsewhere_says_so_only_when_it_is_wanted_here) {
  if (seceded()) return;
  handle(FreeKeys{keys({"x"})}, compute("y", {on_peers("x", {kB})}));
  EXPECT_EQ(handle(Secede{key("x"), 1}), Lines{});
  EXPECT_EQ(state("x"), "resumed(long-running->fetch)");
  EXPECT_EQ(handle(FreeKeys{keys({"y"})}, compute("x", {}, 2)), Lines{"LongRunningMsg x run 2"});
  handle(success("x"));
  EXPECT_EQ(machine().long_running().size(), 0u);
}

// ---- in flight ----

class InFlight : public WorkerTest {};

TEST_F(InFlight, released_is_forgotten_silently_when_the_transfer_fails) {
  EXPECT_EQ(handle(compute("y", {on_peers("x", {kB})}), FreeKeys{keys({"y", "x"})}, GatherDepFailure{kB, nullptr}),
            Lines{"GatherDep tcp://b:1 x 1"});
  EXPECT_EQ(machine().n_tasks(), 0u);
}

TEST_F(InFlight, released_is_forgotten_with_its_data_when_it_arrives) {
  handle(compute("y", {on_peers("x", {kB})}), FreeKeys{keys({"y"})});
  EXPECT_EQ(state("x"), "cancelled(flight)");
  EXPECT_EQ(handle(gathered(kB, {"x"})), Lines{"DropData x"});
  EXPECT_EQ(machine().n_tasks(), 0u);
  EXPECT_TRUE(machine().peers().empty());
}

TEST_F(InFlight, released_and_wanted_again_stays_in_flight) {
  EXPECT_EQ(handle(compute("y", {on_peers("x", {kB})}), FreeKeys{keys({"y", "x"})}, compute("z", {on_peers("x", {kB})})),
            Lines{"GatherDep tcp://b:1 x 1"});
  EXPECT_EQ(state("x"), "flight");
}

TEST_F(InFlight, wanted_as_a_task_is_not_computed_when_it_arrives) {
  handle(compute("y", {on_peers("x", {kB})}), FreeKeys{keys({"y", "x"})}, compute("x", {}, 5));
  EXPECT_EQ(state("x"), "resumed(flight->waiting)");
  EXPECT_EQ(handle(gathered(kB, {"x"})), Lines{"TaskFinishedMsg x run 5"});
  EXPECT_EQ(state("x"), "memory");
}

TEST_F(InFlight, wanted_as_a_task_is_computed_when_it_does_not_arrive) {
  const auto wanted = [&] { return handle(compute("y", {on_peers("x", {kB})}), FreeKeys{keys({"y", "x"})}, compute("x")); };
  wanted();
  EXPECT_EQ(handle(GatherDepNetworkFailure{kB}), Lines{"Execute x"});
  handle(success("x"), FreeKeys{keys({"x"})});
  wanted();
  EXPECT_EQ(handle(gathered(kB, {})), Lines{"Execute x"});
  handle(success("x"), FreeKeys{keys({"x"})});
  wanted();
  EXPECT_EQ(handle(GatherDepFailure{kB, nullptr}), Lines{"Execute x"});
}

TEST_F(InFlight, wanted_as_a_task_waits_for_a_free_thread_when_it_does_not_arrive) {
  handle(compute("y", {on_peers("x", {kB})}), FreeKeys{keys({"y", "x"})}, compute("x"));
  EXPECT_EQ(handle(compute("z"), GatherDepNetworkFailure{kB}, success("z")), (Lines{"Execute z", "TaskFinishedMsg z run 1", "Execute x"}));
}

TEST_F(InFlight, wanted_as_a_task_then_released_then_wanted_as_data_stays_in_flight) {
  EXPECT_EQ(handle(compute("y", {on_peers("x", {kB})}), FreeKeys{keys({"y", "x"})}, compute("x"), FreeKeys{keys({"x"})},
                   compute("y", {on_peers("x", {kB})})),
            Lines{"GatherDep tcp://b:1 x 1"});
  EXPECT_EQ(state("x"), "flight");
}

TEST_F(InFlight, lost_with_its_peer_is_computed_here_when_the_scheduler_says_so) {
  EXPECT_EQ(handle(compute("y", {on_peers("x", {kB})}), FreeKeys{keys({"y"})}, compute("x"), GatherDepNetworkFailure{kB}),
            (Lines{"GatherDep tcp://b:1 x 1", "Execute x"}));
}

TEST_F(InFlight, scattered_meanwhile_is_in_memory_and_what_arrives_is_ignored) {
  handle(compute("y", {on_peers("x", {kB})}));
  EXPECT_EQ(handle(UpdateData{{{key("x"), 8, {}, "int"}}}), (Lines{"AddKeysMsg x", "Execute y"}));
  EXPECT_EQ(state("x"), "memory");
  EXPECT_EQ(handle(gathered(kB, {"x"})), Lines{});
  EXPECT_EQ(state("x"), "memory");
}

TEST_F(InFlight, scattered_meanwhile_and_forgotten_drops_what_arrives) {
  handle(AcquireReplicas{{on_peers("x", {kB})}}, UpdateData{{{key("x"), 8, {}, "int"}}}, FreeKeys{keys({"x"})});
  EXPECT_EQ(machine().n_tasks(), 0u);
  EXPECT_EQ(handle(gathered(kB, {"x"})), Lines{"DropData x"});
}

TEST_F(InFlight, scattered_after_its_release_is_in_memory) {
  handle(AcquireReplicas{{on_peers("x", {kB})}}, FreeKeys{keys({"x"})});
  EXPECT_EQ(state("x"), "cancelled(flight)");
  EXPECT_EQ(handle(UpdateData{{{key("x"), 8, {}, "int"}}}), Lines{});
  EXPECT_EQ(state("x"), "memory");
  EXPECT_EQ(handle(GatherDepNetworkFailure{kB}), Lines{});
  EXPECT_EQ(state("x"), "memory");
}

TEST_F(InFlight, scattered_when_wanted_as_a_task_is_finished) {
  handle(AcquireReplicas{{on_peers("x", {kB})}}, FreeKeys{keys({"x"})}, compute("x", {}, 7));
  EXPECT_EQ(handle(UpdateData{{{key("x"), 8, {}, "int"}}}), Lines{"TaskFinishedMsg x run 7"});
}

}  // namespace
}  // namespace dask::worker
