// Encoding: values and opaque nodes into the frames of a message or of a stream batch.
#include <variant>

#include "core/base/check.h"
#include "core/base/msgpack.h"
#include "core/wire/message.h"

namespace dask::wire {

namespace {

constexpr std::size_t kBatchHeadBytes = 5;  // room before a batch's messages for its list's head, whose size is known last

// Writes a tree; `Sink` is a Packer (opaque nodes become nil) or a MessageWriter.
template <class Sink>
struct ValueWriter {
  Sink& sink;

  void operator()(std::monostate) const { sink.nil(); }
  void operator()(bool v) const { sink.boolean(v); }
  void operator()(std::int64_t v) const { sink.integer(v); }
  void operator()(std::uint64_t v) const { sink.unsigned_integer(v); }
  void operator()(double v) const { sink.real(v); }
  void operator()(const std::string& v) const { sink.string(v); }
  void operator()(const Bytes& v) const { sink.binary(v); }
  void operator()(const Value::Ext& v) const { msgpack::append_ext(sink.out(), v.type, v.data); }
  void operator()(const Value::Array& v) const {
    sink.array(v.size());
    for (const Value& item : v) std::visit(*this, item.variant());
  }
  void operator()(const Value::Set& v) const {
    sink.map(2);
    sink.string("__Set__");
    sink.boolean(true);
    sink.string("as-list");
    (*this)(v.items);
  }
  void operator()(const Value::Map& v) const {
    sink.map(v.size());
    for (const auto& [key, item] : v) {
      std::visit(*this, key.variant());
      std::visit(*this, item.variant());
    }
  }
  void operator()(const OpaquePtr& v) const {
    if constexpr (std::is_same_v<Sink, MessageWriter>) {
      if (v) return sink.opaque(*v);
    }
    sink.nil();
  }
};

}  // namespace

void Packer::nil() { msgpack::append_nil(out_); }
void Packer::boolean(bool v) { msgpack::append_bool(out_, v); }
void Packer::integer(std::int64_t v) { msgpack::append_int(out_, v); }
void Packer::unsigned_integer(std::uint64_t v) { msgpack::append_uint(out_, v); }
void Packer::real(double v) { msgpack::append_real(out_, v); }
void Packer::string(std::string_view v) { msgpack::append_string(out_, v); }
void Packer::binary(std::string_view v) { msgpack::append_binary(out_, v); }
void Packer::array(std::size_t size) { msgpack::append_array(out_, size); }
void Packer::map(std::size_t size) { msgpack::append_map(out_, size); }

void MessageWriter::value(const Value& v) { std::visit(ValueWriter<MessageWriter>{*this}, v.variant()); }

void MessageWriter::opaque(const Opaque& node) {
  map(1);
  string(node.kind == Opaque::Kind::kPickled ? "__Pickled__" : "__Serialized__");
  unsigned_integer(frames_.size() + 1);
  frames_.push_back(node.header);
  frame_bytes_ += node.header.size();
  for (const Bytes& frame : node.frames) {
    frames_.push_back(frame);
    frame_bytes_ += frame.size();
  }
}

Frames MessageWriter::take() {
  Frames frames;
  frames.reserve(1 + frames_.size());
  frames.push_back(Bytes::own(std::move(out())));
  for (Bytes& frame : frames_) frames.push_back(std::move(frame));
  out().clear();
  frames_.clear();
  frame_bytes_ = 0;
  return frames;
}

std::size_t MessageWriter::bytes_pending() const { return out().size() + frame_bytes_; }

MessageWriter& BatchWriter::begin() {
  if (count_++ == 0) writer_.out().assign(kBatchHeadBytes, '\0');
  return writer_;
}

Frames BatchWriter::take() {
  std::string head;
  msgpack::append_array(head, count_);
  if (count_ == 0) return {Bytes::own(std::move(head))};
  std::string& out = writer_.out();
  DASK_CHECK(out.size() >= kBatchHeadBytes, "the batch's writer was emptied behind its back");
  out.replace(kBatchHeadBytes - head.size(), head.size(), head);
  Frames frames = writer_.take();
  std::size_t skipped = kBatchHeadBytes - head.size();
  frames[0] = frames[0].slice(skipped, frames[0].size() - skipped);
  count_ = 0;
  return frames;
}

Frames encode_message(const Value& message) {
  MessageWriter writer;
  writer.value(message);
  return writer.take();
}

std::string encode_msgpack(const Value& value) {
  Packer packer;
  std::visit(ValueWriter<Packer>{packer}, value.variant());
  return std::move(packer.out());
}

}  // namespace dask::wire
