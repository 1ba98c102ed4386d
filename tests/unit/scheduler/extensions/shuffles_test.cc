// P2P shuffles: who gets which output, who takes part, which runs are refused, and what happens when a worker leaves.
#include "scheduler/extensions/shuffles.h"

#include <gmock/gmock.h>

#include "tests/unit/scheduler/state/state_fixture.h"

namespace dask::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class ShufflesTest : public StateTest {
 protected:
  // The tasks of a shuffle: "id-in" is processing on the first worker, `outputs` depend on the barrier.
  void add_shuffle(const std::string& id, ShuffleSpec spec, const std::vector<std::string>& outputs = {"out"}) {
    Task& barrier = task("shuffle-barrier-" + id);
    barrier.p2p_barrier = true;
    spec.id = id;
    state_.extra(barrier).shuffle = std::make_shared<ShuffleSpec>(std::move(spec));
    Task& input = task(id + "-in");
    state_.add_dependency(barrier, input);
    process(input, state_.worker(WorkerId{0}));
    for (const std::string& output : outputs) state_.add_dependency(task(output), barrier);
  }
  static ShuffleSpec dataframe(std::int64_t n) {
    ShuffleSpec spec;
    spec.n = n;
    for (std::int64_t i = 0; i < n; ++i) spec.partitions.push_back(i);
    return spec;
  }
  Result<const ShuffleRun*> create(const std::string& id, const std::string& worker = "tcp://a") {
    return shuffles_.get_or_create(id, Key::from_string(id + "-in"), worker, state_, effects_);
  }
  static std::vector<std::string> workers_of(const ShuffleRun& run) {
    std::vector<std::string> workers;
    for (std::uint32_t worker : run.worker_of) workers.push_back(run.workers[worker].substr(6));
    return workers;
  }
  // What the workers are told, "worker: shuffle[run]"; taken out.
  std::vector<std::string> fails() {
    std::vector<std::string> lines;
    for (const auto& f : std::exchange(effects_.fails, {}))
      lines.push_back(fmt::format("{}: {}[{}]", f.worker.substr(6), f.shuffle, f.run_id));
    return lines;
  }
  static std::vector<std::string> names(std::vector<Key>& barriers) {
    std::vector<std::string> texts;
    for (const Key& barrier : std::exchange(barriers, {})) texts.push_back(barrier.str());
    return texts;
  }

  Shuffles shuffles_;
  ShuffleEffects effects_;
};

TEST_F(ShufflesTest, partitions_are_dealt_out_in_ranges_and_each_shuffle_starts_with_the_next_worker) {
  worker("a"), worker("b"), worker("c");
  add_shuffle("s", dataframe(7));
  add_shuffle("u", dataframe(7), {"other"});
  EXPECT_THAT(workers_of(**create("s")), ElementsAre("a", "a", "a", "b", "b", "c", "c"));
  EXPECT_THAT(workers_of(**create("u")), ElementsAre("b", "b", "b", "c", "c", "a", "a"));
}

TEST_F(ShufflesTest, chunks_of_an_array_are_numbered_as_dask_does) {
  worker("a"), worker("b");
  ShuffleSpec spec;
  spec.n = 6;
  spec.chunks = {2, 3};
  add_shuffle("s", spec);
  // Ranks of (0,0) (0,1) (0,2) (1,0) (1,1) (1,2) are 0 2 4 1 3 5.
  EXPECT_THAT(workers_of(**create("s")), ElementsAre("a", "a", "b", "a", "b", "b"));
  std::vector<std::vector<std::int64_t>> ids;
  for_each_output(spec, [&](const auto& at, std::int64_t) { ids.push_back(at); });
  EXPECT_THAT(ids[3], ElementsAre(1, 0));
  spec.chunks.emplace();
  spec.n = 1;
  ids.clear();
  for_each_output(spec, [&](const auto& at, std::int64_t) { ids.push_back(at); });
  EXPECT_THAT(ids, ElementsAre(IsEmpty())) << "an array without dimensions has one chunk";
}

TEST_F(ShufflesTest, only_workers_that_may_run_the_barrier_get_outputs) {
  worker("a"), worker("b"), worker("c");
  add_shuffle("s", dataframe(4));
  auto annotations = std::make_shared<Annotations>();
  annotations->workers = {"c", "tcp://b", "gone"};
  task("shuffle-barrier-s").annotations = annotations;
  EXPECT_THAT(workers_of(**create("s")), ElementsAre("b", "b", "c", "c"));
}

TEST_F(ShufflesTest, shuffles_of_one_join_agree_even_when_workers_came_in_between) {
  worker("b"), worker("c");
  add_shuffle("s", dataframe(4), {"o-0", "o-1"});
  add_shuffle("u", dataframe(4), {"o-0", "o-1"});
  const std::vector<std::string> left = workers_of(**create("s", "tcp://b"));
  worker("a");
  EXPECT_EQ(workers_of(**create("u", "tcp://b")), left);
}

TEST_F(ShufflesTest, a_run_is_created_once_and_whoever_asks_takes_part) {
  worker("a"), worker("b"), worker("c");
  add_shuffle("s", dataframe(1));
  const ShuffleRun* run = *create("s", "tcp://b");
  EXPECT_EQ(run->run_id, 1);
  EXPECT_EQ(*create("s", "tcp://b"), run);
  EXPECT_THAT(shuffles_.participating(), UnorderedElementsAre("tcp://a", "tcp://b"));
  EXPECT_EQ(*shuffles_.get("s", "tcp://c", state_), run);
  EXPECT_EQ(shuffles_.participating().size(), 3u);
}

TEST_F(ShufflesTest, what_cannot_be_is_refused_in_words) {
  worker("a");
  add_shuffle("s", dataframe(2));
  EXPECT_THAT(shuffles_.get("s", "tcp://a", state_).error().message, HasSubstr("No active shuffle with id='s' found"));
  EXPECT_THAT(create("s", "tcp://gone").error().message, HasSubstr("unaware of this worker 'tcp://gone'"));
  EXPECT_THAT(create("other").error().message, HasSubstr("'shuffle-barrier-other' does not exist"));
  state_.remove_from_processing(task("s-in"));
  state_.set_state(task("s-in"), TaskState::kReleased);
  EXPECT_THAT(create("s").error().message, HasSubstr("Expected task 's-in' to be processing, is released"));
  ShuffleSpec unknown;
  unknown.unsupported = "not MySpec";
  add_shuffle("u", unknown);
  EXPECT_EQ(create("u").error().code, ErrorCode::kUnsupported);
  EXPECT_THAT(create("u").error().message, HasSubstr("not MySpec"));
}

TEST_F(ShufflesTest, a_worker_that_takes_part_and_leaves_starts_the_shuffle_over) {
  worker("a"), worker("b"), worker("c");
  add_shuffle("s", dataframe(2));
  create("s");
  effects_ = {};
  shuffles_.worker_left("tcp://c", "c-left", effects_);
  EXPECT_TRUE(effects_.restarted.empty()) << "c took no part";
  shuffles_.worker_left("tcp://b", "b-left", effects_);
  EXPECT_THAT(fails(), ElementsAre("a: s[1]", "b: s[1]"));
  EXPECT_THAT(names(effects_.ended), ElementsAre("shuffle-barrier-s"));
  EXPECT_THAT(names(effects_.restarted), ElementsAre("shuffle-barrier-s"));
  EXPECT_FALSE(shuffles_.active("s"));
  EXPECT_EQ((*create("s"))->run_id, 2);
}

TEST_F(ShufflesTest, one_that_the_same_departure_has_stopped_already_starts_over_too) {
  worker("a"), worker("b");
  add_shuffle("s", dataframe(2));
  add_shuffle("u", dataframe(2), {"other"});
  create("s"), create("u");
  shuffles_.barrier_stopped(task("shuffle-barrier-u"), TaskState::kReleased, "done", effects_);
  shuffles_.barrier_stopped(task("shuffle-barrier-s"), TaskState::kReleased, "b-left", effects_);
  shuffles_.worker_left("tcp://b", "b-left", effects_);
  EXPECT_THAT(names(effects_.restarted), ElementsAre("shuffle-barrier-s"));
}

TEST_F(ShufflesTest, a_barrier_that_stops_ends_the_run_and_forgotten_it_takes_everything_along) {
  worker("a");
  add_shuffle("s", dataframe(2));
  create("s");
  shuffles_.heartbeat("tcp://a", Value(Value::Map{{"s", Value(1)}, {"unknown", Value(2)}}));
  EXPECT_EQ(shuffles_.heartbeats().size(), 1u);
  shuffles_.barrier_stopped(task("shuffle-barrier-s"), TaskState::kReleased, "done", effects_);
  EXPECT_THAT(fails(), ElementsAre("a: s[1]"));
  EXPECT_TRUE(shuffles_.heartbeats().empty());
  EXPECT_TRUE(shuffles_.participating().empty());
  shuffles_.barrier_stopped(task("shuffle-barrier-s"), TaskState::kForgotten, "done", effects_);
  EXPECT_THAT(fails(), IsEmpty());
  shuffles_.worker_left("tcp://a", "done", effects_);
  EXPECT_THAT(names(effects_.restarted), IsEmpty()) << "there is nothing left to start over";
}

TEST_F(ShufflesTest, runs_that_are_not_at_work_are_refused) {
  worker("a");
  add_shuffle("s", dataframe(2));
  EXPECT_EQ(shuffles_.check_run("s", 1).error().code, ErrorCode::kNotFound);
  create("s");
  EXPECT_TRUE(shuffles_.check_run("s", 1));
  EXPECT_EQ(shuffles_.check_run("s", 0).error().message, "Request stale, expected run_id=0 for SchedulerShuffleState<s[1]>");
  EXPECT_THAT(shuffles_.check_run("s", 2).error().message, HasSubstr("Request invalid"));
}

TEST_F(ShufflesTest, a_failure_is_told_once) {
  worker("a");
  add_shuffle("s", dataframe(2));
  create("s");
  shuffles_.task_erred(task("shuffle-barrier-s"), "why", effects_);
  shuffles_.task_erred(task("shuffle-barrier-s"), "why", effects_);
  ASSERT_EQ(effects_.events.size(), 1u);
  EXPECT_EQ(effects_.events[0].repr(), "{'action': 'p2p-failed', 'shuffle': 's', 'stimulus': 'why'}");
}

}  // namespace
}  // namespace dask::scheduler
