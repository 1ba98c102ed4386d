// KeysWriter: the message {"op": …, "keys": […], "stimulus_id": …} under construction, for keys that follow each other in one batch.
#pragma once

#include <string>
#include <string_view>

#include "core/wire/message.h"

namespace dask::wire {

class KeysWriter {
 public:
  bool empty() const { return count_ == 0; }
  // What the open message has; only while there is one.
  std::string_view op() const { return op_; }
  const std::string& stimulus_id() const { return stimulus_id_; }
  // The message's op, a literal, and its stimulus_id are those of the first key.
  void add(std::string_view op, std::string_view key_msgpack, const std::string& stimulus_id);
  // Writes the message as the next one of the batch and is empty afterwards. Nothing when there is none.
  void close(BatchWriter& batch);

 private:
  std::string_view op_;
  std::string stimulus_id_;
  std::string keys_;  // msgpack
  std::size_t count_ = 0;
};

}  // namespace dask::wire
