#include "scheduler/server/stream.h"

namespace dask::scheduler {

wire::MessageWriter& Stream::begin(bool urgent) {
  urgent_ = urgent_ || urgent;
  keys_.close(batch_);
  return batch_.begin();
}

ComputeBatchWriter& Stream::native(const Task& ts, std::int64_t run_id, bool wants_value) {
  urgent_ = true;
  if (!native_) native_ = std::make_unique<ComputeBatchWriter>();
  const TaskId id{ts.slot, ts.generation};
  native_->task(id, run_id, ts.key, ts.priority, *static_cast<const NativeRows*>(ts.run_spec.get()), ts.native_row, wants_value);
  native_tasks_.insert(ts.slot);
  native_rows_.insert(std::static_pointer_cast<const NativeRows>(ts.run_spec));
  return *native_;
}

// Frees travel ahead of the native batch, unless they free what it computes.
void Stream::close_native() {
  if (!native_ || native_->empty()) return;
  wire::MessageWriter& w = batch_.begin();
  w.map(2);
  w.string("op");
  w.string("compute-tasks-native");
  w.string("batch");
  w.binary(native_->take());
  native_tasks_.clear();
  native_rows_.clear();
}

void Stream::free_key(std::string_view key, const std::string& stimulus_id, std::uint32_t slot) {
  if (!native_tasks_.empty() && native_tasks_.contains(slot)) {
    keys_.close(batch_);
    close_native();
  }
  add_key("free-keys", key, stimulus_id);
}
void Stream::remove_replica(std::string_view key, const std::string& stimulus_id) { add_key("remove-replicas", key, stimulus_id); }

void Stream::add_key(std::string_view op, std::string_view key, const std::string& stimulus_id) {
  if (!keys_.empty() && keys_.op() != op) keys_.close(batch_);
  keys_.add(op, key, stimulus_id);
}

void Stream::flush() {
  urgent_ = false;
  keys_.close(batch_);
  close_native();
  if (batch_.empty()) return;
  wire::Frames frames = batch_.take();
  if (!comm_->closed()) comm_->send(std::move(frames));
}

}  // namespace dask::scheduler
