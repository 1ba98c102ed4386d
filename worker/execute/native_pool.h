// NativePool: the threads that run registered C++ functions on NativeValues. The loop's thread hands tasks over and gets results back in
// batches: one lock and at most one wake-up for all that a turn brings, so that functions of a microsecond are worth a task.
// It decides nothing: which task runs when is the state machine's, which gives more than `nthreads` at a time only while they are short.
// Thread ownership: the loop's thread, for every call and the handler.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/key.h"
#include "core/native/failure.h"
#include "core/native/function_table.h"
#include "core/native/value.h"
#include "core/net/loop.h"
#include "core/runtime/clock.h"

namespace dask::worker {

using FunctionTablePtr = std::shared_ptr<const native::FunctionTable>;

// An input: a value, or the node that a peer or Python sent for it, which the thread that runs the task opens.
struct NativeInput {
  native::NativeValue value;
  OpaquePtr node;  // used when `value` is empty
};

struct NativeTask {
  Key key;
  std::int64_t run_id = 0;
  std::string function;  // registered name
  Bytes args;
  std::vector<NativeInput> inputs;  // in the order of the task's dependencies in the graph
  std::vector<Key> input_keys;      // for error messages; may be empty
};

struct NativeExecuted {
  Key key;
  std::int64_t run_id = 0;
  native::CallResult result;
  std::int64_t nbytes = 0;  // of the value
  double start = 0;         // of the function, by Clock::wall(); both 0: it was never called
  double stop = 0;
};

// Functions of pools that were stopped which have not returned yet. While there are any the process must end without running the
// destructors of its static objects, which they may use (std::_Exit). Any thread.
std::size_t native_functions_left_running();

class NativePool {
 public:
  // Called on the loop's thread with what has ended since, in any order.
  using Done = std::function<void(std::vector<NativeExecuted>)>;

  NativePool(net::Loop& loop, const Clock& clock, std::size_t nthreads, FunctionTablePtr functions, Done done);
  // stop().
  ~NativePool();
  NativePool(const NativePool&) = delete;
  NativePool& operator=(const NativePool&) = delete;

  // Drops tasks that have not started; no handler is called any more. Does not wait for functions that run, which nobody can interrupt:
  // says how many those are, and leaves them to themselves; what they return is dropped on their own threads. No call but the destructor
  // follows.
  std::size_t stop();

  // Runs the task as soon as a thread is free, in the order of the calls. Exactly one NativeExecuted follows.
  void execute(NativeTask task);
  // Later tasks find their functions here (a library was loaded).
  void set_functions(FunctionTablePtr functions);
  void set_nthreads(std::size_t nthreads);  // more at once; fewer as threads become idle

  std::size_t nthreads() const;
  std::size_t unfinished() const;  // given to execute() and not yet handed back
  const FunctionTablePtr& functions() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace dask::worker
