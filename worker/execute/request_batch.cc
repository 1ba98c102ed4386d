// Building a batch: arguments are written straight into the head, payloads stay where they are.
#include <bit>
#include <cstring>

#include "worker/execute/executor_message.h"

namespace dask::worker {

static_assert(std::endian::native == std::endian::little, "lengths are written in the machine's own order");

wire::Packer& RequestBatch::begin(std::string_view op, std::size_t arguments) {
  ++count_;
  messages_.array(arguments + 1);
  messages_.string(op);
  return messages_;
}

void RequestBatch::keys(const std::vector<Key>& keys) {
  messages_.array(keys.size());
  for (const Key& key : keys) messages_.raw(key.msgpack());
}

void RequestBatch::opaque(const Opaque& node) {
  bool in_head = node.header.size() <= kHeaderInHeadBytesMax;
  if (in_head) {
    messages_.binary(node.header);
  } else {
    messages_.nil();
    blobs_.push_back(node.header);
  }
  messages_.unsigned_integer(node.frames.size() + (in_head ? 0 : 1));
  blobs_.insert(blobs_.end(), node.frames.begin(), node.frames.end());
}

void RequestBatch::frames(const Value& message) {
  wire::Frames parts = wire::encode_message(message);
  messages_.unsigned_integer(parts.size());
  for (Bytes& part : parts) blobs_.push_back(std::move(part));
}

void RequestBatch::execute(std::uint64_t token, const PythonTask& task) {
  wire::Packer& out = begin("execute", 10);
  out.unsigned_integer(token);
  out.raw(task.key.msgpack());
  out.integer(task.run_id);
  if (OpaquePtr spec = task.run_spec.opaque()) {
    out.string(spec->kind == Opaque::Kind::kPickled ? "pickled" : "serialized");
    opaque(*spec);
  } else {  // a bare pickle, or a value that says itself what is wrong with it when it is run
    const Bytes* pickle = task.run_spec.bytes();
    Value header = Value::map();
    header.set("pickled-obj", pickle != nullptr ? Value(*pickle) : Value(Bytes()));
    Opaque node;
    node.header = Bytes::own(wire::encode_msgpack(header));
    out.string("pickled");
    opaque(node);
  }
  std::size_t held = 0;
  for (const PythonInput& input : task.inputs) held += input.serialised ? 0 : 1;
  out.array(held);
  for (const PythonInput& input : task.inputs) {
    if (!input.serialised) out.raw(input.key.msgpack());
  }
  out.array(task.inputs.size() - held);
  for (const PythonInput& input : task.inputs) {
    if (!input.serialised) continue;
    out.array(3);
    out.raw(input.key.msgpack());
    opaque(*input.serialised);
  }
  out.boolean(task.actor);
  if (task.annotations.is_map() && task.annotations.size() > 0)
    frames(task.annotations);
  else
    out.unsigned_integer(0);
}

void RequestBatch::put(std::optional<std::uint64_t> request, const std::vector<std::pair<Key, OpaquePtr>>& data) {
  wire::Packer& out = begin("put", 2);
  if (request)
    out.unsigned_integer(*request);
  else
    out.nil();
  out.array(data.size());
  for (const auto& [key, node] : data) {
    out.array(3);
    out.raw(key.msgpack());
    opaque(node ? *node : Opaque());
  }
}

void RequestBatch::drop(const std::vector<Key>& dropped) {
  begin("drop", 1);
  keys(dropped);
}

void RequestBatch::serialise(std::uint64_t request, const std::vector<Key>& wanted, const std::vector<std::string>& serializers,
                             bool lend) {
  wire::Packer& out = begin("serialise", 4);
  out.unsigned_integer(request);
  keys(wanted);
  if (serializers.empty()) {
    out.nil();
  } else {
    out.array(serializers.size());
    for (const std::string& name : serializers) out.string(name);
  }
  out.boolean(lend);
}

void RequestBatch::call(std::uint64_t request, const Value& message) {
  begin("call", 2).unsigned_integer(request);
  frames(message);
}

void RequestBatch::stream(const Value& message) {
  begin("stream", 1);
  frames(message);
}

void RequestBatch::transition(const Key& key, std::string_view start, std::string_view finish) {
  wire::Packer& out = begin("transition", 3);
  out.raw(key.msgpack());
  out.string(start);
  out.string(finish);
}

void RequestBatch::update(const Value& fields) { begin("update", 1).raw(wire::encode_msgpack(fields)); }
void RequestBatch::start(const Value& options) { begin("start", 1).raw(wire::encode_msgpack(options)); }
void RequestBatch::stop() { begin("stop", 0); }
void RequestBatch::give_back(std::uint64_t lease) { begin("give-back", 1).unsigned_integer(lease); }

std::vector<Bytes> RequestBatch::take(Lending* lending) {
  wire::Packer head;
  std::string& out = head.out();
  out.assign(sizeof(std::uint32_t), '\0');
  head.array(2);
  head.array(blobs_.size());
  for (Bytes& blob : blobs_) {
    if (blob.source()) {
      const auto block = lending ? lending->block_of(blob) : std::nullopt;
      if (!block) {  // of an executor that has ended: nobody reads this any more
        blob = Bytes();
        head.unsigned_integer(0);
        continue;
      }
      head.array(4);
      head.unsigned_integer(lending->hold(blob));
      head.unsigned_integer(block->address);
      head.unsigned_integer(blob.size());
      head.unsigned_integer(block->id);
      blob = Bytes();
      continue;
    }
    if (!lending || !lending->may_lend() || blob.size() < kLentBytesMin) {
      head.unsigned_integer(blob.size());
      continue;
    }
    head.array(3);
    head.unsigned_integer(lending->lend(blob));
    head.unsigned_integer(reinterpret_cast<std::uint64_t>(blob.data()));
    head.unsigned_integer(blob.size());
    blob = Bytes();
  }
  head.array(count_);
  head.raw(messages_.out());
  auto size = static_cast<std::uint32_t>(out.size() - sizeof(std::uint32_t));
  std::memcpy(out.data(), &size, sizeof size);
  std::vector<Bytes> parts{Bytes::own(std::move(out))};
  for (Bytes& blob : blobs_)
    if (!blob.empty()) parts.push_back(std::move(blob));
  messages_.out().clear();
  blobs_.clear();
  count_ = 0;
  return parts;
}

}  // namespace dask::worker
