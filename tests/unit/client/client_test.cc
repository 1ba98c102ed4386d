// A client on our scheduler: results, failures, cancellation, scattered data, and that the cluster forgets what nobody holds.
#include "dask/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <thread>

#include "core/net/rpc.h"
#include "dask/delayed.h"
#include "tests/unit/client/functions.h"
#include "tests/unit/client/mini_cluster.h"

namespace dask {
namespace {

using namespace testing_functions;

// A task that ends when the test lets it.
struct Gate {
  std::mutex mutex;
  std::condition_variable changed;
  bool open = false;
  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return open; });
  }
  void let_go() {
    const std::lock_guard lock(mutex);
    open = true;
    changed.notify_all();
  }
};
Gate* gate = nullptr;
int wait_at_gate(int x) {
  gate->wait();
  return x;
}

class ClientTest : public testing::Test {
 protected:
  ClientTest() { gate = &gate_; }

  Gate gate_;  // outlives the worker's threads: a cancelled task may still come to it
  client_test::MiniScheduler scheduler_;
  client_test::MiniWorker worker_{scheduler_.address(), 2};
  Client client_{scheduler_.address()};
};

TEST_F(ClientTest, submits_and_fetches) {
  const Future<int> two = client_.submit<inc>(1);
  const Future<int> five = client_.submit<add>(two, 3);
  EXPECT_EQ(five.result(), 5);
  EXPECT_EQ(five.status(), "finished");
  EXPECT_EQ(client_.submit<greet>("you").result(), "hello you");
}

TEST_F(ClientTest, maps_and_gathers_in_order) {
  std::vector<int> numbers(2500);
  std::iota(numbers.begin(), numbers.end(), 0);
  const auto futures = client_.map<inc>(numbers);
  const std::vector<int> results = client_.gather(futures);
  for (std::size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(results[i], numbers[i] + 1);
  EXPECT_EQ(client_.submit<sum>(futures).result(), 2500 * 2501 / 2);
}

TEST_F(ClientTest, is_the_default_scheduler_while_it_lives) {
  EXPECT_EQ(delayed<add>(delayed<inc>(1), delayed<inc>(2)).compute(), 5);
  EXPECT_EQ(delayed<inc>(1).compute({.scheduler = "distributed"}), 2);
  EXPECT_EQ(delayed<inc>(1).compute({.scheduler = "sync"}), 2);
  client_.close();
  EXPECT_EQ(delayed<inc>(1).compute(), 2);
  EXPECT_THROW(delayed<inc>(1).compute({.scheduler = "distributed"}), std::invalid_argument);
}

TEST_F(ClientTest, persisted_values_stay_on_the_cluster_and_serve_every_scheduler) {
  const auto kept = delayed<inc>(1).persist();
  EXPECT_EQ(delayed<add>(kept, kept).compute(), 4);
  EXPECT_EQ(delayed<add>(kept, kept).compute({.scheduler = "threads"}), 4);
}

TEST_F(ClientTest, failures_are_typed_and_spread_to_what_needs_them) {
  const auto failing = client_.submit<look_up>(7);
  const auto later = client_.submit<inc>(failing);
  try {
    later.result();
    FAIL() << "nothing was thrown";
  } catch (const TaskError& error) {
    EXPECT_EQ(error.type(), "dask::testing_functions::NoSuchAirport");
    EXPECT_STREQ(error.what(), "no airport 7");
  }
  EXPECT_EQ(failing.status(), "error");
  EXPECT_EQ(failing.exception()->type(), "dask::testing_functions::NoSuchAirport");
  EXPECT_EQ(client_.submit<inc>(1).exception(), std::nullopt);
}

TEST_F(ClientTest, large_values_travel_in_both_directions_and_directly) {
  const std::vector<double> numbers(300'000, 0.5);
  const auto there = client_.scatter(numbers);
  EXPECT_EQ(client_.submit<total>(there).result(), 150'000);
  EXPECT_EQ(there.result(), numbers);
  Client direct(scheduler_.address(), {.set_as_default = false, .direct_to_workers = true});
  EXPECT_EQ(direct.submit<many>(100'000).result().size(), 100'000u);
}

TEST_F(ClientTest, waits_and_times_out) {
  const auto slow = client_.submit<wait_at_gate>(1);
  EXPECT_THROW(slow.result(0.01), TimeoutError);
  EXPECT_THROW(wait(std::vector{slow}, 0.01), TimeoutError);
  EXPECT_FALSE(slow.done());
  const auto quick = client_.submit<inc>(1);
  const auto first = wait(std::vector{slow, quick}, {}, ReturnWhen::kFirstCompleted);
  ASSERT_EQ(first.done.size(), 1u);
  EXPECT_EQ(first.done[0].key(), quick.key());
  gate_.let_go();
  EXPECT_EQ(wait(std::vector{slow, quick}).done.size(), 2u);
  EXPECT_EQ(slow.result(), 1);
}

TEST_F(ClientTest, as_completed_gives_each_future_once_in_the_order_of_their_ends) {
  const auto slow = client_.submit<wait_at_gate>(1);
  std::vector<Future<int>> all{slow};
  for (int i = 0; i < 20; ++i) all.push_back(client_.submit<inc>(i));
  std::vector<std::string> ended;
  for (const Future<int>& future : as_completed(all)) {
    ended.push_back(future.key());
    if (ended.size() == 20) gate_.let_go();
  }
  EXPECT_EQ(ended.size(), 21u);
  EXPECT_EQ(ended.back(), slow.key());
}

TEST_F(ClientTest, cancelled_futures_say_so) {
  const auto slow = client_.submit<wait_at_gate>(1);
  const auto later = client_.submit<inc>(slow);
  slow.cancel();
  EXPECT_TRUE(slow.cancelled());
  EXPECT_THROW(slow.result(), CancelledError);
  EXPECT_THROW(later.result(), CancelledError);
  gate_.let_go();
}

TEST_F(ClientTest, many_results_are_gathered_by_several_requests_to_their_worker) {
  std::vector<int> numbers(50'100);
  std::iota(numbers.begin(), numbers.end(), 0);
  const auto futures = client_.map<inc>(numbers);
  wait(futures);
  net::Loop loop;
  net::RpcPool rpc(loop);
  Value::Array keys;
  for (const auto& future : futures) keys.emplace_back(future.key());
  rpc.call(scheduler_.address(), Value(Value::Map{{"op", "gather"}, {"keys", Value(std::move(keys))}}), [&](Result<Value> answer) {
    EXPECT_TRUE(answer && (*answer)["status"].as_string() == "OK");
    EXPECT_EQ(answer.value_or(Value())["data"].size(), numbers.size());
    loop.stop();
  });
  loop.run();
}

TEST(SmallResults, come_along_with_the_report_and_large_ones_are_fetched) {
  client_test::MiniScheduler scheduler;
  client_test::MiniWorker worker(scheduler.address(), 2, true);
  Client client(scheduler.address());
  const auto five = client.submit<add>(client.submit<inc>(1), 3);
  EXPECT_EQ(five.result(), 5);
  EXPECT_EQ(five.result(), 5);
  EXPECT_EQ(client.submit<greet>("you").result(), "hello you");
  EXPECT_EQ(client.submit<total>(client.submit<many>(100)).result(), 150.0);
  EXPECT_EQ(worker.fetched(), 0u);
  EXPECT_EQ(client.submit<many>(1000).result(), many(1000));
  EXPECT_EQ(worker.fetched(), 1u);
  EXPECT_THROW(client.submit<look_up>(7).result(), TaskError);
  // It is there already when another client wants it: that one fetches it.
  const auto lazy = delayed<inc>(41);
  const auto kept = client.compute(lazy);
  EXPECT_EQ(kept.result(), 42);
  Client other(scheduler.address());
  const auto same = other.compute(lazy);
  EXPECT_EQ(same.result(), 42);
  EXPECT_EQ(worker.fetched(), 2u);
}

TEST_F(ClientTest, an_input_that_is_let_go_after_its_use_was_submitted_is_not_released_before_it) {
  std::vector<Future<int>> sums;
  for (int i = 0; i < 500; ++i) sums.push_back(client_.submit<add>(client_.submit<inc>(i), 3));
  const auto results = client_.gather(sums);
  for (int i = 0; i < 500; ++i) ASSERT_EQ(results[static_cast<std::size_t>(i)], i + 4);
}

TEST_F(ClientTest, what_nobody_holds_is_forgotten) {
  {
    const auto futures = client_.map<many>(std::vector<int>{1000, 2000, 3000});
    client_.gather(futures);
    EXPECT_EQ(worker_.held(), 3u);
  }
  // The release goes out before this submission.
  const auto last = client_.submit<inc>(9);
  EXPECT_EQ(last.result(), 10);
  EXPECT_EQ(worker_.held(), 1u);
}

TEST_F(ClientTest, small_results_that_nobody_holds_are_forgotten_soon) {
  {
    const auto futures = client_.map<inc>(std::vector<int>{1, 2, 3});
    client_.gather(futures);
    EXPECT_EQ(worker_.held(), 3u);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (worker_.held() > 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(worker_.held(), 0u);
}

TEST_F(ClientTest, the_same_value_can_be_computed_again) {
  const auto lazy = delayed<inc>(1);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(lazy.compute(), 2);
  const auto kept = lazy.persist();
  EXPECT_EQ(lazy.compute(), 2);
}

TEST_F(ClientTest, tells_about_its_cluster) {
  EXPECT_EQ(client_.scheduler_info()["workers"].size(), 1u);
  EXPECT_THAT(client_.repr(), testing::MatchesRegex("<Client: 'tcp://127.0.0.1:[0-9]+' workers=1 threads=2>"));
  EXPECT_THAT(client_.dashboard_link(), testing::StartsWith("http://127.0.0.1:"));
  client_.wait_for_workers(1);
  EXPECT_THROW(client_.wait_for_workers(2, 0.01), TimeoutError);
}

TEST_F(ClientTest, futures_of_a_closed_client_are_cancelled) {
  const auto slow = client_.submit<wait_at_gate>(1);
  client_.close();
  EXPECT_TRUE(slow.cancelled());
  EXPECT_THROW(slow.result(), std::exception);
  EXPECT_THROW(client_.submit<inc>(1), std::logic_error);
  gate_.let_go();
}

TEST(Client, a_scheduler_that_is_not_there_is_an_error_with_its_address) {
  try {
    Client client("tcp://127.0.0.1:1", {.timeout_s = 0.2});
    FAIL() << "nothing was thrown";
  } catch (const ConnectionError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("tcp://127.0.0.1:1"));
  }
  EXPECT_THROW(Client("gopher://x:1"), std::invalid_argument);
}

}  // namespace
}  // namespace dask
