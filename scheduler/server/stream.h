// Stream: the batch under construction for one worker or client. Messages of a loop turn are gathered here and sent once at
// its end, or earlier when the batch is large. free-keys for the same worker in a row become one message. A batch without an urgent message
// is patient: keys to free, for which nobody waits, need not wake their worker on their own, nor each of many results its client.
// Thread ownership: the loop's thread.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_set>

#include "core/net/comm.h"
#include "core/wire/keys_writer.h"
#include "core/wire/message.h"
#include "scheduler/graph/native_graph.h"
#include "scheduler/state/task.h"

namespace dask::scheduler {

class Stream {
 public:
  static constexpr std::size_t kFlushBytes = 1 << 20;  // a batch of this size does not wait for the end of the turn

  explicit Stream(net::CommPtr comm) : comm_(std::move(comm)) {}

  // Starts the next message; write exactly one map. An urgent one, and all before it, leave at the end of the turn.
  wire::MessageWriter& begin(bool urgent = true);
  void message(const Value& m) { begin().value(m); }
  // Adds a native task to the batch of native tasks under construction; its dependencies follow through `native()`.
  ComputeBatchWriter& native(const Task& ts, std::int64_t run_id, bool wants_value);
  void free_key(std::string_view key_msgpack, const std::string& stimulus_id, std::uint32_t slot = UINT32_MAX);
  void remove_replica(std::string_view key_msgpack, const std::string& stimulus_id);

  bool empty() const { return batch_.empty() && keys_.empty() && (!native_ || native_->empty()); }
  bool patient() const { return !urgent_; }
  bool large() const { return batch_.bytes_pending() >= kFlushBytes; }
  void flush();
  net::Comm& comm() { return *comm_; }
  const net::CommPtr& comm_ptr() const { return comm_; }

  bool dirty = false;  // on Server's list of streams to flush

 private:
  void add_key(std::string_view op, std::string_view key_msgpack, const std::string& stimulus_id);
  void close_native();

  net::CommPtr comm_;
  wire::BatchWriter batch_;
  bool urgent_ = false;
  wire::KeysWriter keys_;  // the open free-keys or remove-replicas message
  std::unique_ptr<ComputeBatchWriter> native_;
  std::set<NativeRowsPtr> native_rows_;             // kept until the batch is written
  std::unordered_set<std::uint32_t> native_tasks_;  // slots in the open batch: what frees one of them must come after it
};

}  // namespace dask::scheduler
