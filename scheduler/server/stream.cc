#include "scheduler/server/stream.h"

namespace dask::scheduler {

wire::MessageWriter& Stream::begin() {
  close_keys();
  return batch_.begin();
}

void Stream::free_key(std::string_view key, const std::string& stimulus_id) { add_key("free-keys", key, stimulus_id); }
void Stream::remove_replica(std::string_view key, const std::string& stimulus_id) { add_key("remove-replicas", key, stimulus_id); }

void Stream::add_key(std::string_view op, std::string_view key, const std::string& stimulus_id) {
  if (key_count_ > 0 && keys_op_ != op) close_keys();
  keys_op_ = op;
  if (key_count_++ == 0) keys_stimulus_ = stimulus_id;
  keys_.append(key);
}

void Stream::close_keys() {
  if (key_count_ == 0) return;
  wire::MessageWriter& w = batch_.begin();
  w.map(3);
  w.string("op");
  w.string(keys_op_);
  w.string("keys");
  w.array(key_count_);
  w.raw(keys_);
  w.string("stimulus_id");
  w.string(keys_stimulus_);
  key_count_ = 0;
  keys_.clear();
}

void Stream::flush() {
  close_keys();
  if (batch_.empty()) return;
  wire::Frames frames = batch_.take();
  if (!comm_->closed()) comm_->send(std::move(frames));
}

}  // namespace dask::scheduler
