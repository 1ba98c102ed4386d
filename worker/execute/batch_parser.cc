// Reading a batch of the executor. Its program is ours, but user code runs in it and can write to any descriptor: bytes that do
// not fit are an error, never a crash.
#include <fmt/format.h>

#include <cstring>

#include "worker/execute/executor_message.h"

namespace dask::worker {
namespace {

// One message: its arguments in order, and the blobs that it takes. The first thing that does not fit is remembered.
class Reader {
 public:
  explicit Reader(std::vector<Bytes> blobs) : blobs_(std::move(blobs)) {}

  void begin(const Value::Array& message) {
    message_ = &message;
    at_ = 1;
  }
  bool ok() const { return error_.empty(); }
  bool finished() const { return at_ == message_->size(); }
  const std::string& error() const { return error_; }
  bool all_blobs_taken() const { return next_blob_ == blobs_.size(); }

  const Value& next() {
    static const Value nil;
    if (at_ < message_->size()) return (*message_)[at_++];
    fail_with("has too few arguments");
    return nil;
  }
  std::uint64_t number() {
    auto value = next().as_uint64();
    if (!value) fail_with("has no number where one belongs");
    return value.value_or(0);
  }
  double real() { return next().as_double(); }
  std::string text() { return std::string(next().as_string()); }
  // Small payloads are copied: they live longer than the message that brought them.
  Bytes bytes() { return copy(next()); }
  std::vector<std::string> texts() {
    std::vector<std::string> out;
    if (const Value::Array* items = next().array_if()) {
      for (const Value& item : *items) out.emplace_back(item.as_string());
    }
    return out;
  }
  std::vector<Bytes> blobs(std::uint64_t count) {
    if (count > blobs_.size() - next_blob_) {
      fail_with("names blobs that are not there");
      return {};
    }
    auto first = blobs_.begin() + static_cast<std::ptrdiff_t>(next_blob_);
    next_blob_ += count;
    return {first, first + static_cast<std::ptrdiff_t>(count)};
  }
  // A message of Dask that follows as blobs.
  Value dask_message() {
    wire::Frames frames = blobs(number());
    for (const Bytes& frame : frames)
      if (frame.source()) fail_with("lends what it has to send");
    if (!ok()) return {};
    auto message = wire::decode_message(frames);
    if (message) return *std::move(message);
    fail_with("carries a message that cannot be read: " + message.error().message);
    return {};
  }
  Key key(const Value& value) {
    auto read = Key::from_value(value);
    if (read) return *std::move(read);
    fail_with("has no key where one belongs");
    return {};
  }
  static Bytes copy(const Value& value) {
    const Bytes* bytes = value.bytes();
    return bytes != nullptr ? Bytes::copy(*bytes) : Bytes();
  }
  void fail_with(std::string text) {
    if (error_.empty()) error_ = std::move(text);
  }

 private:
  std::vector<Bytes> blobs_;
  std::size_t next_blob_ = 0;
  const Value::Array* message_ = nullptr;
  std::size_t at_ = 0;
  std::string error_;
};

const Value& element(const Value::Array& array, std::size_t i) {
  static const Value nil;
  return i < array.size() ? array[i] : nil;
}

const Value::Array& array_of(const Value& value) {
  static const Value::Array none;
  const Value::Array* items = value.array_if();
  return items != nullptr ? *items : none;
}

PythonFailure failure_of(const Value& exception, const Value& traceback, const Value& exception_text, const Value& traceback_text) {
  PythonFailure failure;
  failure.exception = Reader::copy(exception);
  if (traceback.is_bytes()) failure.traceback = Reader::copy(traceback);
  failure.exception_text = exception_text.as_string();
  failure.traceback_text = traceback_text.as_string();
  return failure;
}

std::optional<PythonFailure> failure_of(const Value& fields) {
  if (fields.is_nil()) return std::nullopt;
  const Value::Array& four = array_of(fields);
  return failure_of(element(four, 0), element(four, 1), element(four, 2), element(four, 3));
}

// start, stop, thread, startstops, metrics: the end of each report of a task.
void read_times(Reader& in, PythonExecuted& out) {
  const Value& start = in.next();
  const Value& stop = in.next();
  out.start = start.as_double();
  out.stop = stop.as_double(out.start);
  out.thread = in.next().as_int();
  for (const Value& item : array_of(in.next())) {
    const Value::Array& three = array_of(item);
    out.startstops.push_back({std::string(element(three, 0).as_string()), element(three, 1).as_double(), element(three, 2).as_double()});
  }
  for (const Value& item : array_of(in.next())) {
    const Value::Array& three = array_of(item);
    out.metrics.push_back({element(three, 0), std::string(element(three, 1).as_string()), element(three, 2).as_double()});
  }
}

said::Executed read_finished(Reader& in) {
  said::Executed out;
  out.token = in.number();
  out.executed.outcome = PythonExecuted::Outcome::kSuccess;
  out.executed.nbytes = in.next().as_int();
  out.executed.type = in.bytes();
  out.executed.typename_ = in.text();
  read_times(in, out.executed);
  return out;
}

said::Executed read_failed(Reader& in) {
  said::Executed out;
  out.token = in.number();
  out.executed.outcome = PythonExecuted::Outcome::kFailure;
  const Value& exception = in.next();
  const Value& traceback = in.next();
  const Value& exception_text = in.next();
  const Value& traceback_text = in.next();
  out.executed.failure = failure_of(exception, traceback, exception_text, traceback_text);
  read_times(in, out.executed);
  return out;
}

said::Executed read_reschedule(Reader& in) {
  said::Executed out;
  out.token = in.number();
  out.executed.outcome = PythonExecuted::Outcome::kReschedule;
  read_times(in, out.executed);
  return out;
}

// Items [key, nbytes, type, typename] and, where values were unpacked, the failure or nil.
std::vector<PythonData> read_data(Reader& in) {
  std::vector<PythonData> out;
  for (const Value& item : array_of(in.next())) {
    const Value::Array& fields = array_of(item);
    PythonData data;
    data.key = in.key(element(fields, 0));
    data.nbytes = element(fields, 1).as_int();
    data.type = Reader::copy(element(fields, 2));
    data.typename_ = element(fields, 3).as_string();
    data.failure = failure_of(element(fields, 4));
    out.push_back(std::move(data));
  }
  return out;
}

// Items [key, sub-header, number of blobs, failure or nil].
said::Serialised read_serialised(Reader& in) {
  said::Serialised out;
  out.request = in.number();
  for (const Value& item : array_of(in.next())) {
    const Value::Array& fields = array_of(item);
    PythonSerialised one;
    one.key = in.key(element(fields, 0));
    Bytes header = Reader::copy(element(fields, 1));
    std::vector<Bytes> frames = in.blobs(element(fields, 2).as_uint64().value_or(0));
    if (!header.empty()) {
      auto node = std::make_shared<Opaque>();
      node->kind = Opaque::Kind::kSerialized;
      node->header = std::move(header);
      node->frames = std::move(frames);
      one.data = std::move(node);
    }
    one.failure = failure_of(element(fields, 3));
    out.items.push_back(std::move(one));
  }
  return out;
}

std::pair<Value, Value> read_pair(Reader& in) {
  Value pair = in.dask_message();
  const Value::Array& two = array_of(pair);
  return {element(two, 0), element(two, 1)};
}

std::optional<Said> read(std::string_view op, Reader& in) {
  if (op == "finished") return read_finished(in);
  if (op == "failed") return read_failed(in);
  if (op == "reschedule") return read_reschedule(in);
  if (op == "seceded") {
    auto token = in.number();
    return said::Seceded{token, in.real()};
  }
  if (op == "serialised") return read_serialised(in);
  if (op == "put-done") {
    auto request = in.number();
    return said::PutDone{request, read_data(in)};
  }
  if (op == "stored") return said::Stored{read_data(in)};
  if (op == "reply") {
    auto request = in.number();
    return said::Reply{request, in.dask_message()};
  }
  if (op == "no-handler") {
    auto request = in.number();
    return said::NoHandler{request, in.text()};
  }
  if (op == "log-event") {
    auto [topic, message] = read_pair(in);
    return said::LogEvent{std::move(topic), std::move(message)};
  }
  if (op == "digest") {
    auto [name, value] = read_pair(in);
    return said::Digest{std::move(name), value.as_double()};
  }
  if (op == "send") return said::Send{in.dask_message()};
  if (op == "operations") {
    said::Operations out;
    out.operations = in.texts();
    out.stream_operations = in.texts();
    out.wants_transitions = in.next().as_bool();
    return out;
  }
  if (op == "lending") {
    said::LendingTried out;
    out.can_read_us = in.next().as_bool();
    out.pid = in.number();
    out.address = in.number();
    out.has_courier = in.next().as_bool();
    return out;
  }
  if (op == "returned") {
    said::Returned out;
    for (const Value& lease : array_of(in.next())) out.leases.push_back(lease.as_uint64().value_or(0));
    return out;
  }
  if (op == "ready") {
    auto pid = static_cast<int>(in.number());
    return said::Ready{pid, in.dask_message()};
  }
  if (op == "close") {
    said::Close out{in.text()};
    in.next();  // whether its nanny should close, too: the worker is its own
    return out;
  }
  if (op == "ending") {
    std::string key = in.text();
    return said::Ending{std::move(key), in.text()};
  }
  if (op == "cannot-start") return said::CannotStart{in.text()};
  if (op == "broken") {
    std::string operation = in.text();
    std::uint64_t number = in.next().as_uint64().value_or(0);
    return said::Broken{std::move(operation), number, in.text()};
  }
  return std::nullopt;
}

tl::unexpected<Error> malformed(std::string text) {
  return fail(ErrorCode::kMalformed, "the executor sent a message that cannot be read: " + std::move(text));
}

}  // namespace

Result<std::vector<Said>> parse_batch(const Bytes& bytes, Lending* lending) {
  std::uint32_t head_size = 0;
  if (bytes.size() < sizeof head_size) return malformed("it has no head");
  std::memcpy(&head_size, bytes.data(), sizeof head_size);
  std::size_t at = sizeof head_size;
  if (head_size > bytes.size() - at) return malformed(fmt::format("its head of {} bytes is longer than itself", head_size));
  DASK_TRY(Value head, wire::decode_msgpack(bytes.slice(at, head_size)));
  at += head_size;
  const Value::Array& two = array_of(head);
  std::vector<Bytes> blobs;
  for (const Value& length : array_of(element(two, 0))) {
    if (const Value::Array& lent = array_of(length); !lent.empty()) {
      const auto lease = element(lent, 0).as_uint64(), address = element(lent, 1).as_uint64(), lent_size = element(lent, 2).as_uint64();
      if (!lending || !lending->may_borrow()) return malformed("it lends a blob, which was not agreed");
      if (!lease || !address || !lent_size || *lent_size == 0) return malformed("it lends a blob without a place");
      blobs.push_back(lending->borrow(*lease, *address, *lent_size));
      continue;
    }
    auto size = length.as_uint64();
    if (!size || *size > bytes.size() - at) return malformed("a blob reaches beyond its end");
    blobs.push_back(bytes.slice(at, *size));
    at += *size;
  }
  if (at != bytes.size()) return malformed(fmt::format("{} bytes too many", bytes.size() - at));

  Reader in(std::move(blobs));
  std::vector<Said> out;
  const Value::Array& messages = array_of(element(two, 1));
  out.reserve(messages.size());
  for (const Value& message : messages) {
    const Value::Array& fields = array_of(message);
    std::string_view op = element(fields, 0).as_string();
    in.begin(fields);
    std::optional<Said> one = read(op, in);
    if (!one) return malformed(fmt::format("unknown operation '{}'", op));
    if (in.ok() && !in.finished()) in.fail_with("has too many arguments");
    if (!in.ok()) return malformed(fmt::format("'{}' {}", op, in.error()));
    out.push_back(*std::move(one));
  }
  if (!in.all_blobs_taken()) return malformed("blobs that no message names");
  return out;
}

}  // namespace dask::worker
