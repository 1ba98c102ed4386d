// Heads are small and become Values; blobs stay views of the message that brought them.
#include "scheduler/graph/helper_message.h"

#include <fmt/format.h>

#include <bit>
#include <cstring>

#include "core/wire/message.h"

namespace dask::scheduler {
namespace {

static_assert(std::endian::native == std::endian::little, "columns are written in the machine's own order");

constexpr std::size_t kHeadLengthBytes = 4;

// One payload of a request: its name, its kind (for the helper's load_payload) and its blobs.
class Payloads {
 public:
  void add(std::string_view name, const Value& value) {
    OpaquePtr node = value.opaque();
    if (value.is_nil()) {
      list_.push_back(Value(Value::Array{name, "nil", 0}));
    } else if (node) {
      list_.push_back(
          Value(Value::Array{name, node->kind == Opaque::Kind::kSerialized ? "serialized" : "pickled", node->frames.size() + 1}));
      blobs_.push_back(node->header);
      blobs_.insert(blobs_.end(), node->frames.begin(), node->frames.end());
    } else {
      add_msgpack(name, wire::encode_msgpack(value));
    }
  }
  void add_msgpack(std::string_view name, std::string msgpack) {
    list_.push_back(Value(Value::Array{name, "msgpack", 1}));
    blobs_.push_back(Bytes::own(std::move(msgpack)));
  }
  Value list() && { return std::move(list_); }
  std::vector<Bytes> blobs() && { return std::move(blobs_); }

 private:
  Value list_ = Value::array();
  std::vector<Bytes> blobs_;
};

}  // namespace

Result<HelperMessage> parse_helper_message(const Bytes& bytes) {
  if (bytes.size() < kHeadLengthBytes) return fail(ErrorCode::kMalformed, "the graph helper sent a message without a head");
  std::uint32_t head_size;
  std::memcpy(&head_size, bytes.data(), kHeadLengthBytes);
  if (head_size > bytes.size() - kHeadLengthBytes) {
    return fail(ErrorCode::kMalformed,
                fmt::format("the graph helper announced a head of {} bytes in a message of {}", head_size, bytes.size()));
  }
  HelperMessage message;
  DASK_TRY(message.head, wire::decode_msgpack(bytes.slice(kHeadLengthBytes, head_size)));
  std::size_t at = kHeadLengthBytes + head_size;
  const Value::Array* lengths = message.head["blobs"].array_if();
  if (!message.head.is_map() || lengths == nullptr) return fail(ErrorCode::kMalformed, "the graph helper sent a head without blobs");
  message.blobs.reserve(lengths->size());
  for (const Value& length : *lengths) {
    auto size = length.as_uint64();
    if (!size || *size > bytes.size() - at) {
      return fail(ErrorCode::kMalformed,
                  fmt::format("the graph helper announced a blob of {} bytes where {} are left", length.repr(), bytes.size() - at));
    }
    message.blobs.push_back(bytes.slice(at, *size));
    at += *size;
  }
  if (at != bytes.size())
    return fail(ErrorCode::kMalformed, fmt::format("the graph helper's message has {} bytes too many", bytes.size() - at));
  return message;
}

std::vector<Bytes> make_helper_message(Value head, std::vector<Bytes> blobs) {
  Value lengths = Value::array();
  for (const Bytes& blob : blobs) lengths.push_back(Value(blob.size()));
  head.set("blobs", std::move(lengths));
  std::string packed(kHeadLengthBytes, '\0');
  packed += wire::encode_msgpack(head);
  auto size = static_cast<std::uint32_t>(packed.size() - kHeadLengthBytes);
  std::memcpy(packed.data(), &size, kHeadLengthBytes);
  std::vector<Bytes> parts{Bytes::own(std::move(packed))};
  for (Bytes& blob : blobs) parts.push_back(std::move(blob));
  return parts;
}

std::vector<Bytes> make_lower_message(std::uint64_t id, const GraphRequest& request) {
  Payloads payloads;
  payloads.add("expr", request.expr_ser);
  payloads.add("annotations", request.annotations);
  payloads.add("code", request.code);
  payloads.add("span_metadata", request.span_metadata);
  wire::Packer keys;
  keys.array(request.keys.size());
  for (const Key& key : request.keys) keys.raw(key.msgpack());
  payloads.add_msgpack("keys", std::move(keys.out()));

  Value head = Value::map();
  head.set("op", "lower");
  head.set("id", id);
  head.set("has_priority", !request.internal_priority.empty());
  head.set("payloads", std::move(payloads).list());
  return make_helper_message(std::move(head), std::move(payloads).blobs());
}

std::vector<Bytes> make_upload_message(std::uint64_t id, const Bytes& plugin) {
  return make_helper_message(Value(Value::Map{{"op", "upload"}, {"id", id}}), {plugin});
}

std::vector<Bytes> make_pickle_message(std::uint64_t id, const std::vector<std::uint32_t>& order) {
  Value head = Value::map();
  head.set("op", "pickle");
  head.set("id", id);
  return make_helper_message(std::move(head),
                             {Bytes::copy({reinterpret_cast<const char*>(order.data()), order.size() * sizeof(order[0])})});
}

}  // namespace dask::scheduler
