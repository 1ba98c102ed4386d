#include "scheduler/graph/order.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace dask::scheduler {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// A graph under construction, and the columns that order_tasks() reads.
struct Graph {
  std::vector<std::uint32_t> begin{0};
  std::vector<std::uint32_t> deps;
  std::vector<std::uint8_t> data;
  std::vector<Key> keys;
  std::size_t external = 0;

  std::uint32_t task(const std::vector<std::uint32_t>& row) {
    deps.insert(deps.end(), row.begin(), row.end());
    begin.push_back(static_cast<std::uint32_t>(deps.size()));
    return static_cast<std::uint32_t>(begin.size() - 2);
  }
  std::size_t size() const { return begin.size() - 1; }
  OrderGraph view() const { return {size(), size() + external, begin, deps, data, keys}; }
};

struct Golden {
  std::string name;
  std::vector<std::vector<std::uint32_t>> rows;
  std::vector<std::uint32_t> data;
  std::size_t pressure;

  Graph graph() const {
    Graph graph;
    for (const auto& row : rows) graph.task(row);
    graph.data.assign(rows.size(), 0);
    for (std::uint32_t i : data) graph.data[i] = 1;
    return graph;
  }
};

const std::vector<Golden>& goldens() {
  static const std::vector<Golden> kGoldens = {
#include "tests/unit/scheduler/graph/order_golden.inc"
  };
  return kGoldens;
}

void expect_valid(const Graph& graph, const std::vector<std::uint32_t>& rank) {
  ASSERT_EQ(rank.size(), graph.size());
  std::vector<std::uint32_t> sorted = rank;
  std::sort(sorted.begin(), sorted.end());
  for (std::uint32_t i = 0; i < sorted.size(); ++i) ASSERT_EQ(sorted[i], i) << "ranks are no permutation";
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    for (std::size_t d = graph.begin[i]; d < graph.begin[i + 1]; ++d) {
      if (graph.deps[d] >= graph.size()) continue;
      ASSERT_LT(rank[graph.deps[d]], rank[i]) << "task " << i << " runs before its dependency " << graph.deps[d];
    }
  }
}

Graph random_graph(std::uint32_t n, std::uint32_t seed, std::uint32_t deps_max, std::uint32_t window) {
  std::mt19937 random(seed);
  Graph graph;
  for (std::uint32_t i = 0; i < n; ++i) {
    std::vector<std::uint32_t> row;
    std::uint32_t low = i > window ? i - window : 0;
    for (std::uint32_t k = random() % (deps_max + 1); k > 0 && low < i; --k) row.push_back(low + random() % (i - low));
    std::sort(row.begin(), row.end());
    row.erase(std::unique(row.begin(), row.end()), row.end());
    graph.task(row);
    graph.data.push_back(row.empty() && random() % 3 == 0);
  }
  return graph;
}

TEST(Order, holds_at_most_a_tenth_more_results_than_dask_on_typical_graphs) {
  for (const Golden& golden : goldens()) {
    SCOPED_TRACE(golden.name);
    Graph graph = golden.graph();
    std::vector<std::uint32_t> rank = order_tasks(graph.view());
    expect_valid(graph, rank);
    EXPECT_LE(static_cast<double>(order_pressure(graph.view(), rank)), 1.1 * static_cast<double>(golden.pressure));
  }
}

TEST(Order, is_a_valid_order_of_random_graphs) {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Graph graph = random_graph(1 + seed * 2, seed, 1 + seed % 6, 3 + seed % 50);
    expect_valid(graph, order_tasks(graph.view()));
  }
}

TEST(Order, is_the_same_every_time) {
  Graph graph = random_graph(2000, 7, 4, 60);
  EXPECT_EQ(order_tasks(graph.view()), order_tasks(graph.view()));
}

TEST(Order, of_nothing_is_nothing) { EXPECT_THAT(order_tasks(Graph().view()), IsEmpty()); }

TEST(Order, runs_chains_one_after_the_other_in_their_given_order) {
  Graph graph;
  std::vector<std::uint32_t> first;
  for (int i = 0; i < 3; ++i) first.push_back(graph.task({}));
  for (std::uint32_t i : first) graph.task({i});
  EXPECT_THAT(order_tasks(graph.view()), ElementsAre(0, 2, 4, 1, 3, 5));
}

TEST(Order, runs_the_inputs_of_a_merge_in_their_given_order) {
  Graph graph;
  std::vector<std::uint32_t> inputs;
  for (int i = 0; i < 4; ++i) inputs.push_back(graph.task({}));
  graph.task(inputs);
  EXPECT_THAT(order_tasks(graph.view()), ElementsAre(0, 1, 2, 3, 4));
}

TEST(Order, compares_tuples_of_keys_by_their_numbers) {
  Graph graph;
  for (int i : {10, 300, 2, 70000}) {
    graph.task({});
    graph.keys.push_back(*Key::from_value(Value(Value::Array{Value("x"), Value(i)})));
  }
  EXPECT_THAT(order_tasks(graph.view()), ElementsAre(1, 2, 0, 3));
}

TEST(Order, gives_no_rank_to_keys_from_outside_the_graph) {
  Graph graph;
  graph.external = 2;
  std::uint32_t outside = 3;
  graph.task({outside});
  graph.task({0, outside, outside + 1});
  graph.task({outside + 1});
  std::vector<std::uint32_t> rank = order_tasks(graph.view());
  expect_valid(graph, rank);
}

TEST(Order, runs_shared_data_just_before_its_first_user) {
  Graph graph;
  std::uint32_t data = graph.task({});
  for (int i = 0; i < 10; ++i) graph.task({});
  for (std::uint32_t i = 1; i <= 10; ++i) graph.task({data, i});
  graph.data.assign(graph.size(), 0);
  graph.data[data] = 1;
  std::vector<std::uint32_t> rank = order_tasks(graph.view());
  expect_valid(graph, rank);
  EXPECT_LE(order_pressure(graph.view(), rank), 2u);
}

TEST(Order, finds_the_tasks_of_a_cycle) {
  Graph graph;
  graph.task({1});  // waits for the cycle, is not part of it
  graph.task({2, 4});
  graph.task({3});
  graph.task({1});
  graph.task({});
  EXPECT_THAT(find_cycle(graph.view()), UnorderedElementsAre(1, 2, 3));
  Graph self;
  self.task({0});
  EXPECT_THAT(find_cycle(self.view()), ElementsAre(0));
  EXPECT_THAT(find_cycle(random_graph(500, 3, 3, 20).view()), IsEmpty());
}

TEST(Order, takes_a_hundred_thousand_tasks_of_any_shape) {
  std::vector<std::pair<std::string, Graph>> graphs;
  Graph cumulative;  // every leaf over all roots before it: quadratic sets
  std::uint32_t total = cumulative.task({});
  Graph splitter;  // a chain whose every task has an output of its own
  std::uint32_t link = splitter.task({});
  Graph diamonds;  // twice as many paths with each step
  std::uint32_t tip = diamonds.task({});
  for (int i = 0; i < 33'000; ++i) {
    total = cumulative.task({total, cumulative.task({})});
    cumulative.task({total});
    splitter.task({link});
    link = splitter.task({link});
    std::uint32_t left = diamonds.task({tip});
    tip = diamonds.task({left, diamonds.task({tip})});
  }
  graphs.emplace_back("cumulative", std::move(cumulative));
  graphs.emplace_back("splitter", std::move(splitter));
  graphs.emplace_back("diamonds", std::move(diamonds));
  Graph merge;
  std::vector<std::uint32_t> all;
  for (int i = 0; i < 100'000; ++i) all.push_back(merge.task({}));
  merge.task(all);
  graphs.emplace_back("merge", std::move(merge));
  graphs.emplace_back("random", random_graph(100'000, 1, 3, 100'000));
  for (const auto& [name, graph] : graphs) {
    SCOPED_TRACE(name);
    expect_valid(graph, order_tasks(graph.view()));
  }
}

}  // namespace
}  // namespace dask::scheduler
