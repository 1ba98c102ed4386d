// Native graphs and batches: Protobuf bytes <-> the columns that the machine takes. The only place of the scheduler that knows
// Protobuf; nothing of it shows here. docs/native-protocol.md describes the messages.
// Whatever a peer sends ends in a value or in an error that names the column. Pure; any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.h"
#include "core/base/key.h"
#include "core/base/result.h"
#include "scheduler/machine/events.h"

namespace dask::scheduler {

// What the tasks of one graph run: immutable, shared by all of them, a row per task. There is nothing per task but the row.
class NativeRows {
 public:
  struct Columns {
    std::vector<std::string> functions;
    std::vector<std::uint32_t> function;
    std::string args;
    std::vector<std::uint32_t> args_begin;  // rows + 1
    std::uint32_t inline_bytes_max = 0;     // of results that the client takes along with key-in-memory
  };
  // Trusts that the columns are checked.
  explicit NativeRows(Columns columns) : columns_(std::move(columns)) {}

  std::size_t size() const { return columns_.function.size(); }
  std::uint32_t inline_bytes_max() const { return columns_.inline_bytes_max; }
  std::uint32_t function_index(std::uint32_t row) const { return columns_.function[row]; }
  std::string_view function(std::uint32_t row) const { return columns_.functions[columns_.function[row]]; }
  std::string_view args(std::uint32_t row) const {
    return std::string_view(columns_.args).substr(columns_.args_begin[row], columns_.args_begin[row + 1] - columns_.args_begin[row]);
  }

 private:
  Columns columns_;
};
using NativeRowsPtr = std::shared_ptr<const NativeRows>;

struct NativeGraph {
  GraphColumns columns;  // `order` is always filled; task i runs row i of `rows`
  std::vector<Key> wanted;
  NativeRowsPtr rows;
};

// A client's NativeGraph message. Orders the graph when the client did not; a cycle is kInvalidArgument in Dask's words.
Result<NativeGraph> decode_native_graph(std::string_view bytes);

// Builds the ComputeBatch messages for one worker after another: task(), then its dependencies in the graph's order, each
// with its holders; take() when the turn ends.
class ComputeBatchWriter {
 public:
  ComputeBatchWriter();
  ~ComputeBatchWriter();
  ComputeBatchWriter(ComputeBatchWriter&&) noexcept;
  ComputeBatchWriter& operator=(ComputeBatchWriter&&) noexcept;

  // `rows` must live until take().
  // `wants_value`: of a result that is small enough for the graph's client.
  void task(TaskId task, std::int64_t run_id, const Key& key, const Priority& priority, const NativeRows& rows, std::uint32_t row,
            bool wants_value = false);
  void dependency(const Key& key, std::int64_t nbytes);
  void holder(WorkerId worker, std::string_view address);

  bool empty() const { return count() == 0; }
  std::size_t count() const;
  std::size_t bytes_pending() const;  // roughly, for limits
  // The message; the writer is empty afterwards.
  std::string take();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// ---- what workers answer ------------------------------------------------------------------------------------------------

// A task by the handle that it was sent with; it may be long gone.
struct NativeFinishedRow {
  TaskId task;
  std::int64_t run_id = 0;
  std::int64_t nbytes = 0;
  double start = 0;
  double stop = 0;
  std::uint32_t type = UINT32_MAX;  // into types; UINT32_MAX: not said
  Bytes value;                      // empty: it did not come along
};
struct NativeFinished {
  std::vector<NativeFinishedRow> rows;
  std::vector<std::string> types;
};
Result<NativeFinished> decode_native_finished(std::string_view bytes);

struct NativeErredRow {
  TaskId task;
  std::int64_t run_id = 0;
  double start = 0;
  double stop = 0;
  std::uint32_t error = 0;  // into errors
};
struct NativeErred {
  struct Text {
    std::string message;
    std::string traceback;
  };
  std::vector<NativeErredRow> rows;
  std::vector<Text> errors;
};
Result<NativeErred> decode_native_erred(std::string_view bytes);

}  // namespace dask::scheduler
