// The graph path end to end with the real helper: needs a Python with distributed, from DASK_NATIVE_TEST_PYTHON or .venv.
// Expressions are written as Python source: a pickle that calls eval gives them to the helper.
#include "scheduler/graph/graph_service.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/wire/message.h"

namespace dask::scheduler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string test_python() {
  if (const char* named = std::getenv("DASK_NATIVE_TEST_PYTHON")) return named;
  return DASK_SOURCE_DIR "/.venv/bin/python";
}

std::string eval_pickle(const std::string& source) { return "cbuiltins\neval\n(V" + source + "\ntR."; }

Value evaluated(const std::string& source) {
  auto node = std::make_shared<Opaque>();
  node->kind = Opaque::Kind::kSerialized;
  Value header = Value::map();
  header.set("serializer", "pickle");
  header.set("writeable", Value::array());
  header.set("num-sub-frames", 1);
  node->header = Bytes::own(wire::encode_msgpack(header));
  node->frames = {Bytes::own(eval_pickle(source))};
  return Value(OpaquePtr(std::move(node)));
}

Value pickled(const std::string& source) {
  auto node = std::make_shared<Opaque>();
  node->kind = Opaque::Kind::kPickled;
  Value header = Value::map();
  header.set("pickled-obj", Value(Bytes::own(eval_pickle(source))));
  header.set("compression", Value::array());
  header.set("num-sub-frames", 0);
  node->header = Bytes::own(wire::encode_msgpack(header));
  return Value(OpaquePtr(std::move(node)));
}

// LLGExpr of a dict whose values may use Task, TaskRef, DataNode, Alias, op (operator).
std::string graph_source(const std::string& dict) {
  return "(lambda E, S, op: (lambda Task, TaskRef, DataNode, Alias: E.LLGExpr(" + dict +
         "))(S.Task, S.TaskRef, S.DataNode, S.Alias))(__import__('dask._expr', fromlist=['x']), __import__('dask._task_spec', "
         "fromlist=['x']), "
         "__import__('operator'))";
}

Key key(std::string_view name) { return Key::from_string(name); }

struct Outcome {
  std::optional<LoweredGraph> graph;
  FailurePtr failure;                      // of lowered or done
  std::map<std::string, OpaquePtr> specs;  // by key
  bool finished = false;

  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const Key& k : graph->columns.keys) names.push_back(k.str());
    return names;
  }
  double order_of(std::string_view name) const {
    for (std::size_t i = 0; i < graph->columns.n_tasks; ++i) {
      if (graph->columns.keys[i].str() == name) return graph->columns.order[i];
    }
    return -1;
  }
};

class GraphServiceTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::access(test_python().c_str(), X_OK) != 0) GTEST_SKIP() << "no Python at " << test_python() << ": set DASK_NATIVE_TEST_PYTHON";
    options_.python = test_python();
    options_.python_path = DASK_SOURCE_DIR "/python";
  }

  void start() {
    service_.emplace(loop_, options_);
    service_->start([this](Result<Value> ready) { ready_ = std::move(ready); });
  }

  void submit(Outcome& outcome, const std::string& source, std::vector<Key> wanted, std::string client = "c",
              std::vector<std::pair<Key, double>> priority = {}, Value annotations = {}) {
    GraphRequest request;
    request.client = std::move(client);
    request.expr_ser = evaluated(source);
    request.keys = std::move(wanted);
    request.internal_priority = std::move(priority);
    request.annotations = std::move(annotations);
    service_->submit(std::move(request), {.lowered =
                                              [&outcome](auto lowered) {
                                                if (lowered) {
                                                  outcome.graph = *std::move(lowered);
                                                } else {
                                                  outcome.failure = lowered.error();
                                                  outcome.finished = true;
                                                }
                                              },
                                          .specs =
                                              [&outcome](SpecBatch batch) {
                                                for (auto& [task, spec] : batch.specs)
                                                  outcome.specs[outcome.graph->columns.keys[task].str()] = spec;
                                              },
                                          .done =
                                              [&outcome](FailurePtr failure) {
                                                outcome.failure = std::move(failure);
                                                outcome.finished = true;
                                              }});
  }

  // Runs the loop until `condition` holds.
  template <class Condition>
  void run_until(Condition condition) {
    auto check = loop_.every(std::chrono::milliseconds(2), [&] {
      if (condition()) loop_.stop();
    });
    bool late = false;
    auto limit = loop_.after(std::chrono::seconds(60), [&] {
      late = true;
      loop_.stop();
    });
    loop_.run();
    ASSERT_FALSE(late) << "waited 60 s";
  }

  net::Loop loop_;
  GraphService::Options options_;
  std::optional<GraphService> service_;
  std::optional<Result<Value>> ready_;
};

TEST_F(GraphServiceTest, a_graph_comes_back_as_columns_and_run_specs) {
  start();
  Outcome outcome;
  submit(outcome,
         graph_source("{'x': DataNode('x', 1), ('y', 0): Task(('y', 0), op.neg, TaskRef('x')), 'z': Task('z', op.add, TaskRef(('y', 0)), "
                      "TaskRef('elsewhere')), 'unused': Task('unused', op.neg, TaskRef('x'))}"),
         {key("z")});
  run_until([&] { return outcome.finished; });
  ASSERT_TRUE(outcome.graph);
  const GraphColumns& columns = outcome.graph->columns;
  EXPECT_EQ(columns.n_tasks, 3u);
  EXPECT_THAT(outcome.names(), ElementsAre("x", "('y', 0)", "z", "elsewhere"));
  EXPECT_THAT(columns.dep_begin, ElementsAre(0, 0, 1, 3));
  EXPECT_THAT(columns.deps, ElementsAre(0, 1, 3));
  EXPECT_THAT(columns.flags, ElementsAre(GraphColumns::kDataProducer, 0, 0));
  EXPECT_THAT(columns.order, ElementsAre(0, 1, 2));
  EXPECT_THAT(outcome.graph->wanted, ElementsAre(2));
  EXPECT_EQ(outcome.failure, nullptr);
  ASSERT_EQ(outcome.specs.size(), 3u);
  auto header = wire::decode_msgpack(outcome.specs["z"]->header);
  ASSERT_TRUE(header);
  EXPECT_TRUE((*header)["pickled-obj"].is_bytes());
  EXPECT_EQ((*header)["num-sub-frames"].as_int(-1), 0);
  EXPECT_EQ(service_->counters().tasks, 3u);
}

TEST_F(GraphServiceTest, the_versions_of_the_helpers_packages_come_with_ready) {
  start();
  run_until([&] { return ready_.has_value(); });
  ASSERT_TRUE(*ready_) << ready_->error().message;
  EXPECT_TRUE((**ready_)["packages"]["distributed"].is_string());
  EXPECT_TRUE((**ready_)["host"]["python"].is_string());
  EXPECT_TRUE(service_->ready());
  EXPECT_EQ(service_->pids().size(), 1u);
}

TEST_F(GraphServiceTest, priorities_of_the_client_are_kept_and_data_that_it_does_not_name_comes_before_its_users) {
  start();
  Outcome outcome;
  submit(outcome, graph_source("{'d': DataNode('d', 1), 'a': Task('a', op.neg, TaskRef('d')), 'b': Task('b', op.neg, TaskRef('d'))}"),
         {key("a"), key("b")}, "c", {{key("b"), 3}, {key("a"), 7}});
  run_until([&] { return outcome.finished; });
  ASSERT_TRUE(outcome.graph);
  EXPECT_EQ(outcome.order_of("b"), 3);
  EXPECT_EQ(outcome.order_of("a"), 7);
  EXPECT_EQ(outcome.order_of("d"), 3);
}

TEST_F(GraphServiceTest, large_graphs_are_pickled_in_the_order_that_was_computed_here) {
  start();
  Outcome outcome;
  submit(outcome,
         graph_source("{**{('a', i): Task(('a', i), op.neg, i) for i in range(3000)}, **{('b', i): Task(('b', i), op.neg, TaskRef(('a', "
                      "i))) for i in range(3000)}}"),
         [] {
           std::vector<Key> wanted;
           for (int i = 0; i < 3000; ++i) wanted.push_back(*Key::from_value(Value(Value::Array{Value("b"), Value(i)})));
           return wanted;
         }());
  run_until([&] { return outcome.finished; });
  ASSERT_TRUE(outcome.graph);
  EXPECT_EQ(outcome.graph->columns.n_tasks, 6000u);
  EXPECT_EQ(outcome.specs.size(), 6000u);
  EXPECT_EQ(outcome.order_of("('b', 0)"), 1) << "each chain runs to its end before the next one starts";
}

TEST_F(GraphServiceTest, annotations_are_resolved_per_key_and_shared) {
  start();
  Outcome outcome;
  submit(outcome, graph_source("{'a': Task('a', op.neg, 1), 'b': Task('b', op.neg, 1), 'c': Task('c', op.neg, 1)}"),
         {key("a"), key("b"), key("c")}, "c", {},
         pickled("{'priority': lambda k: 5 if k == 'a' else 0, 'retries': 2, 'workers': ['w1', 7], 'resources': {'GPU': 1}, "
                 "'allow_other_workers': True}"));
  run_until([&] { return outcome.finished; });
  ASSERT_TRUE(outcome.graph) << outcome.failure->exception_text;
  const GraphColumns& columns = outcome.graph->columns;
  ASSERT_EQ(columns.annotations.size(), 2u);
  EXPECT_THAT(columns.annotation, ElementsAre(0, 1, 1));
  const Annotations& first = *columns.annotations[0];
  EXPECT_EQ(first.user_priority, 5);
  EXPECT_EQ(first.retries, 2);
  EXPECT_THAT(first.workers, ElementsAre("w1", "7"));
  EXPECT_THAT(first.resources, ElementsAre(testing::Pair("GPU", 1.0)));
  EXPECT_TRUE(first.allow_other_workers);
  EXPECT_EQ(first.wire["priority"].as_int(), 5);
}

TEST_F(GraphServiceTest, an_empty_dict_is_an_empty_graph) {
  start();
  Outcome outcome;
  submit(outcome, "{}", {key("x")});
  run_until([&] { return outcome.finished; });
  ASSERT_TRUE(outcome.graph);
  EXPECT_EQ(outcome.graph->columns.n_tasks, 0u);
  EXPECT_THAT(outcome.graph->wanted, ElementsAre(UINT32_MAX));
}

TEST_F(GraphServiceTest, an_exception_of_the_clients_code_comes_back_pickled) {
  start();
  Outcome outcome;
  submit(outcome, "1 / 0", {key("x")});
  run_until([&] { return outcome.finished; });
  ASSERT_NE(outcome.failure, nullptr);
  EXPECT_THAT(outcome.failure->exception_text, HasSubstr("Error during deserialization of the task graph"));
  EXPECT_TRUE(outcome.failure->exception.is_bytes());
  EXPECT_THAT(outcome.failure->traceback_text, HasSubstr("load_expression"));
}

TEST_F(GraphServiceTest, a_cycle_is_reported_in_dasks_words_and_the_next_graph_goes_on) {
  start();
  Outcome cycle;
  Outcome next;
  submit(cycle,
         graph_source("{'a': Task('a', op.neg, TaskRef('b')), 'b': Task('b', op.neg, TaskRef('a')), **{i: Task(i, op.neg, TaskRef('a')) "
                      "for i in range(500)}}"),
         {key("a"), *Key::from_value(Value(1))});
  submit(next, graph_source("{'x': Task('x', op.neg, 1)}"), {key("x")});
  run_until([&] { return next.finished; });
  ASSERT_NE(cycle.failure, nullptr);
  EXPECT_THAT(cycle.failure->exception_text, HasSubstr("Cycle detected between the following keys"));
  EXPECT_TRUE(cycle.specs.empty());
  EXPECT_EQ(next.specs.size(), 1u);
}

TEST_F(GraphServiceTest, a_task_that_cannot_be_pickled_fails_without_the_others) {
  start();
  Outcome outcome;
  submit(outcome,
         graph_source("{'good': Task('good', op.neg, 1), 'bad': Task('bad', op.neg, type('X', (), "
                      "{'__dask_tokenize__': lambda s: 1, '__reduce_ex__': lambda s, p: 1 / 0})())}"),
         {key("good"), key("bad")});
  run_until([&] { return outcome.finished; });
  ASSERT_NE(outcome.failure, nullptr);
  EXPECT_THAT(outcome.failure->exception_text, HasSubstr("ZeroDivisionError"));
  ASSERT_EQ(outcome.specs.size(), 1u);
  EXPECT_EQ(outcome.specs.begin()->first, "good");
}

TEST_F(GraphServiceTest, prints_of_the_clients_code_do_not_disturb_the_pipe) {
  start();
  Outcome outcome;
  submit(outcome, graph_source("{'x': (print('hello from a graph'), __import__('os').write(1, bytes(100)), Task('x', op.neg, 1))[-1]}"),
         {key("x")});
  run_until([&] { return outcome.finished; });
  EXPECT_EQ(outcome.specs.size(), 1u);
}

TEST_F(GraphServiceTest, a_helper_that_exits_fails_its_graph_with_the_exit_code_and_the_others_go_on) {
  start();
  Outcome killed;
  Outcome next;
  submit(killed, "__import__('os')._exit(3)", {key("x")});
  submit(next, graph_source("{'x': Task('x', op.neg, 1)}"), {key("x")});
  run_until([&] { return next.finished; });
  ASSERT_NE(killed.failure, nullptr);
  EXPECT_THAT(killed.failure->exception_text, HasSubstr("exit code 3"));
  EXPECT_THAT(killed.failure->exception_text, HasSubstr("Other graphs are not affected"));
  EXPECT_EQ(next.specs.size(), 1u);
  EXPECT_EQ(service_->counters().restarts, 1u);
}

TEST_F(GraphServiceTest, a_helper_that_crashes_fails_its_graph_with_the_signal_and_pythons_stack) {
  start();
  Outcome killed;
  submit(killed, "__import__('ctypes').string_at(0)", {key("x")});
  run_until([&] { return killed.finished; });
  EXPECT_THAT(killed.failure->exception_text, HasSubstr("signal 11"));
  EXPECT_THAT(killed.failure->exception_text, HasSubstr("Fatal Python error: Segmentation fault"));
}

TEST_F(GraphServiceTest, a_helper_that_hangs_is_killed_after_the_time_out) {
  options_.lower_timeout = GraphService::Seconds(1);
  start();
  Outcome hung;
  Outcome next;
  submit(hung, "__import__('time').sleep(600)", {key("x")});
  submit(next, graph_source("{'x': Task('x', op.neg, 1)}"), {key("x")});
  run_until([&] { return next.finished; });
  ASSERT_NE(hung.failure, nullptr);
  EXPECT_THAT(hung.failure->exception_text, HasSubstr("TimeoutError"));
  EXPECT_THAT(hung.failure->exception_text, HasSubstr("within 1 seconds"));
  EXPECT_EQ(next.specs.size(), 1u);
}

TEST_F(GraphServiceTest, graphs_of_one_client_keep_their_order_and_another_client_need_not_wait) {
  options_.helpers = 2;
  start();
  std::string slow = "(__import__('time').sleep(1.5), " + graph_source("{'s': Task('s', op.neg, 1)}") + ")[-1]";
  Outcome first;
  Outcome second;
  Outcome other;
  submit(first, slow, {key("s")}, "one");
  submit(second, graph_source("{'x': Task('x', op.neg, 1)}"), {key("x")}, "one");
  submit(other, graph_source("{'x': Task('x', op.neg, 1)}"), {key("x")}, "two");
  run_until([&] { return other.finished; });
  EXPECT_FALSE(second.finished);
  run_until([&] { return second.finished; });
  EXPECT_TRUE(first.finished);
}

TEST_F(GraphServiceTest, a_client_that_leaves_is_not_called_back) {
  start();
  Outcome left;
  Outcome waiting;
  Outcome next;
  submit(left, "(__import__('time').sleep(0.5), {})[-1]", {key("x")}, "gone");
  submit(waiting, "{}", {key("x")}, "gone");
  submit(next, "{}", {key("x")}, "here");
  run_until([&] { return service_->ready(); });
  service_->forget_client("gone");
  run_until([&] { return next.finished; });
  EXPECT_FALSE(left.finished);
  EXPECT_FALSE(waiting.finished);
}

TEST_F(GraphServiceTest, an_interpreter_that_is_not_there_is_named_and_every_graph_says_so) {
  options_.python = "/nonexistent/python";
  start();
  Outcome outcome;
  submit(outcome, "{}", {key("x")});
  run_until([&] { return outcome.finished && ready_; });
  EXPECT_FALSE(*ready_);
  EXPECT_THAT(ready_->error().message, HasSubstr("/nonexistent/python"));
  EXPECT_THAT(outcome.failure->exception_text, HasSubstr("/nonexistent/python"));
  EXPECT_THAT(outcome.failure->exception_text, HasSubstr("--python"));
}

TEST_F(GraphServiceTest, a_lazy_service_starts_its_helper_with_the_first_graph) {
  options_.lazy = true;
  start();
  EXPECT_TRUE(service_->ready());
  EXPECT_TRUE(service_->pids().empty());
  Outcome outcome;
  submit(outcome, graph_source("{'x': DataNode('x', 1)}"), {key("x")});
  EXPECT_EQ(service_->pids().size(), 1u);
  run_until([&] { return outcome.finished; });
  EXPECT_TRUE(outcome.graph);
}

TEST_F(GraphServiceTest, a_lazy_service_without_an_interpreter_fails_each_graph_and_sleeps_again) {
  options_.lazy = true;
  options_.python = "/nonexistent/python";
  start();
  for (int i = 0; i < 2; ++i) {
    Outcome outcome;
    submit(outcome, "{}", {key("x")});
    run_until([&] { return outcome.finished; });
    EXPECT_THAT(outcome.failure->exception_text, HasSubstr("tried again with the next graph"));
  }
}

TEST_F(GraphServiceTest, an_interpreter_without_distributed_says_what_is_missing) {
  char folder[] = "/tmp/dask_graph_test_XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  std::string broken = std::string(folder) + "/distributed.py";
  FILE* file = std::fopen(broken.c_str(), "w");
  std::fputs("raise ImportError('no distributed here')\n", file);
  std::fclose(file);
  options_.python_path = std::string(folder) + ":" + options_.python_path;
  start();
  run_until([&] { return ready_.has_value(); });
  ASSERT_FALSE(*ready_);
  EXPECT_THAT(ready_->error().message, HasSubstr("no distributed here"));
  ::unlink(broken.c_str());
  // Starting is tried again: once the cause is gone, graphs are taken in.
  Outcome outcome;
  run_until([&] { return service_->ready(); });
  submit(outcome, "{}", {key("x")});
  run_until([&] { return outcome.finished; });
  EXPECT_TRUE(outcome.graph);
  (void)std::system(("rm -rf '" + std::string(folder) + "'").c_str());
}

}  // namespace
}  // namespace dask::scheduler
