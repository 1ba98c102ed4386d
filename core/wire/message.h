// Messages of Dask's protocol: frames <-> values and structs. Opaque nodes ({"__Serialized__": i}, {"__Pickled__": i}) are
// resolved on decode and renumbered on encode; their bytes are never opened. Source: distributed/protocol/core.py.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/base/messages.h"
#include "core/base/result.h"
#include "core/base/value.h"
#include "core/wire/frames.h"

namespace dask::wire {

// Named limits of a message tree.
inline constexpr int kDepthMax = 256;            // nesting of containers
inline constexpr std::size_t kReserveMax = 256;  // elements reserved on the word of a peer; more as they arrive

// The whole message as a Value. kMalformed when it is no msgpack, has bytes behind it, holds text that is not UTF-8, or names
// frames that are missing or that another node uses already. Bytes values are slices of the frames.
Result<Value> decode_message(const Frames& frames);
Frames encode_message(const Value& message);

// One msgpack value <-> bytes, without opaque nodes (an opaque node encodes as nil).
Result<Value> decode_msgpack(const Bytes& bytes);
std::string encode_msgpack(const Value& value);

// A stream batch as a scheduler hears it from workers and clients: a list of maps (a bare map is taken as a list of one). Hot
// operations are decoded in place into structs, the others into OtherMsg. Elements that are no map or have no `op` become
// OtherMsg with an empty op and the value as fields: the caller logs and skips them. A hot operation whose fields are missing or of a wrong
// type is kMalformed: drop the peer, as a stock scheduler does, because what the message reported is lost. A key's strings are checked to
// be UTF-8.
Result<std::vector<StreamMsg>> decode_stream(const Frames& frames);

// Appends msgpack to a buffer; values are written where they end up.
class Packer {
 public:
  void nil();
  void boolean(bool v);
  void integer(std::int64_t v);
  void unsigned_integer(std::uint64_t v);
  void real(double v);
  void string(std::string_view v);
  void binary(std::string_view v);
  void array(std::size_t size);
  void map(std::size_t size);
  void raw(std::string_view msgpack) { out_.append(msgpack); }  // bytes that are msgpack already, for example a Key's

  std::string& out() { return out_; }
  const std::string& out() const { return out_; }

 private:
  std::string out_;
};

// Builds one outgoing message, or one stream batch, straight into its first frame.
class MessageWriter : public Packer {
 public:
  // A complete value, opaque nodes included.
  void value(const Value& v);
  // The node {"__Serialized__": i} or {"__Pickled__": i} with its frames added to the message.
  void opaque(const Opaque& node);
  // The finished message; the writer is empty afterwards.
  Frames take();
  std::size_t bytes_pending() const;  // of all frames
  bool empty() const { return out().empty() && frames_.empty(); }

 private:
  Frames frames_;  // frames after the first
  std::size_t frame_bytes_ = 0;
};

// A list of messages under construction for one destination: `begin()` before each message, `take()` gives the batch.
class BatchWriter {
 public:
  // Starts the next message of the batch; write exactly one map into the result.
  MessageWriter& begin();
  void message(const Value& m) { begin().value(m); }
  bool empty() const { return count_ == 0; }
  std::size_t count() const { return count_; }
  std::size_t bytes_pending() const { return writer_.bytes_pending(); }
  // The batch as a message (a msgpack list of `count()` maps); the writer is empty afterwards.
  Frames take();

 private:
  MessageWriter writer_;
  std::size_t count_ = 0;
};

}  // namespace dask::wire
