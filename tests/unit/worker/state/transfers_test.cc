// Which data is fetched from whom, and when transfers wait. Cases of distributed/tests/test_worker_state_machine.py.
#include "worker_fixture.h"

namespace dask::worker {
namespace {

class Transfers : public WorkerTest {};

TEST_F(Transfers, a_new_replica_is_fetched_though_all_known_holders_are_in_flight) {
  EXPECT_EQ(
      handle(AcquireReplicas{{on_peers("x", {kB})}}, AcquireReplicas{{on_peers("y", {kB})}}, AcquireReplicas{{on_peers("y", {kB, kC})}}),
      (Lines{"GatherDep tcp://b:1 x 1", "GatherDep tcp://c:1 y 1"}));
  EXPECT_EQ(state("x"), "flight");
  EXPECT_EQ(state("y"), "flight");
}

struct Aggregation {
  std::int64_t nbytes;
  std::size_t n_in_flight;
};
class AggregatedTransfers : public WorkerTest, public testing::WithParamInterface<std::tuple<Aggregation, int>> {};

TEST_P(AggregatedTransfers, go_in_one_message_up_to_the_limit) {
  const auto [aggregation, n_peers] = GetParam();
  settings.transfer_message_bytes_limit = 50'000'000;
  AcquireReplicas event;
  for (int i = 0; i < 3 * n_peers; ++i)
    event.replicas.push_back(on_peers(fmt::format("x{}", i), {fmt::format("tcp://self:{}", 2 + i / 3)}, aggregation.nbytes));
  EXPECT_EQ(handle(event).size(), static_cast<std::size_t>(n_peers));
  EXPECT_EQ(machine().in_flight_tasks().size(), aggregation.n_in_flight * n_peers);
  EXPECT_EQ(machine().transfer_incoming_bytes(), aggregation.nbytes * static_cast<std::int64_t>(aggregation.n_in_flight) * n_peers);
  EXPECT_EQ(machine().transfer_incoming_count(), static_cast<std::size_t>(n_peers));
  EXPECT_EQ(machine().transfer_incoming_count_total(), static_cast<std::uint64_t>(n_peers));
}

INSTANTIATE_TEST_SUITE_P(Sizes, AggregatedTransfers,
                         testing::Combine(testing::Values(Aggregation{10'000'000, 3}, Aggregation{20'000'000, 2},
                                                          Aggregation{30'000'000, 1}, Aggregation{60'000'000, 1}),
                                          testing::Values(1, 2)));

TEST_F(Transfers, are_chosen_by_priority_then_host_then_number_of_tasks_then_by_lot) {
  constexpr std::int64_t kSize = 4 << 20;
  settings.transfer_incoming_count_limit = 4;
  settings.transfer_message_bytes_limit = 50'000'000;
  const auto at = [](int n) { return fmt::format("tcp://10.0.0.{}:1", n); };
  AcquireReplicas replicas{{on_peers("x1", {at(2), "tcp://self:2"}, kSize), on_peers("x2", {at(2)}, kSize), on_peers("x3", {at(3)}, kSize),
                            on_peers("x4", {at(3)}, kSize), on_peers("x5", {at(4)}, kSize), on_peers("x6", {at(5)}, kSize),
                            on_peers("x7", {at(6)}, kSize), on_peers("x8", {at(7)}, kSize)}};
  const Lines said = handle(Pause{}, replicas, compute("z", {on_peers("y", {at(7)})}), Unpause{});
  ASSERT_EQ(said.size(), 4u);
  EXPECT_EQ(said[0], fmt::format("GatherDep {} y,x8 {}", at(7), 1 + kSize));   // the highest priority, with all that fits
  EXPECT_EQ(said[1], fmt::format("GatherDep tcp://self:2 x1 {}", kSize));      // the same host
  EXPECT_EQ(said[2], fmt::format("GatherDep {} x4,x3 {}", at(3), 2 * kSize));  // the most tasks
  const Lines by_lot = {fmt::format("GatherDep {} x2 {}", at(2), kSize), fmt::format("GatherDep {} x5 {}", at(4), kSize),
                        fmt::format("GatherDep {} x6 {}", at(5), kSize), fmt::format("GatherDep {} x7 {}", at(6), kSize)};
  EXPECT_NE(std::find(by_lot.begin(), by_lot.end(), said[3]), by_lot.end()) << said[3];
  EXPECT_EQ(machine().transfer_incoming_count(), 4u);
}

TEST_F(Transfers, are_drawn_alike_from_the_same_seed_and_otherwise_from_another) {
  const auto draw = [](std::uint64_t seed) {
    Settings s;
    s.address = kSelf;
    s.seed = seed;
    s.transfer_incoming_count_limit = 1;
    s.transfer_incoming_bytes_throttle_threshold = 0;
    std::string order;
    for (int round = 0; round < 8; ++round) {
      Machine m(s);
      m.handle(AcquireReplicas{{on_peers("x", {kB, kC, kD})}}, 0, "s");
      order += m.find(key("x"))->coming_from->address;
      ++s.seed;
    }
    return order;
  };
  EXPECT_EQ(draw(1), draw(1));
  EXPECT_NE(draw(1), draw(1000));
}

TEST_F(Transfers, are_counted) {
  handle(compute("b", {on_peers("a", {kB}, 7)}));
  EXPECT_EQ(machine().transfer_incoming_bytes(), 7);
  EXPECT_EQ(machine().transfer_incoming_count(), 1u);
  handle(gathered(kB, {"a"}));
  EXPECT_EQ(machine().transfer_incoming_bytes(), 0);
  EXPECT_EQ(machine().transfer_incoming_count(), 0u);
  handle(compute("h", {on_peers("f", {kB}, 17), on_peers("g", {kC}, 19)}));
  EXPECT_EQ(machine().transfer_incoming_bytes(), 36);
  EXPECT_EQ(machine().transfer_incoming_count(), 2u);
  handle(gathered(kC, {"g"}));
  EXPECT_EQ(machine().transfer_incoming_bytes(), 17);
  handle(gathered(kB, {"g"}));  // what was not asked for does not change the sum
  EXPECT_EQ(machine().transfer_incoming_bytes(), 0);
  EXPECT_EQ(machine().transfer_incoming_count_total(), 3u);
}

TEST_F(Transfers, have_a_limited_number_of_keys_and_the_next_one_takes_the_rest) {
  settings.transfer_message_keys_max = 2;
  AcquireReplicas event;
  for (const char* name : {"v", "w", "x", "y", "z"}) event.replicas.push_back(on_peers(name, {kB}, 1));
  EXPECT_EQ(handle(event), (Lines{"GatherDep tcp://b:1 z,y 2"}));
  EXPECT_EQ(handle(gathered(kB, {"z", "y"})).back(), "GatherDep tcp://b:1 x,w 2");
  EXPECT_EQ(handle(gathered(kB, {"x", "w"})).back(), "GatherDep tcp://b:1 v 1");
  handle(gathered(kB, {"v"}));
  EXPECT_EQ(in_state(TaskState::kMemory), (Lines{"v", "w", "x", "y", "z"}));
}

TEST_F(Transfers, the_first_one_is_never_too_large) {
  settings.transfer_incoming_bytes_limit = 100;
  settings.transfer_message_bytes_limit = 100;
  handle(compute("c", {on_peers("a", {kB}, 200)}));
  EXPECT_EQ(state("a"), "flight");
}

TEST_F(Transfers, the_first_one_from_a_second_peer_may_exceed_the_message_limit) {
  settings.transfer_incoming_bytes_limit = 600;
  settings.transfer_message_bytes_limit = 100;
  settings.transfer_incoming_bytes_throttle_threshold = 1;
  handle(compute("c", {on_peers("a", {kB}, 200), on_peers("b", {kC}, 200)}));
  EXPECT_EQ(state("a"), "flight");
  EXPECT_EQ(state("b"), "flight");
}

TEST_F(Transfers, wait_for_others_beyond_the_count_limit) {
  settings.transfer_incoming_count_limit = 1;
  settings.transfer_incoming_bytes_throttle_threshold = 1;
  handle(compute("c", {on_peers("a", {kB}, 100), on_peers("b", {kC}, 100)}));
  ASSERT_EQ(in_state(TaskState::kFlight).size(), 1u);
  ASSERT_EQ(in_state(TaskState::kFetch).size(), 1u);
  const std::string first = in_state(TaskState::kFlight)[0], second = in_state(TaskState::kFetch)[0];
  handle(gathered(machine().find(key(first))->coming_from->address, {first}));
  EXPECT_EQ(state(first), "memory");
  EXPECT_EQ(state(second), "flight");
  EXPECT_EQ(machine().transfer_incoming_bytes(), 100);
}

TEST_F(Transfers, do_not_wait_below_the_threshold) {
  settings.transfer_incoming_count_limit = 1;
  settings.transfer_incoming_bytes_limit = 200;
  settings.transfer_incoming_bytes_throttle_threshold = 50;
  handle(compute("b", {on_peers("a", {kB}, 1)}), compute("d", {on_peers("c", {kC}, 1)}), compute("f", {on_peers("e", {kD}, 100)}));
  EXPECT_EQ(in_state(TaskState::kFlight), (Lines{"a", "c", "e"}));
  EXPECT_EQ(machine().transfer_incoming_bytes(), 102);
}

TEST_F(Transfers, wait_for_bytes_whatever_the_threshold) {
  settings.transfer_incoming_count_limit = 1;
  settings.transfer_incoming_bytes_limit = 100;
  settings.transfer_incoming_bytes_throttle_threshold = 50;
  handle(compute("b", {on_peers("a", {kB}, 1)}), compute("d", {on_peers("c", {kC}, 100)}));
  EXPECT_EQ(state("c"), "fetch");
  EXPECT_EQ(machine().transfer_incoming_bytes(), 1);
}

TEST_F(Transfers, wait_for_bytes_from_the_same_peer) {
  settings.transfer_incoming_bytes_limit = 250;
  handle(compute("d", {on_peers("a", {kB}, 100), on_peers("b", {kB}, 100), on_peers("c", {kB}, 100)}));
  EXPECT_EQ(machine().transfer_incoming_bytes(), 200);
  ASSERT_EQ(in_state(TaskState::kFetch).size(), 1u);
  const std::string last = in_state(TaskState::kFetch)[0];
  handle(gathered(kB, in_state(TaskState::kFlight)));
  EXPECT_EQ(state(last), "flight");
}

TEST_F(Transfers, sizes_that_nobody_knows_count_as_the_default) {
  handle(AcquireReplicas{{on_peers("x", {kB}, -1)}});
  EXPECT_EQ(machine().transfer_incoming_bytes(), 1000);
}

TEST_F(Transfers, tasks_to_fetch_are_counted_once) {
  settings.transfer_incoming_count_limit = 0;
  settings.transfer_incoming_bytes_throttle_threshold = 0;
  handle(Pause{}, AcquireReplicas{{on_peers("c", {kB}), on_peers("d", {kB, kC})}});
  EXPECT_EQ(machine().fetch_count(), 2u);
  handle(FreeKeys{keys({"c", "d"})});
  EXPECT_EQ(machine().fetch_count(), 0u);
  EXPECT_TRUE(machine().peers().empty());
}

TEST_F(Transfers, a_peer_that_leaves_is_no_source_any_more) {
  handle(AcquireReplicas{{on_peers("x", {kB}), on_peers("y", {kC})}}, AcquireReplicas{{on_peers("w", {kB}), on_peers("z", {kB, kC})}},
         RemoveWorker{kB});
  EXPECT_EQ(state("w"), "missing");
  EXPECT_EQ(state("z"), "fetch");
  EXPECT_EQ(machine().find(key("z"))->who_has.size(), 1u);
}

TEST_F(Transfers, a_peer_that_leaves_in_flight_may_still_deliver) {
  handle(compute("y", {on_peers("x", {kB})}), RemoveWorker{kB});
  EXPECT_EQ(state("x"), "flight");
  EXPECT_EQ(handle(gathered(kB, {"x"})), (Lines{"AddKeysMsg x", "Execute y"}));
  EXPECT_TRUE(machine().peers().empty());
}

TEST_F(Transfers, a_peer_that_leaves_in_flight_and_is_busy_is_remembered_until_it_may_be_asked_again) {
  handle(compute("y", {on_peers("x", {kB})}), RemoveWorker{kB});
  EXPECT_EQ(handle(GatherDepBusy{kB}), (Lines{"RetryBusyWorkerLater tcp://b:1", "RequestRefreshWhoHasMsg x"}));
  EXPECT_EQ(state("x"), "missing");
  EXPECT_EQ(machine().peers().size(), 1u);
  EXPECT_EQ(handle(RetryBusyWorker{kB}), Lines{});
  EXPECT_TRUE(machine().peers().empty());
}

TEST_F(Transfers, what_one_brings_is_announced_in_one_message) {
  handle(compute("y", {on_peers("v", {kB}), on_peers("w", {kB}), on_peers("x", {kB})}));
  EXPECT_EQ(handle(gathered(kB, {"v", "w", "x"})), (Lines{"AddKeysMsg v,w,x", "Execute y"}));
}

TEST_F(Transfers, what_comes_from_a_peer_that_was_not_asked_for_it_is_dropped_and_forgotten) {
  handle(compute("y", {on_peers("x", {kB})}), compute("u", {on_peers("z", {kC})}));
  EXPECT_EQ(handle(gathered(kB, {"z", "x"})), (Lines{"DropData z", "AddKeysMsg x", "Execute y"}));
  EXPECT_EQ(state("z"), "flight");
  handle(gathered(kC, {}));
  EXPECT_EQ(state("z"), "missing");
}

TEST_F(Transfers, one_that_was_never_asked_for_is_ignored_and_its_data_dropped) {
  EXPECT_EQ(handle(gathered(kB, {"x"})), (Lines{"Warn A transfer from tcp://b:1 ended that was never asked for", "DropData x"}));
  EXPECT_EQ(handle(GatherDepBusy{kB}).size(), 1u);
  EXPECT_EQ(handle(GatherDepNetworkFailure{kB}).size(), 1u);
  EXPECT_EQ(handle(GatherDepFailure{kB, nullptr}).size(), 1u);
  EXPECT_EQ(machine().n_tasks(), 0u);
}

}  // namespace
}  // namespace dask::worker
