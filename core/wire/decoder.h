// Private to core/wire: reads Values from a message's first frame and resolves opaque nodes against the others.
// A Decoder belongs to one message; errors are text, kept until the caller makes a Result of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/msgpack.h"
#include "core/base/result.h"
#include "core/base/value.h"
#include "core/wire/frames.h"

namespace dask::wire {

class Decoder {
 public:
  // `frames` (null: opaque nodes stay maps) must outlive the decoder; `bytes` is what values are read from, frames[0] as a rule.
  Decoder(const Bytes& bytes, const Frames* frames) : reader_(bytes.view()), bytes_(bytes), frames_(frames) {}

  // Reads the next value; false with `error()` set when that fails.
  bool value(Value& out, int depth = 0);
  // The same from another reader on the same bytes.
  bool value_at(msgpack::Reader reader, Value& out, int depth);

  msgpack::Reader& reader() { return reader_; }
  // The part of the bytes that `view` shows.
  Bytes slice(std::string_view view) const { return bytes_.slice(static_cast<std::size_t>(view.data() - bytes_.data()), view.size()); }

  bool fail_with(std::string text);
  // The error as a Result's, with what was being read.
  tl::unexpected<Error> error(std::string_view what) const;

 private:
  bool array(Value::Array& items, std::size_t size, int depth);
  bool map(Value& out, std::size_t pairs, int depth);
  bool opaque(Value& out, Opaque::Kind kind, std::uint64_t index);

  msgpack::Reader reader_;
  const Bytes& bytes_;
  const Frames* frames_;
  std::vector<bool> used_;  // frames that belong to a node already
  std::string error_;
};

}  // namespace dask::wire
