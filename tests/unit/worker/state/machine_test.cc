// Computing, memory, releases, steals and what the scheduler is told. Cases of distributed/tests/test_worker_state_machine.py, and ours.
#include <algorithm>

#include "worker_fixture.h"

namespace dask::worker {
namespace {

class Machine_ : public WorkerTest {};

TEST_F(Machine_, starts_as_many_tasks_as_it_has_threads_highest_priority_first_and_latest_first_among_equals) {
  settings.nthreads = 2;
  EXPECT_EQ(handle(compute("a"), compute("b")), (Lines{"Execute a", "Execute b"}));
  EXPECT_EQ(handle(compute("c"), compute("d"), compute("e", {}, 0, {-1, 5})), Lines{});
  EXPECT_EQ(handle(success("a")), (Lines{"TaskFinishedMsg a run 1", "Execute e"}));
  EXPECT_EQ(handle(success("b")), (Lines{"TaskFinishedMsg b run 1", "Execute d"}));
  EXPECT_EQ(handle(SetNthreads{3}), Lines{"Execute c"});
}

TEST_F(Machine_, compares_priorities_as_python_compares_tuples) {
  EXPECT_TRUE((Priority{0, 1} < Priority{0, 1, -5}));
  EXPECT_TRUE((Priority{0, 1, -5} < Priority{0, 2}));
  EXPECT_FALSE((Priority{1} < Priority{0, 9}));
  EXPECT_TRUE((Priority{std::nan(""), -1} < Priority{0, 0}));
}

TEST_F(Machine_, counts_what_is_in_memory) {
  handle(compute("x"), success("x", 12));
  EXPECT_EQ(machine().nbytes(), 12);
  handle(AcquireReplicas{{on_peers("y", {kB}, 13)}}, gathered(kB, {"y"}));
  EXPECT_EQ(machine().nbytes(), 25);
  handle(UpdateData{{{key("z"), 3, {}, "str"}}});
  EXPECT_EQ(machine().nbytes(), 28);
  ComputeTask actor = compute("w");
  actor.actor = true;
  handle(actor, success("w", 14));
  EXPECT_EQ(machine().nbytes(), 42);
  handle(DataResized{key("z"), 5});
  EXPECT_EQ(machine().nbytes(), 44);
  EXPECT_EQ(handle(FreeKeys{keys({"z"})}), (Lines{"DropData z", "ReleaseWorkerDataMsg z"}));
  EXPECT_EQ(machine().nbytes(), 39);
  handle(RemoveReplicas{keys({"x", "y", "w"})});
  EXPECT_EQ(machine().nbytes(), 0);
  EXPECT_EQ(machine().n_tasks(), 0u);
}

TEST_F(Machine_, says_that_an_actor_is_to_be_dropped) {
  ComputeTask actor = compute("w");
  actor.actor = true;
  handle(actor, success("w"));
  const Instructions& said = machine().handle(FreeKeys{keys({"w"})}, 0, "s");
  EXPECT_TRUE(std::get<DropData>(said.front()).actor);
}

TEST_F(Machine_, answers_at_once_when_the_result_is_there_already) {
  handle(compute("x"), success("x"));
  EXPECT_EQ(handle(compute("x", {}, 9)), Lines{"TaskFinishedMsg x run 9"});
}

TEST_F(Machine_, computes_an_erred_task_again) {
  EXPECT_EQ(handle(compute("x"), failure("x"), compute("x", {}, 2)), (Lines{"Execute x", "TaskErredMsg x boom", "Execute x"}));
}

TEST_F(Machine_, reports_what_was_measured) {
  handle(compute("x"));
  ExecuteSuccess e = success("x", 5, 3);
  e.start = 10;
  e.stop = 12;
  e.type = Value(Bytes::copy("pickle"));
  e.thread = Value(77);
  e.metadata.set("k", 1);
  e.startstops = {{"deserialize", 9, 10}};
  const Instructions& said = machine().handle(e, 0, "why");
  const auto& msg = std::get<TaskFinishedMsg>(said.front());
  EXPECT_EQ(msg.run_id, 3);
  EXPECT_EQ(msg.nbytes, 5);
  EXPECT_EQ(msg.typename_, "int");
  EXPECT_EQ(msg.type.bytes()->view(), "pickle");
  EXPECT_EQ(msg.thread.as_int(), 77);
  EXPECT_EQ(msg.metadata["k"].as_int(), 1);
  EXPECT_EQ(msg.stimulus_id, "why");
  ASSERT_EQ(msg.startstops.size(), 2u);
  EXPECT_EQ(msg.startstops[1].action, "compute");
  EXPECT_EQ(msg.startstops[1].stop, 12);
}

TEST_F(Machine_, shows_a_transfer_with_the_task_that_needed_it) {
  handle(compute("y", {on_peers("x", {kB})}));
  GatherDepSuccess e = gathered(kB, {"x"});
  e.start = 1;
  e.stop = 2;
  handle(e);
  ASSERT_EQ(machine().find(key("y"))->startstops.size(), 1u);
  EXPECT_EQ(machine().find(key("y"))->startstops[0].action, "transfer");
}

// ---- resources ----

TEST_F(Machine_, waits_for_resources_and_lets_lower_priorities_pass_meanwhile) {
  settings.nthreads = 3;
  settings.resources = {{"R", 1}};
  ComputeTask a = compute("a"), b = compute("b");
  a.resource_restrictions = b.resource_restrictions = {{"R", 1}};
  EXPECT_EQ(handle(a, b, compute("c", {}, 0, {5})), (Lines{"Execute a", "Execute c"}));
  EXPECT_EQ(state("b"), "constrained");
  EXPECT_EQ(handle(success("a")), (Lines{"TaskFinishedMsg a run 1", "Execute b"}));
  EXPECT_EQ(machine().available_resources().at("R"), 0);
}

TEST_F(Machine_, takes_resources_only_when_the_inputs_are_there) {
  settings.resources = {{"R", 1}};
  ComputeTask y = compute("y", {on_peers("x", {kB})});
  y.resource_restrictions = {{"R", 1}};
  handle(y);
  EXPECT_EQ(machine().available_resources().at("R"), 1);
  EXPECT_EQ(handle(gathered(kB, {"x"})), (Lines{"AddKeysMsg x", "Execute y"}));
  EXPECT_EQ(machine().available_resources().at("R"), 0);
}

TEST_F(Machine_, runs_waiting_tasks_when_resources_are_added) {
  ComputeTask x = compute("x");
  x.resource_restrictions = {{"GPU", 2}};
  EXPECT_EQ(handle(x), Lines{});
  EXPECT_EQ(handle(SetResources{{{"GPU", 2}}}), Lines{"Execute x"});
  EXPECT_EQ(handle(SetResources{{{"GPU", std::nan("")}}}).size(), 1u);
}

TEST_F(Machine_, is_not_kept_waiting_by_rounding) {
  settings.nthreads = 3;
  settings.resources = {{"R", 1}};
  for (int round = 0; round < 3; ++round) {
    for (const char* name : {"a", "b", "c"}) {
      ComputeTask e = compute(name);
      e.resource_restrictions = {{"R", 0.1 + 0.1 * (name[0] - 'a')}};
      handle(e);
    }
    handle(success("b"), success("a"), success("c"), FreeKeys{keys({"a", "b", "c"})});
  }
  ComputeTask all = compute("all");
  all.resource_restrictions = {{"R", 1}};
  EXPECT_EQ(handle(all), Lines{"Execute all"});
}

// ---- the scheduler's other wishes ----

TEST_F(Machine_, gives_up_what_has_not_started_when_it_is_stolen) {
  handle(compute("a"), compute("b"));
  EXPECT_EQ(handle(StealRequest{key("a")}), Lines{"StealResponseMsg a executing"});
  EXPECT_EQ(handle(StealRequest{key("b")}), Lines{"StealResponseMsg b ready"});
  EXPECT_EQ(handle(StealRequest{key("b")}), Lines{"StealResponseMsg b "});
  EXPECT_EQ(machine().n_tasks(), 1u);
}

TEST_F(Machine_, cancels_only_what_has_not_started) {
  handle(compute("a"), compute("b"));
  EXPECT_EQ(handle(CancelCompute{key("a")}, CancelCompute{key("b")}, CancelCompute{key("c")}), Lines{});
  EXPECT_EQ(state("a"), "executing");
  EXPECT_EQ(state("b"), "");
}

TEST_F(Machine_, starts_and_fetches_nothing_while_paused) {
  handle(compute("a"), Pause{});
  EXPECT_EQ(handle(compute("b"), compute("y", {on_peers("x", {kB})}), success("a")), Lines{"TaskFinishedMsg a run 1"});
  EXPECT_EQ(handle(Unpause{}), (Lines{"Execute b", "GatherDep tcp://b:1 x 1"}));
}

TEST_F(Machine_, keeps_a_replica_that_a_running_task_uses_and_says_so) {
  handle(UpdateData{{{key("x"), 1, {}, "int"}}}, compute("y", {on_peers("x", {kSelf})}));
  EXPECT_EQ(handle(RemoveReplicas{keys({"x"})}),
            (Lines{"Warn Cannot remove replica of 'x' while 'y' is executing; it stays", "AddKeysMsg x"}));
  EXPECT_EQ(state("x"), "memory");
}

TEST_F(Machine_, drops_a_replica_whose_user_is_cancelled) {
  handle(compute("y", {on_peers("x", {kB})}), gathered(kB, {"x"}), FreeKeys{keys({"y"})});
  EXPECT_EQ(handle(RemoveReplicas{keys({"x"})}), (Lines{"DropData x", "ReleaseWorkerDataMsg x"}));
  EXPECT_EQ(state("x"), "released");
  EXPECT_EQ(handle(success("y")), Lines{"DropData y"});
  EXPECT_EQ(machine().n_tasks(), 0u);
}

TEST_F(Machine_, asks_for_what_nobody_is_known_to_hold) {
  handle(compute("y", {on_peers("x", {})}));
  EXPECT_EQ(state("x"), "missing");
  EXPECT_EQ(handle(FindMissing{}), Lines{"RequestRefreshWhoHasMsg x"});
  EXPECT_EQ(handle(RefreshWhoHas{{{key("x"), {kB}}, {key("unknown"), {kB}}}}), Lines{"GatherDep tcp://b:1 x 1"});
  EXPECT_EQ(handle(FindMissing{}), Lines{});
}

TEST_F(Machine_, misses_what_the_scheduler_says_nobody_holds_any_more) {
  settings.transfer_incoming_bytes_limit = 1;
  handle(compute("y", {on_peers("a", {kB}), on_peers("x", {kC})}));
  const std::string waiting = in_state(TaskState::kFetch).at(0);
  handle(RefreshWhoHas{{{key(waiting), {}}}});
  EXPECT_EQ(state(waiting), "missing");
  EXPECT_EQ(machine().fetch_count(), 0u);
}

TEST_F(Machine_, computes_what_it_was_to_fetch) {
  settings.transfer_incoming_bytes_limit = 1;
  handle(compute("y", {on_peers("a", {kB}), on_peers("x", {kC})}));
  const std::string waiting = in_state(TaskState::kFetch).at(0);
  EXPECT_EQ(handle(compute(waiting)), Lines{"Execute " + waiting});
}

TEST_F(Machine_, fails_tasks_whose_input_cannot_be_unpacked) {
  handle(compute("y", {on_peers("x", {kB})}));
  const auto why = std::make_shared<const Failure>(Failure{{}, {}, "cannot unpack", {}});
  EXPECT_EQ(handle(GatherDepFailure{kB, why}), (Lines{"TaskErredMsg x cannot unpack", "TaskErredMsg y cannot unpack"}));
  EXPECT_EQ(state("y"), "error");
  EXPECT_EQ(handle(FreeKeys{keys({"y"})}), Lines{});
  EXPECT_EQ(machine().n_tasks(), 0u);
}

TEST_F(Machine_, fails_only_what_could_not_be_unpacked) {
  handle(ComputeTasks{{compute("y", {on_peers("x", {kB})}), compute("z", {on_peers("w", {kB})})}});
  GatherDepSuccess e = gathered(kB, {"w"});
  e.failed.emplace_back(key("x"), std::make_shared<const Failure>(Failure{{}, {}, "no", {}}));
  const Lines said = handle(e);
  EXPECT_NE(std::find(said.begin(), said.end(), "TaskErredMsg y no"), said.end());
  EXPECT_EQ(state("z"), "executing");
}

// ---- lost data ----

TEST_F(Machine_, waits_again_for_data_that_is_lost) {
  handle(UpdateData{{{key("x"), 1, {}, "int"}}}, compute("busy"), compute("y", {on_peers("x", {kSelf})}));
  EXPECT_EQ(state("y"), "ready");
  EXPECT_EQ(handle(DataLost{keys({"x", "unknown"})}), Lines{"ReleaseWorkerDataMsg x"});
  EXPECT_EQ(state("x"), "missing");
  EXPECT_EQ(state("y"), "waiting");
  EXPECT_EQ(handle(RefreshWhoHas{{{key("x"), {kB}}}}), Lines{"GatherDep tcp://b:1 x 1000"});  // its size went with it
  EXPECT_EQ(handle(gathered(kB, {"x"})), Lines{"AddKeysMsg x"});
  EXPECT_EQ(handle(success("busy")), (Lines{"TaskFinishedMsg busy run 1", "Execute y"}));
}

TEST_F(Machine_, waits_again_for_data_that_is_freed_too_early) {
  handle(UpdateData{{{key("x"), 1, {}, "int"}}}, compute("busy"), compute("y", {on_peers("x", {kSelf})}));
  handle(FreeKeys{keys({"x"})});
  EXPECT_EQ(state("y"), "waiting");
  EXPECT_EQ(state("x"), "missing");
  handle(FreeKeys{keys({"y"})});
  EXPECT_EQ(machine().n_tasks(), 1u);
}

TEST_F(Machine_, forgets_all_keys_of_one_release_in_whatever_order_they_come) {
  for (const auto& order : {Lines{"x", "y"}, Lines{"y", "x"}}) {
    handle(UpdateData{{{key("x"), 1, {}, "int"}}}, compute("busy"), compute("y", {on_peers("x", {kSelf})}));
    handle(FreeKeys{keys(order)});
    EXPECT_EQ(machine().n_tasks(), 1u);
    handle(success("busy"), FreeKeys{keys({"busy"})});
  }
}

// ---- native tasks ----

ComputeTask native(const std::string& name, std::uint64_t handle, std::int64_t run_id, std::vector<Dependency> dependencies = {}) {
  ComputeTask e = compute(name, std::move(dependencies), run_id);
  e.run_spec = NativeRunSpec{"f", Bytes::copy("args"), handle};
  return e;
}

TEST_F(Machine_, reports_native_tasks_by_their_handles) {
  settings.nthreads = 2;
  EXPECT_EQ(handle(ComputeTasks{{native("a", 11, 1), native("b", 12, 2)}}), (Lines{"Execute a", "Execute b"}));
  EXPECT_EQ(handle(success("a", 1, 1), failure("b")), (Lines{"NativeTaskFinishedMsg 11 run 1", "NativeTaskErredMsg 12 boom"}));
  EXPECT_EQ(handle(native("a", 13, 3)), Lines{"NativeTaskFinishedMsg 13 run 3"});
}

TEST_F(Machine_, takes_several_ends_at_once_as_one_after_the_other) {
  settings.nthreads = 2;
  handle(ComputeTasks{{native("a", 1, 1), native("b", 2, 2), native("c", 3, 3)}});
  EXPECT_EQ(handle(ExecuteSuccesses{{success("a", 1, 1), success("b", 1, 2)}}),
            (Lines{"NativeTaskFinishedMsg 1 run 1", "Execute c", "NativeTaskFinishedMsg 2 run 2"}));
  EXPECT_EQ(handle(ExecuteSuccesses{{success("gone"), success("c", 1, 3)}}),
            (Lines{"Warn ExecuteSuccess for 'gone', which does not run here; ignored", "DropData gone", "NativeTaskFinishedMsg 3 run 3"}));
  EXPECT_EQ(in_state(TaskState::kMemory), (Lines{"a", "b", "c"}));
}

TEST_F(Machine_, remembers_a_limited_number_of_native_functions_and_counts_the_rest) {
  settings.native_functions_max = 1;
  const auto of_function = [](const std::string& name, const std::string& function) {
    ComputeTask e = compute(name, {}, 1);
    e.run_spec = NativeRunSpec{function, {}, 1};
    return e;
  };
  const auto quick = [](const std::string& name) {
    ExecuteSuccess e = success(name);
    e.stop = e.start + 1e-6;
    return e;
  };
  handle(of_function("a", "f"), quick("a"), of_function("b", "g"), quick("b"), of_function("c", "f"), quick("c"));
  EXPECT_EQ(machine().native_functions(), 1u);
  EXPECT_EQ(machine().native_functions_over_limit(), 1u);
  // The one that is known is started ahead of the free threads, the other one is not.
  EXPECT_EQ(handle(ComputeTasks{{of_function("d", "f"), of_function("e", "f")}}).size(), 2u);
  handle(quick("d"), quick("e"));
  EXPECT_EQ(handle(ComputeTasks{{of_function("h", "g"), of_function("i", "g")}}).size(), 1u);
}

TEST_F(Machine_, gives_a_key_that_was_forgotten_a_fresh_task) {
  ComputeTask first = compute("x", {on_peers("y", {kSelf})});
  first.annotations = Value(Value::Map{{"priority", 1}});
  handle(UpdateData{{{key("y"), 5, {}, "int"}}}, first, success("x", 7), FreeKeys{keys({"x", "y"})});
  EXPECT_EQ(machine().n_tasks(), 0u);
  EXPECT_EQ(handle(compute("x")), Lines{"Execute x"});
  const Task* ts = machine().find(key("x"));
  EXPECT_TRUE(ts->dependencies.empty());
  EXPECT_TRUE(ts->annotations.is_nil());
  EXPECT_TRUE(ts->startstops.empty());
  EXPECT_EQ(ts->nbytes, -1);
}

TEST_F(Machine_, gathers_once_for_all_tasks_of_a_batch) {
  EXPECT_EQ(handle(ComputeTasks{{native("a", 1, 1, {on_peers("x", {kB})}), native("b", 2, 2, {on_peers("y", {kB})})}}),
            Lines{"GatherDep tcp://b:1 y,x 2"});  // the last task has the highest priority among equals
}

// ---- what makes no sense ----

TEST_F(Machine_, ignores_ends_of_executions_that_it_did_not_ask_for) {
  EXPECT_EQ(handle(success("x")), (Lines{"Warn ExecuteSuccess for 'x', which does not run here; ignored", "DropData x"}));
  EXPECT_EQ(handle(failure("x")).size(), 1u);
  EXPECT_EQ(handle(Reschedule{key("x")}).size(), 1u);
  EXPECT_EQ(handle(Secede{key("x"), 1}), Lines{});
  handle(UpdateData{{{key("x"), 1, {}, "int"}}});
  EXPECT_EQ(handle(success("x")).size(), 1u);  // the scattered value stays
  EXPECT_EQ(state("x"), "memory");
}

TEST_F(Machine_, ignores_that_a_task_depends_on_itself) {
  EXPECT_EQ(handle(compute("x", {on_peers("x", {kB})})), (Lines{"Warn Task 'x' is said to depend on itself; ignored", "Execute x"}));
}

TEST_F(Machine_, survives_tasks_that_depend_on_each_other) {
  handle(compute("x", {on_peers("y", {kB})}), compute("y", {on_peers("x", {kC})}));
  handle(GatherDepNetworkFailure{kB});
  handle(FreeKeys{keys({"x", "y"})}, FreeKeys{keys({"y", "x"})});
}

TEST_F(Machine_, takes_our_own_address_for_no_holder) {
  EXPECT_EQ(handle(compute("y", {on_peers("x", {kSelf, ""})})), Lines{});
  EXPECT_EQ(state("x"), "missing");
}

// ---- the story, plugins, the table ----

TEST_F(Machine_, tells_the_story_of_a_task_as_dask_does) {
  handle(compute("y", {on_peers("x", {kB})}), gathered(kB, {"x"}));
  std::vector<std::string> lines;
  for (const Value& record : machine().story({key("x")})) lines.push_back(record.repr());
  EXPECT_EQ(lines, (Lines{"('x', 'ensure-task-exists', 'released', 's1', 1.0)",
                          "('y', 'released', 'waiting', 'waiting', {'x': 'fetch'}, 's1', 1.0)",
                          "('x', 'released', 'fetch', 'fetch', {}, 's1', 1.0)", "('gather-dependencies', 'tcp://b:1', {'x'}, 's1', 1.0)",
                          "('x', 'fetch', 'flight', 'flight', {}, 's1', 1.0)", "('receive-dep', 'tcp://b:1', {'x'}, 's2', 2.0)",
                          "('x', 'put-in-memory', 's2', 2.0)", "('x', 'flight', 'memory', 'memory', {'y': 'ready'}, 's2', 2.0)"}));
  EXPECT_EQ(machine().story({}, {"s2"}).size(), 5u);
}

TEST_F(Machine_, keeps_only_the_last_records_of_the_story) {
  settings.story_length_max = 4;
  for (int i = 0; i < 10; ++i) handle(compute("x"), success("x"), FreeKeys{keys({"x"})});
  EXPECT_EQ(machine().story({}).size(), 4u);
  EXPECT_EQ(machine().story({}).back().array_if()->at(3).as_string(), "forgotten");
}

TEST_F(Machine_, dumps_everything_as_dask_does) {
  handle(UpdateData{{{key("w"), 1, {}, "int"}}}, compute("y", {on_peers("x", {kB}), on_peers("w", {kSelf})}));
  const Value dump = machine().dump();
  EXPECT_EQ(dump["address"].as_string(), kSelf);
  EXPECT_EQ(dump["in_flight_workers"].repr(), "{'tcp://b:1': ('x',)}");
  EXPECT_EQ(dump["data"].repr(), "{'w': None}");
  EXPECT_EQ(dump["task_counts"].repr(), "{'waiting': 1, 'flight': 1, 'memory': 1}");
  const Value& y = dump["tasks"]["y"];
  EXPECT_EQ(y["waiting_for_data"].repr(), "(\"<TaskState 'x' flight>\",)");
  EXPECT_EQ(y["state"].as_string(), "waiting");
  EXPECT_EQ(y.find("done"), nullptr);
}

TEST_F(Machine_, reports_transitions_to_plugins_when_asked_to) {
  machine().set_report_transitions(true);
  EXPECT_EQ(handle(compute("x")), (Lines{"NotifyTransition x released waiting", "NotifyTransition x waiting ready", "Execute x",
                                         "NotifyTransition x ready executing"}));
}

TEST_F(Machine_, has_the_transitions_of_dasks_table) {
  const std::vector<std::pair<std::string, std::string>> dasks = {
#include "transitions_golden.inc"
  };
  std::vector<std::pair<std::string, std::string>> ours;
  for (const auto& [start, finish] : Machine::transition_table()) ours.emplace_back(name_of(start), name_of(finish));
  std::sort(ours.begin(), ours.end());
  EXPECT_EQ(ours, dasks);
}

TEST_F(Machine_, counts_tasks_by_state) {
  handle(compute("y", {on_peers("x", {kB})}), AcquireReplicas{{on_peers("z", {kC})}});
  EXPECT_EQ(machine().count(TaskState::kFlight), 2u);
  EXPECT_EQ(machine().count(TaskState::kWaiting), 1u);
  handle(FreeKeys{keys({"y"})});
  EXPECT_EQ(machine().count(TaskState::kCancelled), 1u);
  EXPECT_EQ(machine().count(TaskState::kWaiting), 0u);
}

}  // namespace
}  // namespace dask::worker
