#include "core/wire/keys_writer.h"

#include <utility>

namespace dask::wire {

void KeysWriter::add(std::string_view op, std::string_view key_msgpack, const std::string& stimulus_id) {
  if (count_++ == 0) op_ = op, stimulus_id_ = stimulus_id;
  keys_.append(key_msgpack);
}

void KeysWriter::close(BatchWriter& batch) {
  if (count_ == 0) return;
  MessageWriter& w = batch.begin();
  w.map(3);
  w.string("op");
  w.string(op_);
  w.string("keys");
  w.array(std::exchange(count_, 0));
  w.raw(keys_);
  w.string("stimulus_id");
  w.string(stimulus_id_);
  keys_.clear();
}

}  // namespace dask::wire
