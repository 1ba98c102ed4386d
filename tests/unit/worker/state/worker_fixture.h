// A worker's machine with the words that tests need: short ways to say events, and instructions as lines of text.
// After every event the whole state is checked.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "worker/state/machine.h"

namespace dask::worker {

inline Key key(const std::string& name) { return Key::from_string(name); }
inline std::vector<Key> keys(const std::vector<std::string>& names) {
  std::vector<Key> out;
  for (const std::string& name : names) out.push_back(key(name));
  return out;
}

// {"x", {"tcp://b:1"}, 100}: a dependency, its holders, its size.
inline Dependency on_peers(const std::string& name, std::vector<std::string> who_has, std::int64_t nbytes = 1) {
  return {key(name), nbytes, std::move(who_has)};
}

inline ComputeTask compute(const std::string& name, std::vector<Dependency> dependencies = {}, std::int64_t run_id = 0,
                           Priority priority = {0}) {
  ComputeTask e;
  e.key = key(name);
  e.run_id = run_id;
  e.dependencies = std::move(dependencies);
  e.priority = std::move(priority);
  e.run_spec = PythonRunSpec{Value("run spec of " + name)};
  return e;
}

inline ExecuteSuccess success(const std::string& name, std::int64_t nbytes = 1, std::int64_t run_id = 1) {
  ExecuteSuccess e;
  e.key = key(name);
  e.run_id = run_id;
  e.stop = 1;
  e.nbytes = nbytes;
  e.typename_ = "int";
  return e;
}

inline ExecuteFailure failure(const std::string& name, const std::string& text = "boom") {
  ExecuteFailure e;
  e.key = key(name);
  e.run_id = 1;
  e.failure = std::make_shared<const Failure>(Failure{{}, {}, text, {}});
  return e;
}

inline GatherDepSuccess gathered(const std::string& worker, const std::vector<std::string>& names) {
  GatherDepSuccess e;
  e.worker = worker;
  for (const std::string& name : names) e.data.push_back({key(name), 1, {}, "int"});
  return e;
}

// "GatherDep tcp://b:1 x,y 2 bytes", "Execute x", "TaskFinishedMsg x run 1", ...
inline std::string text_of(const Instruction& instruction) {
  const auto names = [](const std::vector<Key>& list) {
    std::vector<std::string> out;
    for (const Key& k : list) out.push_back(k.str());
    return fmt::format("{}", fmt::join(out, ","));
  };
  struct Visitor {
    decltype(names) join;
    std::string operator()(const GatherDep& i) { return fmt::format("GatherDep {} {} {}", i.worker, join(i.to_gather), i.total_nbytes); }
    std::string operator()(const Execute& i) { return "Execute " + i.key.str(); }
    std::string operator()(const RetryBusyWorkerLater& i) { return "RetryBusyWorkerLater " + i.worker; }
    std::string operator()(const DropData& i) { return "DropData " + i.key.str(); }
    std::string operator()(const RefuseData& i) { return "RefuseData " + i.key.str(); }
    std::string operator()(const CloseWorker& i) { return "CloseWorker " + i.reason; }
    std::string operator()(const Warn& i) { return "Warn " + i.text; }
    std::string operator()(const NotifyTransition& i) {
      return fmt::format("NotifyTransition {} {} {}", i.key.str(), name_of(i.start), name_of(i.finish));
    }
    std::string operator()(const TaskFinishedMsg& i) { return fmt::format("TaskFinishedMsg {} run {}", i.key.str(), i.run_id); }
    std::string operator()(const TaskErredMsg& i) { return fmt::format("TaskErredMsg {} {}", i.key.str(), i.exception_text); }
    std::string operator()(const ReleaseWorkerDataMsg& i) { return "ReleaseWorkerDataMsg " + i.key.str(); }
    std::string operator()(const AddKeysMsg& i) { return "AddKeysMsg " + join(i.keys); }
    std::string operator()(const LongRunningMsg& i) { return fmt::format("LongRunningMsg {} run {}", i.key.str(), i.run_id); }
    std::string operator()(const RescheduleMsg& i) { return "RescheduleMsg " + i.key.str(); }
    std::string operator()(const RequestRefreshWhoHasMsg& i) { return "RequestRefreshWhoHasMsg " + join(i.keys); }
    std::string operator()(const StealResponseMsg& i) { return fmt::format("StealResponseMsg {} {}", i.key.str(), i.state); }
    std::string operator()(const NativeTaskFinishedMsg& i) { return fmt::format("NativeTaskFinishedMsg {} run {}", i.handle, i.run_id); }
    std::string operator()(const NativeTaskErredMsg& i) {
      return fmt::format("NativeTaskErredMsg {} {}", i.handle, i.failure->exception_text);
    }
  };
  return std::visit(Visitor{names}, instruction);
}

class WorkerTest : public testing::Test {
 protected:
  using Lines = std::vector<std::string>;
  static constexpr const char* kSelf = "tcp://self:1";
  static constexpr const char* kB = "tcp://b:1";
  static constexpr const char* kC = "tcp://c:1";
  static constexpr const char* kD = "tcp://d:1";

  Machine& machine() {
    if (!machine_) {
      settings.address = kSelf;
      machine_ = std::make_unique<Machine>(settings);
    }
    return *machine_;
  }
  // What the events made the machine say, in order.
  template <class... Events>
  Lines handle(Events... events) {
    Lines lines;
    (one(Event(std::move(events)), lines), ...);
    return lines;
  }
  // Dask's repr of the state: flight, cancelled(executing), resumed(flight->waiting); "" when there is no such task.
  std::string state(const std::string& name) {
    const Task* ts = machine().find(key(name));
    return ts ? state_text(*ts) : "";
  }
  // Names of the tasks in a state.
  Lines in_state(TaskState wanted) {
    Lines out;
    for (const Task* ts : machine().tasks())
      if (ts->state == wanted) out.push_back(ts->key.str());
    return out;
  }

  Settings settings = [] {
    Settings s;
    s.transfer_incoming_count_limit = 9999;
    s.transfer_message_bytes_limit = -1;
    return s;
  }();

 private:
  void one(Event event, Lines& lines) {
    ++now_;
    for (const Instruction& instruction : machine().handle(std::move(event), now_, fmt::format("s{}", now_)))
      lines.push_back(text_of(instruction));
    const std::string wrong = machine().validate();
    EXPECT_EQ(wrong, "") << "after event " << now_;
  }

  std::unique_ptr<Machine> machine_;
  int now_ = 0;
};

}  // namespace dask::worker
