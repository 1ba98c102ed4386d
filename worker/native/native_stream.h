// NativeStream: the batched messages of native tasks between scheduler and worker. ComputeBatch bytes become the machine's ComputeTasks;
// its NativeTaskFinishedMsg and NativeTaskErredMsg of one turn become FinishedBatch and ErredBatch.
// Protobuf is known to the .cc only. docs/native-protocol.md describes the messages. Whatever the scheduler sends ends in a value or in an
// error that names the column. Pure; any thread.
#pragma once

#include <memory>
#include <string_view>

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "core/base/value.h"
#include "core/wire/message.h"
#include "worker/state/events.h"
#include "worker/state/instructions.h"

namespace dask::worker {

// What a worker says at registration, as `extra`: it takes native tasks in batches.
Value native_registration();
// The operation that brings them.
inline constexpr std::string_view kComputeTasksNative = "compute-tasks-native";

// The tasks of a ComputeBatch. Arguments are slices of one buffer.
Result<ComputeTasks> decode_compute_batch(std::string_view bytes);

// The answers of one turn, under construction.
class NativeAnswers {
 public:
  NativeAnswers();
  ~NativeAnswers();
  NativeAnswers(NativeAnswers&&) noexcept;
  NativeAnswers& operator=(NativeAnswers&&) noexcept;

  // `value`: the result itself (core/native/inline_value.h); empty: it does not go along.
  void finished(const NativeTaskFinishedMsg& msg, std::string_view value = {});
  void erred(const NativeTaskErredMsg& msg);
  bool empty() const;
  // Adds tasks-finished-native and tasks-erred-native, where there are rows, to the scheduler's stream; empty afterwards.
  void write(wire::BatchWriter& stream);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dask::worker
