// One pass over an operation of a scheduler's stream, without building a tree: where the fields that a worker needs stand in the
// bytes. It is what makes a zero worker cheaper than the scheduler that it measures.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/msgpack.h"

namespace dask::benchmarks {

// Views into the message; empty when the field is not there. Keys and containers are msgpack, the rest is decoded.
struct StreamOp {
  std::string_view op;
  std::string_view key;
  std::string_view keys;     // array of keys
  std::string_view who_has;  // map key -> array of addresses
  std::string_view stimulus_id;
  std::string_view batch;  // bytes of a native batch
  std::string_view reason;
  std::int64_t run_id = 0;
};

// The operations of a stream message: a list of maps, or one map.
class StreamScan {
 public:
  explicit StreamScan(std::string_view message);
  // The next operation; false at the end, or when the bytes are no such message (`broken()`).
  bool next(StreamOp& op);
  bool broken() const { return broken_; }

 private:
  bool scan(StreamOp& op);

  msgpack::Reader reader_;
  std::size_t left_ = 0;
  bool broken_ = false;
};

// Calls `visit(key)` for each key (msgpack) of an array of keys. False when it is none.
template <class Visit>
bool for_each_key(std::string_view array, Visit visit) {
  msgpack::Reader reader(array);
  std::size_t size = 0;
  if (!reader.array(size)) return false;
  while (size-- > 0) {
    const char* begin = reader.at();
    if (!reader.skip()) return false;
    visit(std::string_view(begin, static_cast<std::size_t>(reader.at() - begin)));
  }
  return true;
}

// Calls `visit(key)` for each key of a map from keys to anything.
template <class Visit>
bool for_each_map_key(std::string_view map, Visit visit) {
  msgpack::Reader reader(map);
  std::size_t pairs = 0;
  if (!reader.map(pairs)) return false;
  while (pairs-- > 0) {
    const char* begin = reader.at();
    if (!reader.skip()) return false;
    const std::string_view key(begin, static_cast<std::size_t>(reader.at() - begin));
    if (!reader.skip()) return false;
    visit(key);
  }
  return true;
}

}  // namespace dask::benchmarks
