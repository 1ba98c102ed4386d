// A cluster of this machine: our scheduler and our workers as children of this program, and values that travel between them.
#include "dask/local_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "dask/client.h"
#include "dask/delayed.h"
#include "tests/unit/client/functions.h"

namespace dask {
namespace {

using namespace testing_functions;

int where(int) { return getpid(); }

const LocalClusterOptions kTwoWorkers{.n_workers = 2, .threads_per_worker = 1, .dashboard_address = ":0"};

TEST(LocalCluster, computes_in_other_processes_and_moves_values_between_them) {
  Client client(kTwoWorkers);
  EXPECT_THAT(client.repr(), testing::EndsWith("workers=2 threads=2>"));
  EXPECT_NE(client.submit<where>(0).result(), getpid());
  std::vector<Delayed<double>> sums;
  for (int i = 1; i <= 8; ++i) sums.push_back(delayed<total>(delayed<many>(i * 10'000)));
  EXPECT_EQ(delayed<total>(sums).compute(), 1.5 * 360'000);
  try {
    client.submit<look_up>(7).result();
    FAIL() << "nothing was thrown";
  } catch (const TaskError& error) {
    EXPECT_EQ(error.type(), "dask::testing_functions::NoSuchAirport");
  }
}

TEST(LocalCluster, several_clients_may_use_one) {
  const LocalCluster cluster({.n_workers = 1, .threads_per_worker = 2, .dashboard_address = ":0"});
  EXPECT_THAT(cluster.repr(), testing::MatchesRegex("LocalCluster\\('tcp://127.0.0.1:[0-9]+', workers=1, threads=2\\)"));
  Client first(cluster), second(cluster);
  const auto future = first.submit<inc>(1);
  EXPECT_EQ(second.submit<inc>(future).result(), 3);
}

TEST(LocalCluster, wrong_options_are_refused) {
  EXPECT_THROW(LocalCluster({.n_workers = -1}), std::invalid_argument);
  EXPECT_THROW(LocalCluster({.memory_limit = "much", .dashboard_address = ":0"}), std::runtime_error);
}

}  // namespace
}  // namespace dask
