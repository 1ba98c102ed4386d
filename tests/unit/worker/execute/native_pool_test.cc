// The pool runs every task once, delivers on the loop's thread, and nobody waits behind a slow function.
#include "worker/execute/native_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "core/native/dask_node.h"

namespace dask::worker {
namespace {

int add_one(int x) { return x + 1; }
int total(int a, int b) { return a + b; }
int fail_always(int) { throw std::runtime_error("boom"); }

// A gate that a task waits at until the test opens it.
std::mutex gate_mutex;
std::condition_variable gate_changed;
bool gate_open = false;
int gate_visitors = 0;
int at_gate(int x) {
  std::unique_lock lock(gate_mutex);
  ++gate_visitors;
  gate_changed.notify_all();
  gate_changed.wait(lock, [] { return gate_open; });
  return x;
}

template <auto F>
NativeTask task(int number, Bytes args) {
  NativeTask t;
  t.key = Key::from_value(Value(number)).value();
  t.run_id = number;
  t.function = native::registered<F>().name();
  t.args = std::move(args);
  return t;
}
Bytes args(std::initializer_list<int> values) {
  native::Writer writer;
  writer.array(values.size());
  for (int v : values) writer.integer(v);
  return Bytes::own(writer.out());
}

class NativePoolTest : public testing::Test {
 protected:
  void start(std::size_t nthreads) {
    auto table = native::FunctionTable::of_registered();
    ASSERT_TRUE(table) << table.error().message;
    pool_ = std::make_unique<NativePool>(loop_, clock_, nthreads, std::make_shared<const native::FunctionTable>(*std::move(table)),
                                         [this](std::vector<NativeExecuted> batch) {
                                           EXPECT_EQ(std::this_thread::get_id(), thread_);
                                           for (NativeExecuted& executed : batch) results_.push_back(std::move(executed));
                                           if (results_.size() >= wanted_) loop_.stop();
                                         });
  }
  void run_until(std::size_t wanted) {
    wanted_ = wanted;
    if (results_.size() < wanted) loop_.run();
  }

  const std::thread::id thread_ = std::this_thread::get_id();
  SystemClock clock_;
  net::Loop loop_;
  std::vector<NativeExecuted> results_;
  std::size_t wanted_ = 0;
  std::unique_ptr<NativePool> pool_;
};

TEST_F(NativePoolTest, EveryTaskRunsOnce) {
  start(4);
  constexpr int kTasks = 10'000;
  for (int i = 0; i < kTasks; ++i) pool_->execute(task<add_one>(i, args({i})));
  run_until(kTasks);
  ASSERT_EQ(results_.size(), static_cast<std::size_t>(kTasks));
  std::set<std::int64_t> seen;
  for (const NativeExecuted& executed : results_) {
    EXPECT_TRUE(seen.insert(executed.run_id).second);
    ASSERT_TRUE(executed.result) << executed.result.error().text();
    EXPECT_EQ(*executed.result->get_if<int>(), executed.run_id + 1);
    EXPECT_GE(executed.stop, executed.start);
    EXPECT_GT(executed.start, 0);
  }
  EXPECT_EQ(pool_->unfinished(), 0u);
}

TEST_F(NativePoolTest, InputsAreValuesOrNodes) {
  start(1);
  NativeTask t = task<total>(1, {});
  native::Writer writer;
  writer.array(2);
  writer.dependency(0);
  writer.dependency(1);
  t.args = Bytes::own(writer.out());
  t.inputs.push_back({native::NativeValue::of(40), nullptr});
  t.inputs.push_back({{}, *native::to_node(native::NativeValue::of(2))});
  pool_->execute(std::move(t));
  run_until(1);
  ASSERT_TRUE(results_[0].result) << results_[0].result.error().text();
  EXPECT_EQ(*results_[0].result->get_if<int>(), 42);
}

TEST_F(NativePoolTest, FailuresSayWhy) {
  start(1);
  pool_->execute(task<fail_always>(1, args({1})));
  NativeTask unknown = task<add_one>(2, args({1}));
  unknown.function = "flights::delay(int)->int";
  pool_->execute(std::move(unknown));
  NativeTask opaque = task<add_one>(3, args({1}));
  auto node = std::make_shared<Opaque>();
  node->header = Bytes::literal(
      "\x81\xaaserializer\xa4"
      "cuda");
  node->frames = {Bytes::literal("x")};
  opaque.inputs.push_back({{}, node});
  opaque.input_keys.push_back(Key::from_string("big"));
  pool_->execute(std::move(opaque));
  run_until(3);
  std::sort(results_.begin(), results_.end(), [](const auto& a, const auto& b) { return a.run_id < b.run_id; });
  ASSERT_FALSE(results_[0].result);
  EXPECT_EQ(results_[0].result.error().text(), "std::runtime_error: boom");
  ASSERT_FALSE(results_[1].result);
  EXPECT_NE(results_[1].result.error().text().find("flights::delay"), std::string::npos) << results_[1].result.error().text();
  EXPECT_EQ(results_[1].start, 0) << "it was never called";
  ASSERT_FALSE(results_[2].result);
  EXPECT_NE(results_[2].result.error().text().find("input 'big'"), std::string::npos) << results_[2].result.error().text();
}

TEST_F(NativePoolTest, NobodyWaitsBehindASlowTask) {
  gate_open = false;
  start(2);
  pool_->execute(task<at_gate>(0, args({0})));
  for (int i = 1; i <= 100; ++i) pool_->execute(task<add_one>(i, args({i})));
  run_until(100);  // all but the one at the gate
  for (const NativeExecuted& executed : results_) EXPECT_NE(executed.run_id, 0);
  {
    std::lock_guard lock(gate_mutex);
    gate_open = true;
  }
  gate_changed.notify_all();
  run_until(101);
}

TEST_F(NativePoolTest, ThreadsComeAndGo) {
  start(1);
  for (std::size_t nthreads : {4u, 1u, 3u, 0u, 2u}) {
    pool_->set_nthreads(nthreads);
    const std::size_t before = results_.size();
    for (int i = 0; i < 100; ++i) pool_->execute(task<add_one>(i, args({i})));
    run_until(before + 100);
    EXPECT_EQ(results_.size(), before + 100);
  }
}

TEST_F(NativePoolTest, EndingDoesNotWaitForWhatRuns) {
  {
    std::lock_guard lock(gate_mutex);
    gate_open = false;
    gate_visitors = 0;
  }
  start(2);
  pool_->execute(task<at_gate>(0, args({0})));
  loop_.at_end_of_turn([this] { loop_.stop(); });
  loop_.run();
  {
    std::unique_lock lock(gate_mutex);
    gate_changed.wait(lock, [] { return gate_visitors == 1; });
  }
  EXPECT_EQ(pool_->stop(), 1u);
  pool_.reset();
  EXPECT_EQ(native_functions_left_running(), 1u);
  {
    std::lock_guard lock(gate_mutex);
    gate_open = true;
  }
  gate_changed.notify_all();
  while (native_functions_left_running() > 0) std::this_thread::yield();
  loop_.post([this] { loop_.stop(); });
  loop_.run();
  EXPECT_TRUE(results_.empty()) << "what it returned is dropped";
}

TEST_F(NativePoolTest, EndingDropsWhatHasNotStarted) {
  start(2);
  for (int i = 0; i < 1000; ++i) pool_->execute(task<add_one>(i, args({i})));
  pool_.reset();
  loop_.post([this] { loop_.stop(); });
  loop_.run();
  EXPECT_TRUE(results_.empty()) << "no handler is called any more";
}

}  // namespace
}  // namespace dask::worker
