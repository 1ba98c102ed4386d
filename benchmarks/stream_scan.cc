#include "benchmarks/stream_scan.h"

namespace dask::benchmarks {

StreamScan::StreamScan(std::string_view message) : reader_(message) {
  const std::uint8_t head = reader_.peek();
  const bool is_map = (head & 0xf0) == 0x80 || head == 0xde || head == 0xdf;
  if (is_map) {
    left_ = 1;
  } else if (!reader_.array(left_)) {
    broken_ = true;
    left_ = 0;
  }
}

bool StreamScan::next(StreamOp& op) {
  if (left_ == 0) return false;
  --left_;
  op = StreamOp{};
  if (scan(op)) return true;
  broken_ = true;
  left_ = 0;
  return false;
}

bool StreamScan::scan(StreamOp& op) {
  std::size_t pairs = 0;
  if (!reader_.map(pairs)) return false;
  while (pairs-- > 0) {
    std::string_view name;
    if (!reader_.string(name)) return false;
    const char* begin = reader_.at();
    std::string_view* text = name == "op" ? &op.op : name == "stimulus_id" ? &op.stimulus_id : name == "reason" ? &op.reason : nullptr;
    if (text || name == "batch" || name == "run_id") {
      msgpack::Token token;
      if (!reader_.next(token)) return false;
      if (text && token.type == msgpack::Type::kString) *text = token.data;
      if (name == "batch" && token.type == msgpack::Type::kBinary) op.batch = token.data;
      if (name == "run_id" && token.type == msgpack::Type::kInt) op.run_id = token.integer;
      if (token.type == msgpack::Type::kArray || token.type == msgpack::Type::kMap) return false;
      continue;
    }
    if (!reader_.skip()) return false;
    const std::string_view raw(begin, static_cast<std::size_t>(reader_.at() - begin));
    if (name == "key") op.key = raw;
    if (name == "keys") op.keys = raw;
    if (name == "who_has") op.who_has = raw;
  }
  return true;
}

}  // namespace dask::benchmarks
