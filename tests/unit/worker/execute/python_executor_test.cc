// The executor end to end with a real interpreter: needs a Python with distributed, from DASK_NATIVE_TEST_PYTHON or .venv.
// Tasks are written as Python source: a pickle that calls eval gives them to the executor.
#include "worker/execute/python_executor.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <deque>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/runtime/process.h"
#include "core/wire/message.h"

namespace dask::worker {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;
using Outcome = PythonExecuted::Outcome;

std::string test_python() {
  if (const char* named = std::getenv("DASK_NATIVE_TEST_PYTHON")) return named;
  return DASK_SOURCE_DIR "/.venv/bin/python";
}

Key key(std::string_view name) { return Key::from_string(name); }

// A run spec: Task(key, expression), where the expression may use TaskRef, os, signal, time.
Value spec(const std::string& arguments) {
  std::string source = "(lambda S, os, time, threading: (lambda Task, TaskRef: Task(" + arguments +
                       "))(S.Task, S.TaskRef))(__import__('dask._task_spec', fromlist=['x']), __import__('os'), __import__('time'), "
                       "__import__('threading'))";
  Value header = Value::map();
  header.set("pickled-obj", Value(Bytes::own("cbuiltins\neval\n(V" + source + "\ntR.")));
  header.set("compression", Value::array());
  header.set("num-sub-frames", 0);
  auto node = std::make_shared<Opaque>();
  node->kind = Opaque::Kind::kPickled;
  node->header = Bytes::own(wire::encode_msgpack(header));
  return Value(OpaquePtr(std::move(node)));
}

class PythonExecutorTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::access(test_python().c_str(), X_OK) != 0) GTEST_SKIP() << "no Python at " << test_python() << ": set DASK_NATIVE_TEST_PYTHON";
  }

  PythonExecutorOptions options() {
    PythonExecutorOptions out;
    out.python = test_python();
    out.python_path = DASK_SOURCE_DIR "/python";
    out.nthreads = 2;
    out.name = "w";
    out.address = "tcp://127.0.0.1:1";
    out.scheduler_address = "tcp://127.0.0.1:2";
    out.local_directory = testing::TempDir();
    out.environment = {{"DASK_TEST_VARIABLE", "set"}};
    return out;
  }

  PythonExecutorHandlers handlers() {
    PythonExecutorHandlers out;
    out.ready = [this](PythonReady said) { ready = std::move(said); };
    out.executed = [this](PythonExecuted said) { executed.push_back(std::move(said)); };
    out.seceded = [this](PythonSeceded said) { seceded.push_back(std::move(said)); };
    out.log_event = [this](Value topic, Value message) { events.emplace_back(std::move(topic), std::move(message)); };
    out.stored = [this](std::vector<PythonData> data) { stored = std::move(data); };
    out.close_requested = [this](std::string reason) { closing = std::move(reason); };
    out.line = [this](std::string_view line) { lines.emplace_back(line); };
    out.exited = [this](PythonExited said) { exited.push_back(std::move(said)); };
    return out;
  }

  void start() { start(options()); }
  void start(PythonExecutorOptions with) {
    executor.emplace(loop, std::move(with), handlers());
    executor->start();
  }

  // Runs the loop until `done`.
  template <class Done>
  void run_until(Done done) {
    if (done()) return;
    auto check = loop.every(std::chrono::milliseconds(2), [&] {
      if (done()) loop.stop();
    });
    bool late = false;
    auto limit = loop.after(std::chrono::seconds(60), [&] {
      late = true;
      loop.stop();
    });
    loop.run();
    ASSERT_FALSE(late) << "waited 60 s" << (exited.empty() ? "" : "; the executor " + exited.back().cause);
  }

  void execute(std::string_view name, const std::string& arguments, std::vector<PythonInput> inputs = {}) {
    PythonTask task;
    task.key = key(name);
    task.run_id = 5;
    task.run_spec = spec(fmt::format("'{}', {}", name, arguments));
    task.inputs = std::move(inputs);
    executor->execute(std::move(task));
  }

  PythonExecuted run(std::string_view name, const std::string& arguments, std::vector<PythonInput> inputs = {}) {
    execute(name, arguments, std::move(inputs));
    std::size_t before = executed.size();
    run_until([&] { return executed.size() > before || !exited.empty(); });
    EXPECT_GT(executed.size(), before) << (exited.empty() ? "" : exited.back().cause);
    return executed.size() > before ? executed.back() : PythonExecuted();
  }

  PythonSerialised serialise(std::string_view name, bool lend = false) {
    std::optional<PythonSerialised> out;
    executor->serialise(
        {key(name)},
        [&](Result<std::vector<PythonSerialised>> items) {
          ASSERT_TRUE(items) << items.error().message;
          out = items->at(0);
        },
        {}, lend);
    run_until([&] { return out.has_value(); });
    return out.value_or(PythonSerialised());
  }

  PythonExited wait_for_exit() {
    std::size_t before = exited.size();
    run_until([&] { return exited.size() > before; });
    return exited.back();
  }

  net::Loop loop;
  std::optional<PythonReady> ready;
  std::deque<PythonExecuted> executed;
  std::vector<PythonSeceded> seceded;
  std::vector<std::pair<Value, Value>> events;
  std::vector<PythonData> stored;
  std::string closing;
  std::vector<std::string> lines;
  std::vector<PythonExited> exited;
  std::optional<PythonExecutor> executor;
};

TEST_F(PythonExecutorTest, runs_tasks_that_were_given_before_it_was_ready) {
  start();
  EXPECT_EQ(executor->state(), PythonExecutor::State::kStarting);
  PythonExecuted one = run("x", "lambda: 41");
  EXPECT_EQ(one.outcome, Outcome::kSuccess) << one.failure.traceback_text;
  EXPECT_EQ(one.key, key("x"));
  EXPECT_EQ(one.run_id, 5);
  EXPECT_EQ(one.typename_, "int");
  EXPECT_GT(one.nbytes, 0);
  EXPECT_LE(one.start, one.stop);
  EXPECT_EQ(one.metrics.size(), 2u);
  ASSERT_TRUE(ready);
  EXPECT_EQ(ready->pid, executor->pid());
  EXPECT_TRUE(ready->versions["packages"].is_map());
  EXPECT_GT(executor->memory_bytes(), 1'000'000u);

  PythonExecuted two = run("y", "lambda x: x + 1, TaskRef('x')", {{key("x"), nullptr}});
  EXPECT_EQ(two.outcome, Outcome::kSuccess) << two.failure.traceback_text;
  PythonSerialised y = serialise("y");
  ASSERT_TRUE(y.data);
  EXPECT_EQ(y.data->kind, Opaque::Kind::kSerialized);
  ASSERT_EQ(y.data->frames.size(), 1u);
  EXPECT_THAT(std::string(y.data->frames[0].view()), HasSubstr("K*"));  // the pickle of 42
}

TEST_F(PythonExecutorTest, results_travel_to_another_task_as_frames_and_are_forgotten_when_dropped) {
  start();
  run("x", "lambda: [1, 2]");
  PythonSerialised x = serialise("x");
  ASSERT_TRUE(x.data);
  executor->drop({key("x")});
  EXPECT_FALSE(serialise("x").data);
  EXPECT_FALSE(serialise("x").failure);
  PythonExecuted sum = run("sum", "sum, TaskRef('x')", {{key("x"), x.data}});
  EXPECT_EQ(sum.outcome, Outcome::kSuccess) << sum.failure.exception_text;
  EXPECT_TRUE(serialise("x").data);  // it has it from now on

  std::optional<PythonData> put;
  executor->put({{key("again"), x.data}}, [&](Result<std::vector<PythonData>> data) {
    ASSERT_TRUE(data);
    put = data->at(0);
  });
  run_until([&] { return put.has_value(); });
  EXPECT_EQ(put->key, key("again"));
  EXPECT_EQ(put->typename_, "list");
  EXPECT_GT(put->nbytes, 0);
}

TEST_F(PythonExecutorTest, failures_carry_pickles_and_texts) {
  start();
  PythonExecuted failed = run("div", "lambda: 1 / 0");
  EXPECT_EQ(failed.outcome, Outcome::kFailure);
  EXPECT_EQ(failed.failure.exception_text, "ZeroDivisionError('division by zero')");
  EXPECT_THAT(std::string(failed.failure.exception.view()), HasSubstr("ZeroDivisionError"));
  EXPECT_THAT(failed.failure.traceback_text, HasSubstr("lambda"));
  EXPECT_EQ(executor->executing(), 0u);

  PythonExecuted lost = run("lost", "len, TaskRef('nowhere')", {{key("nowhere"), nullptr}});
  EXPECT_EQ(lost.outcome, Outcome::kFailure);
  EXPECT_EQ(lost.failure.exception_text, "KeyError('nowhere')");
}

TEST_F(PythonExecutorTest, calls_answer_with_what_dasks_worker_would_reply) {
  start();
  std::optional<Result<Value>> reply;
  auto call = [&](Value message) {
    reply.reset();
    executor->call(std::move(message), [&](Result<Value> answer) { reply = std::move(answer); });
    run_until([&] { return reply.has_value(); });
  };
  call(Value(Value::Map{{"op", "call_stack"}, {"keys", Value()}, {"reply", true}}));
  ASSERT_TRUE(*reply) << reply->error().message;
  EXPECT_EQ(**reply, Value::map());
  call(Value(Value::Map{{"op", "run"}, {"function", Value(Bytes::literal("cos\ngetpid\n."))}}));
  ASSERT_TRUE(*reply) << reply->error().message;
  EXPECT_EQ((**reply)["status"], Value("OK"));
  EXPECT_TRUE((**reply)["result"].is_opaque());
  call(Value(Value::Map{{"op", "sing"}}));
  ASSERT_FALSE(*reply);
  EXPECT_EQ(reply->error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(executor->handles("run"));
  EXPECT_FALSE(executor->handles("get_data"));
}

TEST_F(PythonExecutorTest, what_tasks_say_and_do_besides_their_result_arrives) {
  start();
  PythonExecuted done = run("says",
                            "lambda: [w := __import__('distributed').get_worker(), w.log_event('topic', {'a': 1}), "
                            "w.update_data({'made': 1}), print(os.environ['DASK_TEST_VARIABLE'], os.environ['PYTHONHASHSEED'])] and None");
  EXPECT_EQ(done.outcome, Outcome::kSuccess) << done.failure.exception_text;
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].first, Value("topic"));
  EXPECT_EQ(events[0].second["a"], Value(1));
  ASSERT_EQ(stored.size(), 1u);
  EXPECT_EQ(stored[0].key, key("made"));
  run_until([&] { return !lines.empty(); });
  const char* seed = std::getenv("PYTHONHASHSEED");
  EXPECT_EQ(lines.front(), fmt::format("set {}", seed != nullptr ? seed : "6640"));
  execute("secedes", "lambda: [__import__('distributed').secede(), __import__('threading').Event().wait()]");
  run_until([&] { return !seceded.empty(); });
  ASSERT_EQ(seceded.size(), 1u);
  EXPECT_EQ(seceded[0].key, key("secedes"));
}

TEST_F(PythonExecutorTest, a_death_is_explained_and_everything_that_waits_is_told) {
  start();
  run("x", "lambda: 1");
  execute("prints and dies", "lambda: [print('my last words'), os.kill(os.getpid(), 9)]");
  execute("waits", "time.sleep, 60");
  std::vector<std::string> errors;
  executor->serialise({key("x")}, [&](Result<std::vector<PythonSerialised>> items) {
    if (!items) errors.push_back(items.error().message);
  });
  executor->call(Value(Value::Map{{"op", "run"}, {"function", Value(Bytes::literal("ctime\nsleep\n."))}}), [&](Result<Value> reply) {
    if (!reply) errors.push_back(reply.error().message);
  });
  PythonExited end = wait_for_exit();
  EXPECT_TRUE(end.was_ready);
  EXPECT_FALSE(end.expected);
  EXPECT_EQ(end.signal, SIGKILL);
  EXPECT_THAT(end.cause, HasSubstr("was killed by signal 9 (Killed)"));
  EXPECT_THAT(end.cause, HasSubstr("my last words"));
  EXPECT_GT(end.peak_memory_bytes, 1'000'000u);
  EXPECT_FALSE(end.out_of_memory);
  EXPECT_THAT(end.lost_tasks, UnorderedElementsAre(std::pair(key("prints and dies"), 5), std::pair(key("waits"), 5)));
  for (const std::string& error : errors) EXPECT_THAT(error, HasSubstr("the executor was killed by signal 9"));
  EXPECT_EQ(executor->state(), PythonExecutor::State::kDown);
  EXPECT_EQ(executor->pid(), -1);

  // Requests while it is down: answers come at once, tasks wait for the next start.
  std::optional<Result<Value>> reply;
  executor->call(Value(Value::Map{{"op", "versions"}}), [&](Result<Value> answer) { reply = std::move(answer); });
  EXPECT_FALSE(reply);
  execute("later", "lambda: 2");
  run_until([&] { return reply.has_value(); });
  EXPECT_FALSE(*reply);
  executed.clear();
  executor->start();
  run_until([&] { return !executed.empty(); });
  EXPECT_EQ(executed[0].key, key("later"));
  EXPECT_EQ(executed[0].outcome, Outcome::kSuccess);
  EXPECT_FALSE(serialise("x").data);
}

TEST_F(PythonExecutorTest, a_task_that_exits_is_named) {
  start();
  execute("leaves", "__import__('sys').exit, 3");
  PythonExited end = wait_for_exit();
  EXPECT_EQ(end.exit_code, 3);
  EXPECT_EQ(end.failed_task, "'leaves'");
  EXPECT_THAT(end.cause, HasSubstr("was ended by 'leaves', which raised SystemExit: 3"));
}

TEST_F(PythonExecutorTest, a_crash_leaves_pythons_own_report) {
  start();
  execute("crashes", "lambda: __import__('ctypes').string_at(0)");
  PythonExited end = wait_for_exit();
  EXPECT_EQ(end.signal, SIGSEGV);
  EXPECT_THAT(end.cause, HasSubstr("Segmentation fault"));
  EXPECT_THAT(end.cause, HasSubstr("string_at"));
}

TEST_F(PythonExecutorTest, stops_when_asked_and_is_killed_when_it_does_not) {
  start();
  run("x", "lambda: 1");
  executor->stop(30);
  EXPECT_EQ(executor->state(), PythonExecutor::State::kStopping);
  PythonExited end = wait_for_exit();
  EXPECT_TRUE(end.expected);
  EXPECT_EQ(end.exit_code, 0);
  EXPECT_EQ(end.signal, 0);

  executor->start();
  run_until([&] { return executor->state() == PythonExecutor::State::kReady; });
  // Holds the interpreter's lock: a regular expression that goes back and forth for ages.
  execute("stuck", "lambda: __import__('re').match('(a*)*b', 'a' * 100)");
  executor->stop(0.5);
  end = wait_for_exit();
  EXPECT_EQ(end.signal, SIGKILL);
  EXPECT_THAT(end.cause, HasSubstr("did not stop within 0.5 seconds"));
  EXPECT_THAT(end.lost_tasks, ElementsAre(std::pair(key("stuck"), 5)));
}

TEST_F(PythonExecutorTest, kill_gives_the_reason_of_whoever_kills) {
  start();
  run_until([&] { return ready.has_value(); });
  executor->kill("used more than 95% of the memory limit");
  EXPECT_THAT(wait_for_exit().cause, HasSubstr("used more than 95% of the memory limit"));
}

TEST_F(PythonExecutorTest, an_interpreter_that_cannot_run_it_says_why) {
  PythonExecutorOptions missing = options();
  missing.python = "/no/such/python";
  start(missing);
  PythonExited end = wait_for_exit();
  EXPECT_FALSE(end.was_ready);
  EXPECT_THAT(end.cause, HasSubstr("could not be started: cannot run /no/such/python"));

  PythonExecutorOptions other = options();
  other.python = "/bin/false";
  start(other);
  end = wait_for_exit();
  EXPECT_FALSE(end.was_ready);
  EXPECT_EQ(end.exit_code, 1);
  EXPECT_THAT(end.cause, HasSubstr("ended with exit code 1"));

  PythonExecutorOptions preload = options();
  preload.preload = {"no_such_module_here"};
  start(preload);
  end = wait_for_exit();
  EXPECT_THAT(end.cause, HasSubstr("could not be started: ModuleNotFoundError"));
}

TEST_F(PythonExecutorTest, a_lazy_one_starts_with_the_first_task_and_makes_the_calls_that_waited_for_it) {
  PythonExecutorOptions lazy = options();
  lazy.lazy = true;
  start(lazy);
  EXPECT_EQ(executor->state(), PythonExecutor::State::kDormant);
  executor->drop({key("nothing")});
  executor->update(Value(Value::Map{{"status", "running"}}));
  // A broken plugin: that it was tried is seen in the log; it does not hinder the task.
  executor->call_at_start(Value(Value::Map{{"op", "plugin-add"}, {"plugin", Bytes::literal("no pickle")}, {"name", "p"}}));
  EXPECT_EQ(executor->state(), PythonExecutor::State::kDormant);
  EXPECT_EQ(executor->pid(), -1);
  EXPECT_EQ(run("x", "lambda: 41").outcome, Outcome::kSuccess);
  EXPECT_GT(executor->pid(), 0);
}

TEST_F(PythonExecutorTest, a_lazy_one_that_nobody_needed_ends_at_once) {
  PythonExecutorOptions lazy = options();
  lazy.lazy = true;
  for (const bool politely : {true, false}) {
    start(lazy);
    politely ? executor->stop(60) : executor->kill("enough");
    EXPECT_EQ(executor->state(), PythonExecutor::State::kDown);
    EXPECT_TRUE(wait_for_exit().expected);
    EXPECT_FALSE(ready);
  }
}

TEST_F(PythonExecutorTest, a_lazy_one_whose_interpreter_is_missing_names_the_tasks_that_needed_it_and_sleeps_again) {
  PythonExecutorOptions lazy = options();
  lazy.lazy = true;
  lazy.python = "/no/such/python";
  start(lazy);
  for (int i = 1; i <= 2; ++i) {
    execute("x", "lambda: 41");
    PythonExited end = wait_for_exit();
    EXPECT_FALSE(end.was_ready);
    ASSERT_EQ(end.lost_tasks.size(), 1u);
    EXPECT_EQ(end.lost_tasks[0].first, key("x"));
    executor->start();
    EXPECT_EQ(executor->state(), PythonExecutor::State::kDormant);
  }
}

TEST_F(PythonExecutorTest, an_interpreter_that_never_gets_ready_is_given_up) {
  PythonExecutorOptions slow = options();
  slow.start_timeout_seconds = 0.01;
  start(slow);
  PythonExited end = wait_for_exit();
  EXPECT_EQ(end.signal, SIGKILL);
  EXPECT_THAT(end.cause, HasSubstr("did not start within 0.01 seconds"));
}

TEST_F(PythonExecutorTest, destroying_it_while_tasks_run_calls_nobody) {
  start();
  run("x", "lambda: 1");
  execute("sleeps", "time.sleep, 60");
  executor->call(Value(Value::Map{{"op", "versions"}}), [&](Result<Value>) { FAIL() << "an answer after the end"; });
  std::size_t before = executed.size();
  executor.reset();
  bool later = false;
  auto timer = loop.after(std::chrono::milliseconds(50), [&] { later = true; });
  run_until([&] { return later; });
  EXPECT_EQ(executed.size(), before);
  EXPECT_TRUE(exited.empty());
}

// ---- large blobs stay where they are ----

constexpr const char* kLargeValue = "lambda: bytearray(range(256)) * 16384";  // 4 MiB

TEST_F(PythonExecutorTest, a_large_frame_stays_in_the_executor_until_it_is_read_and_dies_with_it) {
  start();
  run("x", kLargeValue);
  EXPECT_FALSE(serialise("x").data->frames.back().source());
  const PythonSerialised lent = serialise("x", true);
  executor->drop({key("x")});
  EXPECT_FALSE(serialise("x").data);
  const Bytes& frame = lent.data->frames.back();
  ASSERT_TRUE(frame.source());
  EXPECT_EQ(frame.size(), 4u << 20);
  std::string piece(256, '\0');
  ASSERT_TRUE(frame.source()->read(256 * 1000, piece.data(), piece.size()));
  for (int i = 0; i < 256; ++i) EXPECT_EQ(static_cast<unsigned char>(piece[static_cast<std::size_t>(i)]), i);
  EXPECT_FALSE(frame.source()->read(1ULL << 46, piece.data(), piece.size()));
  ::kill(executor->pid(), SIGKILL);
  wait_for_exit();
  EXPECT_FALSE(frame.source()->read(0, piece.data(), piece.size()));
}

TEST_F(PythonExecutorTest, a_large_input_is_lent_to_the_executor_which_copies_it) {
  start();
  run("x", kLargeValue);
  const OpaquePtr x = serialise("x").data;
  executor->drop({key("x")});
  const std::uint64_t before = executor->lent().to_executor;
  PythonExecuted done = run("y", "lambda x: (x.__setitem__(0, 9), x[0] + x[257] + 32)[1], TaskRef('x')", {{key("x"), x}});
  EXPECT_EQ(done.outcome, Outcome::kSuccess) << done.failure.traceback_text;
  EXPECT_EQ(executor->lent().to_executor - before, 4u << 20);
  run_until([&] { return executor->lent().held == 0; });
  EXPECT_EQ(x->frames.back().view()[0], '\0');
  EXPECT_THAT(std::string(serialise("y").data->frames[0].view()), HasSubstr("K*"));  // the pickle of 42
}

TEST_F(PythonExecutorTest, the_courier_sends_a_large_frame_also_while_a_task_holds_the_gil) {
  PythonExecutorOptions with = options();
  with.courier_library = DASK_COURIER_LIBRARY;
  start(with);
  run("x", kLargeValue);
  const Bytes frame = serialise("x", true).data->frames.back();
  execute("gil", "lambda: __import__('ctypes').PyDLL(None).sleep(600)");
  auto sockets = socket_pair();
  ASSERT_TRUE(sockets);
  std::optional<int> sent;
  ASSERT_TRUE(frame.source()->send_to(sockets->first.get(), 256, frame.size() - 256, [&](int error) { sent = error; }));
  std::string received;
  run_until([&] {
    std::string piece(1 << 20, '\0');
    for (ssize_t n; (n = ::recv(sockets->second.get(), piece.data(), piece.size(), MSG_DONTWAIT)) > 0;)
      received.append(piece, 0, static_cast<std::size_t>(n));
    return sent.has_value() && received.size() >= frame.size() - 256;
  });
  EXPECT_EQ(sent, 0);
  ASSERT_EQ(received.size(), frame.size() - 256);
  for (std::size_t i = 0; i < received.size(); ++i) ASSERT_EQ(static_cast<unsigned char>(received[i]), i % 256) << i;
  EXPECT_EQ(executor->lent().sent, frame.size() - 256);
  // It cannot answer, and can be told to end all the same: what is under way then is gone.
  std::optional<int> lost;
  ASSERT_TRUE(frame.source()->send_to(sockets->first.get(), 0, frame.size(), [&](int error) { lost = error; }));
  ::kill(executor->pid(), SIGKILL);
  wait_for_exit();
  run_until([&] { return lost.has_value(); });
  EXPECT_EQ(lost, ESTALE);
  EXPECT_FALSE(frame.source()->send_to(sockets->first.get(), 0, frame.size(), [](int) {}));
}

TEST_F(PythonExecutorTest, a_frame_that_is_received_into_the_executor_is_used_where_it_lies) {
  PythonExecutorOptions with = options();
  with.courier_library = DASK_COURIER_LIBRARY;
  start(with);
  run("x", kLargeValue);
  const OpaquePtr x = serialise("x").data;
  executor->drop({key("x")});
  const Bytes& sent = x->frames.back();
  auto sockets = socket_pair();
  ASSERT_TRUE(sockets);
  std::optional<Result<Bytes>> frame;
  ASSERT_TRUE(executor->receive_frame(sockets->first.get(), sent.view().substr(0, 1000), sent.size(),
                                      [&](Result<Bytes> whole) { frame = std::move(whole); }));
  std::thread writer([&, left = sent.view().substr(1000)]() mutable {
    for (ssize_t n; !left.empty() && (n = ::write(sockets->second.get(), left.data(), left.size())) > 0;)
      left.remove_prefix(static_cast<std::size_t>(n));
  });
  run_until([&] { return frame.has_value(); });
  writer.join();
  ASSERT_TRUE(*frame) << frame->error().message;
  auto received = std::make_shared<Opaque>(*x);
  received->frames.back() = **frame;
  std::string copy(sent.size(), '\0');
  ASSERT_TRUE((*frame)->source()->read(0, copy.data(), copy.size()));
  EXPECT_TRUE(copy == sent.view());
  const std::uint64_t before = executor->lent().to_executor;
  executor->put({{key("x"), received}});
  run_until([&] { return executor->lent().held == 0; });
  PythonExecuted done = run("y", "lambda x: (x.__setitem__(0, 9), x[0] + x[257] + 32)[1], TaskRef('x')", {{key("x"), nullptr}});
  EXPECT_EQ(done.outcome, Outcome::kSuccess) << done.failure.traceback_text;
  EXPECT_THAT(std::string(serialise("y").data->frames[0].view()), HasSubstr("K*"));  // the pickle of 42
  EXPECT_EQ(executor->lent().to_executor, before);
  EXPECT_EQ(executor->lent().received, sent.size() - 1000);
}

TEST_F(PythonExecutorTest, without_a_courier_that_can_be_loaded_the_worker_sends) {
  PythonExecutorOptions with = options();
  with.courier_library = "/nowhere/libdask_courier.so";
  start(with);
  run("x", kLargeValue);
  const Bytes frame = serialise("x", true).data->frames.back();
  ASSERT_TRUE(frame.source());
  EXPECT_FALSE(frame.source()->send_to(1, 0, frame.size(), [](int) { FAIL(); }));
}

TEST_F(PythonExecutorTest, where_memory_cannot_be_read_large_blobs_pass_the_socket) {
  PythonExecutorOptions without = options();
  without.lend = false;
  start(without);
  run("x", kLargeValue);
  const OpaquePtr x = serialise("x", true).data;
  EXPECT_FALSE(x->frames.back().source());
  PythonExecuted done = run("y", "lambda x: x[257], TaskRef('x')", {{key("x"), x}});
  EXPECT_EQ(done.outcome, Outcome::kSuccess) << done.failure.traceback_text;
  EXPECT_EQ(executor->lent().to_executor, 0u);
}

}  // namespace
}  // namespace dask::worker
