// Stream batches: the hot operations straight into their structs. One pass notes where each known field of a message stands
// (stock peers write `op` after the fields it decides about), then only the fields of that operation are read.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/base/python_text.h"
#include "core/wire/decoder.h"
#include "core/wire/message.h"

namespace dask::wire {

namespace {

using msgpack::Reader;
using msgpack::Token;
using msgpack::Type;

enum class Field : std::uint8_t {
  kOp,
  kKey,
  kKeys,
  kRunId,
  kNbytes,
  kType,
  kTypename,
  kMetadata,
  kThread,
  kStartstops,
  kStimulusId,
  kException,
  kTraceback,
  kExceptionText,
  kTracebackText,
  kComputeDuration,
  kClient,
  kCount
};
constexpr std::size_t kFieldCount = static_cast<std::size_t>(Field::kCount);

constexpr std::array<std::string_view, kFieldCount> kFieldNames = {
    "op",         "key",         "keys",      "run_id",    "nbytes",         "type",           "typename",         "metadata", "thread",
    "startstops", "stimulus_id", "exception", "traceback", "exception_text", "traceback_text", "compute_duration", "client"};

std::string_view name_of(Field field) { return kFieldNames[static_cast<std::size_t>(field)]; }

// The field called `name`; kCount for any other.
Field field_of(std::string_view name) {
  auto is = [&](Field field) { return name == name_of(field) ? field : Field::kCount; };
  switch (name.size()) {
    case 2: return is(Field::kOp);
    case 3: return is(Field::kKey);
    case 4: return name[0] == 'k' ? is(Field::kKeys) : is(Field::kType);
    case 6:
      return name[0] == 'r'   ? is(Field::kRunId)
             : name[0] == 'n' ? is(Field::kNbytes)
             : name[0] == 't' ? is(Field::kThread)
                              : is(Field::kClient);
    case 8: return name[0] == 't' ? is(Field::kTypename) : is(Field::kMetadata);
    case 9: return name[0] == 'e' ? is(Field::kException) : is(Field::kTraceback);
    case 10: return is(Field::kStartstops);
    case 11: return is(Field::kStimulusId);
    case 14: return name[0] == 'e' ? is(Field::kExceptionText) : is(Field::kTracebackText);
    case 16: return is(Field::kComputeDuration);
    default: return Field::kCount;
  }
}

// Reads one stream batch.
class StreamDecoder {
 public:
  StreamDecoder(const Frames& frames) : decoder_(frames[0], &frames) {}

  Result<std::vector<StreamMsg>> batch();

 private:
  bool element(StreamMsg& out);
  bool hot(std::string_view op, StreamMsg& out);
  bool other(std::string_view op, const char* begin, StreamMsg& out);

  // Field reads: false with an error when a field is there in a wrong type; absent optional fields stay as they are.
  bool bad(Field field, std::string_view wanted) {
    return decoder_.fail_with(fmt::format("{} has no {} that is {}", op_, name_of(field), wanted));
  }
  const char* place(Field field) const { return places_[static_cast<std::size_t>(field)]; }
  Reader reader_at(Field field) const { return Reader(std::string_view(place(field), static_cast<std::size_t>(end_ - place(field)))); }
  bool key(Key& out);
  bool keys(std::vector<Key>& out);
  bool integer(Field field, bool required, std::int64_t& out);
  bool real(Field field, double& out);
  bool text(Field field, std::string& out);
  bool value(Field field, Value& out);
  bool startstops(std::vector<StartStop>& out);

  Decoder decoder_;
  std::array<const char*, kFieldCount> places_{};
  const char* end_ = nullptr;
  std::string_view op_;
};

Result<std::vector<StreamMsg>> StreamDecoder::batch() {
  std::vector<StreamMsg> messages;
  Reader& reader = decoder_.reader();
  end_ = reader.at() + reader.remaining();
  std::size_t count = 1;
  std::uint8_t head = reader.peek();
  if ((head >= 0x90 && head < 0xa0) || head == 0xdc || head == 0xdd) {
    if (!reader.array(count)) return decoder_.error("a stream batch");
  }
  messages.reserve(std::min(count, kReserveMax));
  for (std::size_t i = 0; i < count; ++i) {
    if (!element(messages.emplace_back())) return decoder_.error("a stream batch");
  }
  if (!reader.done()) return fail(ErrorCode::kMalformed, fmt::format("{} bytes follow a stream batch", reader.remaining()));
  return messages;
}

bool StreamDecoder::element(StreamMsg& out) {
  Reader& reader = decoder_.reader();
  const char* begin = reader.at();
  std::size_t pairs;
  Reader ahead = reader;
  if (!ahead.map(pairs)) return other({}, begin, out);
  reader = ahead;
  places_.fill(nullptr);
  for (std::size_t i = 0; i < pairs; ++i) {
    std::string_view name;
    Reader at_name = reader;
    if (at_name.string(name)) {
      Field field = field_of(name);
      if (field != Field::kCount) places_[static_cast<std::size_t>(field)] = at_name.at();
      reader = at_name;
    } else if (!reader.skip()) {
      return false;
    }
    if (!reader.skip()) return false;
  }
  const char* after = reader.at();
  op_ = {};
  if (place(Field::kOp)) reader_at(Field::kOp).string(op_);
  if (!hot(op_, out)) return false;
  auto* unknown = std::get_if<OtherMsg>(&out);
  if (unknown) return other(op_, begin, out);
  reader = Reader(std::string_view(after, static_cast<std::size_t>(end_ - after)));
  return true;
}

// Leaves an OtherMsg in `out` when `op` is no hot operation.
bool StreamDecoder::hot(std::string_view op, StreamMsg& out) {
  if (op == "task-finished") {
    auto& m = out.emplace<TaskFinishedMsg>();
    if (!(key(m.key) && integer(Field::kRunId, true, m.run_id) && integer(Field::kNbytes, false, m.nbytes) && value(Field::kType, m.type) &&
          text(Field::kTypename, m.typename_) && value(Field::kMetadata, m.metadata) && value(Field::kThread, m.thread) &&
          startstops(m.startstops) && text(Field::kStimulusId, m.stimulus_id)))
      return false;
    if (m.metadata.is_map() && m.metadata.size() == 0) m.metadata = Value();
    return true;
  }
  if (op == "task-erred") {
    auto& m = out.emplace<TaskErredMsg>();
    return key(m.key) && integer(Field::kRunId, true, m.run_id) && value(Field::kException, m.exception) &&
           value(Field::kTraceback, m.traceback) && text(Field::kExceptionText, m.exception_text) &&
           text(Field::kTracebackText, m.traceback_text) && value(Field::kThread, m.thread) && startstops(m.startstops) &&
           text(Field::kStimulusId, m.stimulus_id);
  }
  if (op == "release-worker-data") {
    auto& m = out.emplace<ReleaseWorkerDataMsg>();
    return (place(Field::kKeys) ? keys(m.keys) : key(m.key)) && text(Field::kStimulusId, m.stimulus_id);
  }
  if (op == "add-keys") {
    auto& m = out.emplace<AddKeysMsg>();
    return keys(m.keys) && text(Field::kStimulusId, m.stimulus_id);
  }
  if (op == "long-running") {
    auto& m = out.emplace<LongRunningMsg>();
    return key(m.key) && integer(Field::kRunId, true, m.run_id) && real(Field::kComputeDuration, m.compute_duration) &&
           text(Field::kStimulusId, m.stimulus_id);
  }
  if (op == "reschedule") {
    auto& m = out.emplace<RescheduleMsg>();
    return key(m.key) && text(Field::kStimulusId, m.stimulus_id);
  }
  if (op == "free-keys") {
    auto& m = out.emplace<FreeKeysMsg>();
    return keys(m.keys) && text(Field::kStimulusId, m.stimulus_id);
  }
  if (op == "client-releases-keys") {
    auto& m = out.emplace<ClientReleasesKeysMsg>();
    return keys(m.keys) && text(Field::kClient, m.client);
  }
  out.emplace<OtherMsg>();
  return true;
}

bool StreamDecoder::other(std::string_view op, const char* begin, StreamMsg& out) {
  auto& message = out.emplace<OtherMsg>();
  if (!python::is_utf8(op)) return decoder_.fail_with("a string is not UTF-8");
  message.op = op;
  decoder_.reader() = Reader(std::string_view(begin, static_cast<std::size_t>(end_ - begin)));
  return decoder_.value(message.fields, 1);
}

bool StreamDecoder::key(Key& out) {
  if (!place(Field::kKey)) return bad(Field::kKey, "a task key");
  Reader reader = reader_at(Field::kKey);
  const char* begin = reader.at();
  if (!skip_key(reader)) return bad(Field::kKey, "a task key");
  out = Key::from_valid_msgpack({begin, static_cast<std::size_t>(reader.at() - begin)});
  return true;
}

bool StreamDecoder::keys(std::vector<Key>& out) {
  constexpr std::string_view kWanted = "a list or set of task keys";
  if (!place(Field::kKeys)) return bad(Field::kKeys, kWanted);
  Reader reader = reader_at(Field::kKeys);
  Token token;
  if (!reader.next(token)) return bad(Field::kKeys, kWanted);
  if (token.type == Type::kMap) {
    // {"__Set__": True, "as-list": [...]}
    std::size_t pairs = token.size;
    bool found = false;
    for (std::size_t i = 0; i < pairs && !found; ++i) {
      std::string_view name;
      if (!reader.string(name)) return bad(Field::kKeys, kWanted);
      found = name == "as-list";
      if (!found && !reader.skip()) return bad(Field::kKeys, kWanted);
    }
    if (!found || !reader.next(token)) return bad(Field::kKeys, kWanted);
  }
  if (token.type != Type::kArray) return bad(Field::kKeys, kWanted);
  out.reserve(std::min(token.size, kReserveMax));
  for (std::size_t i = 0; i < token.size; ++i) {
    const char* begin = reader.at();
    if (!skip_key(reader)) return bad(Field::kKeys, kWanted);
    out.push_back(Key::from_valid_msgpack({begin, static_cast<std::size_t>(reader.at() - begin)}));
  }
  return true;
}

bool StreamDecoder::integer(Field field, bool required, std::int64_t& out) {
  if (!place(field)) return required ? bad(field, "a number") : true;
  Token token;
  if (!reader_at(field).next(token)) return bad(field, "a number");
  if (token.type == Type::kInt) {
    out = token.integer;
  } else if (token.type == Type::kReal && token.real >= -9.2e18 && token.real <= 9.2e18) {
    out = static_cast<std::int64_t>(token.real);
  } else if (token.type == Type::kNil && !required) {
    return true;
  } else {
    return bad(field, "a number");
  }
  return true;
}

bool StreamDecoder::real(Field field, double& out) {
  if (!place(field)) return true;
  Token token;
  if (!reader_at(field).next(token)) return bad(field, "a number");
  switch (token.type) {
    case Type::kNil: return true;
    case Type::kReal: out = token.real; return true;
    case Type::kInt: out = static_cast<double>(token.integer); return true;
    default: return bad(field, "a number");
  }
}

bool StreamDecoder::text(Field field, std::string& out) {
  if (!place(field)) return true;
  Token token;
  if (!reader_at(field).next(token)) return bad(field, "text");
  if (token.type == Type::kNil) return true;
  if (token.type != Type::kString || !python::is_utf8(token.data)) return bad(field, "text");
  out = token.data;
  return true;
}

bool StreamDecoder::value(Field field, Value& out) { return !place(field) || decoder_.value_at(reader_at(field), out, 2); }

bool StreamDecoder::startstops(std::vector<StartStop>& out) {
  constexpr std::string_view kWanted = "a list of {action, start, stop}";
  if (!place(Field::kStartstops)) return true;
  Reader reader = reader_at(Field::kStartstops);
  Token token;
  if (!reader.next(token)) return bad(Field::kStartstops, kWanted);
  if (token.type == Type::kNil) return true;
  if (token.type != Type::kArray) return bad(Field::kStartstops, kWanted);
  std::size_t count = token.size;
  out.reserve(std::min(count, kReserveMax));
  for (std::size_t i = 0; i < count; ++i) {
    StartStop& item = out.emplace_back();
    std::size_t pairs;
    if (!reader.map(pairs)) return bad(Field::kStartstops, kWanted);
    for (std::size_t j = 0; j < pairs; ++j) {
      std::string_view name;
      if (!reader.string(name)) return bad(Field::kStartstops, kWanted);
      double* time = name == "start" ? &item.start : name == "stop" ? &item.stop : nullptr;
      if (!time && name != "action") {
        if (!reader.skip()) return bad(Field::kStartstops, kWanted);
        continue;
      }
      if (!reader.next(token)) return bad(Field::kStartstops, kWanted);
      if (time && token.type == Type::kReal) {
        *time = token.real;
      } else if (time && token.type == Type::kInt) {
        *time = static_cast<double>(token.integer);
      } else if (!time && token.type == Type::kString && python::is_utf8(token.data)) {
        item.action = token.data;
      } else {
        return bad(Field::kStartstops, kWanted);
      }
    }
  }
  return true;
}

}  // namespace

Result<std::vector<StreamMsg>> decode_stream(const Frames& frames) {
  if (frames.empty()) return fail(ErrorCode::kMalformed, "a stream batch without frames");
  return StreamDecoder(frames).batch();
}

}  // namespace dask::wire
