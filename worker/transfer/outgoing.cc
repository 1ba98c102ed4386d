#include "worker/transfer/outgoing.h"

#include "core/runtime/log.h"
#include "core/wire/message.h"
#include "core/wire/payload_memory.h"

namespace dask::worker {
namespace {

constexpr std::string_view kErrorSerializer = "error";  // Dask's name for a text in place of what could not be serialised

}  // namespace

std::string host_of(const std::string& address) {
  auto parsed = net::parse_address(address);
  return parsed ? parsed->host : address;
}

OpaquePtr serialisation_error(const std::string& text) {
  auto data = std::make_shared<Opaque>();
  data->header = Bytes::own(wire::encode_msgpack(Value(
      Value::Map{{"serializer", std::string(kErrorSerializer)}, {"compression", Value(Value::Array{nullptr})}, {"num-sub-frames", 1}})));
  data->frames.push_back(Bytes::copy(text));
  return data;
}

bool is_serialisation_error(const Opaque& data, std::string& text) {
  if (data.header.view().find(kErrorSerializer) == std::string_view::npos) return false;  // nearly always, and much quicker than decoding
  auto header = wire::decode_msgpack(data.header);
  if (!header || (*header)["serializer"].as_string() != kErrorSerializer) return false;
  for (const Bytes& frame : data.frames) {
    if (!text.empty()) text += '\n';
    if (const auto local = wire::local_copy(frame)) text += local->view();
  }
  return true;
}

void Outgoing::get_data(const net::RpcCallPtr& call) {
  std::optional<std::uint64_t> limit = limit_;
  if (limit && host_of(call->comm->peer_address()) == host_) limit = *limit * 2;
  if (paused_) limit = 1;
  if (limit && count_ >= *limit) {
    log_debug("Too many transfers ({}) to answer {} now{}", count_, call->msg["who"].as_string("a client"),
              paused_ ? ": this worker is paused" : "");
    return call->reply(Value(Value::Map{{"status", "busy"}}));
  }
  ++count_;
  ++count_total_;
  std::vector<Key> keys = net::keys_of(call->msg["keys"]);
  std::uint64_t bytes = 0;
  for (const Key& key : keys) bytes += store_.nbytes(key);
  bytes_ += bytes;
  bytes_total_ += bytes;
  const auto finished = [this, alive = alive_, bytes](bool) {
    if (!*alive) return;
    --count_;
    bytes_ -= bytes;
  };
  const auto answer = [call, finished](std::vector<PythonSerialised> data) {
    Value::Map values;
    for (PythonSerialised& one : data) {
      if (one.failure)
        values.emplace_back(one.key.value(),
                            Value(serialisation_error("Could not serialize " + one.key.repr() + ": " + one.failure->exception_text)));
      else if (one.data)
        values.emplace_back(one.key.value(), Value(std::move(one.data)));
    }
    call->reply_acknowledged(Value(Value::Map{{"status", "OK"}, {"data", Value(std::move(values))}}), finished);
  };
  store_.frames(std::move(keys), net::strings_of(call->msg["serializers"]), answer, true);
}

}  // namespace dask::worker
