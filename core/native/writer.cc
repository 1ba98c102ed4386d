#include "core/native/writer.h"

#include <bit>
#include <cstring>

#include "core/native/value.h"

namespace dask::native {
namespace {

static_assert(std::endian::native == std::endian::little, "packed numbers are written as they lie in memory");

constexpr std::size_t kMsgpackSizeMax = UINT32_MAX;

std::string u32(std::uint32_t number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

std::string_view kind_of(const msgpack::Token& token) {
  switch (token.type) {
    case msgpack::Type::kNil: return "nothing (None)";
    case msgpack::Type::kBool: return "a bool";
    case msgpack::Type::kInt:
    case msgpack::Type::kUint: return "an integer";
    case msgpack::Type::kReal: return "a floating-point number";
    case msgpack::Type::kString: return "text";
    case msgpack::Type::kBinary: return "bytes";
    case msgpack::Type::kArray: return "a list";
    case msgpack::Type::kMap: return "a map";
    case msgpack::Type::kExt:
      return token.ext_type == kDependencyExt ? "a dependency" : token.ext_type == kNumbersExt ? "packed numbers" : "an extension";
  }
  return "something unknown";
}

}  // namespace

void Writer::string(std::string_view v) {
  if (v.size() > kMsgpackSizeMax) return fail("text of more than 4 GiB cannot be sent: send it as std::vector<char>");
  msgpack::append_string(out_, v);
}

void Writer::frame(Bytes bytes) {
  plain_ = false;
  frames_.push_back(std::move(bytes));
  msgpack::append_ext(out_, kBufferExt, u32(static_cast<std::uint32_t>(frames_.size())));
}

void Writer::binary(std::string_view v) {
  if (form_ == Form::kFrames && v.size() >= kBufferBytesMin) return frame(owner_ ? Bytes(owner_, v.data(), v.size()) : Bytes::copy(v));
  if (v.size() > kMsgpackSizeMax) return fail("an argument of more than 4 GiB cannot be sent inside a task: scatter it");
  msgpack::append_binary(out_, v);
}

void Writer::binary(Bytes v) {
  if (form_ == Form::kFrames && v.size() >= kBufferBytesMin) return frame(std::move(v));
  binary(v.view());
}

void Writer::array(std::size_t size) {
  if (size > kMsgpackSizeMax) return fail("a list of more than 4,294,967,295 elements cannot be sent");
  msgpack::append_array(out_, size);
}

void Writer::map(std::size_t pairs) {
  if (pairs > kMsgpackSizeMax) return fail("a map of more than 4,294,967,295 elements cannot be sent");
  msgpack::append_map(out_, pairs);
}

// As an extension: the letter and the numbers, or the letter and the number of the frame that holds them.
void Writer::numbers(char letter, const void* data, std::size_t count, std::size_t size) {
  plain_ = false;
  const std::string_view raw(static_cast<const char*>(data), count * size);
  if (form_ == Form::kFrames && raw.size() >= kBufferBytesMin) {
    frames_.push_back(owner_ ? Bytes(owner_, raw.data(), raw.size()) : Bytes::copy(raw));
    return msgpack::append_ext(out_, kNumbersFrameExt, letter + u32(static_cast<std::uint32_t>(frames_.size())));
  }
  if (raw.size() >= kMsgpackSizeMax) return fail("an argument of more than 4 GiB cannot be sent inside a task: scatter it");
  std::string packed;
  packed.reserve(raw.size() + 1);
  packed += letter;
  packed += raw;
  msgpack::append_ext(out_, kNumbersExt, packed);
}

void Writer::dependency(std::uint32_t index) {
  plain_ = false;
  msgpack::append_ext(out_, kDependencyExt, u32(index));
}

std::vector<Bytes> Writer::take_frames() {
  std::vector<Bytes> all;
  all.reserve(frames_.size() + 1);
  all.push_back(Bytes::own(std::move(out_)));
  for (Bytes& frame : frames_) all.push_back(std::move(frame));
  out_.clear();
  frames_.clear();
  plain_ = true;
  return all;
}

// ---- reading ---------------------------------------------------------------------------------------------------------------

bool Reader::wrong(std::string_view expected, const msgpack::Token* token) {
  return fail("expected " + std::string(expected) + ", found " + std::string(token ? kind_of(*token) : "the end of the bytes"));
}

std::optional<std::int8_t> Reader::ext_type() const {
  if (!is_ext_head()) return std::nullopt;
  msgpack::Reader copy = reader_;
  msgpack::Token token;
  if (!copy.next(token) || token.type != msgpack::Type::kExt) return std::nullopt;
  return token.ext_type;
}

bool Reader::nil() {
  msgpack::Token token;
  if (!reader_.next(token)) return wrong("None", nullptr);
  return token.type == msgpack::Type::kNil || wrong("None", &token);
}

bool Reader::boolean(bool& v) {
  msgpack::Token token;
  if (!reader_.next(token)) return wrong("a bool", nullptr);
  if (token.type != msgpack::Type::kBool) return wrong("a bool", &token);
  v = token.boolean;
  return true;
}

bool Reader::integer(std::int64_t& v) {
  msgpack::Token token;
  if (!reader_.next(token)) return wrong("an integer", nullptr);
  if (token.type == msgpack::Type::kUint) return fail(std::to_string(token.unsigned_integer) + " does not fit into a signed integer");
  if (token.type == msgpack::Type::kBool) {
    v = token.boolean ? 1 : 0;  // as in Python
    return true;
  }
  if (token.type != msgpack::Type::kInt) return wrong("an integer", &token);
  v = token.integer;
  return true;
}

bool Reader::unsigned_integer(std::uint64_t& v) {
  if (reader_.peek() == 0xcf) {
    msgpack::Token token;
    if (!reader_.next(token)) return wrong("an integer", nullptr);
    v = token.type == msgpack::Type::kUint ? token.unsigned_integer : static_cast<std::uint64_t>(token.integer);
    return true;
  }
  std::int64_t number = 0;
  if (!integer(number)) return false;
  if (number < 0) return fail(std::to_string(number) + " does not fit into an unsigned integer");
  v = static_cast<std::uint64_t>(number);
  return true;
}

bool Reader::real(double& v) {
  msgpack::Token token;
  if (!reader_.next(token)) return wrong("a number", nullptr);
  switch (token.type) {
    case msgpack::Type::kReal: v = token.real; return true;
    case msgpack::Type::kInt: v = static_cast<double>(token.integer); return true;
    case msgpack::Type::kUint: v = static_cast<double>(token.unsigned_integer); return true;
    default: return wrong("a number", &token);
  }
}

bool Reader::string(std::string_view& v) {
  msgpack::Token token;
  if (!reader_.next(token)) return wrong("text", nullptr);
  if (token.type != msgpack::Type::kString) return wrong("text", &token);
  v = token.data;
  return true;
}

namespace {
std::optional<std::uint32_t> read_u32(std::string_view bytes) {
  if (bytes.size() != sizeof(std::uint32_t)) return std::nullopt;
  std::uint32_t number = 0;
  std::memcpy(&number, bytes.data(), sizeof number);
  return number;
}
}  // namespace

bool Reader::binary(Bytes& v) {
  msgpack::Token token;
  if (!reader_.next(token)) return wrong("bytes", nullptr);
  if (token.type == msgpack::Type::kExt && token.ext_type == kBufferExt) {
    const auto index = read_u32(token.data);
    if (!index || *index == 0 || *index > frames_.size()) return fail("a frame of the value is missing");
    v = frames_[*index - 1];
    return true;
  }
  if (token.type != msgpack::Type::kBinary) return wrong("bytes", &token);
  v = Bytes::copy(token.data);
  return true;
}

bool Reader::array(std::size_t& size) {
  msgpack::Token token;
  if (!reader_.next(token)) return wrong("a list", nullptr);
  if (token.type != msgpack::Type::kArray) return wrong("a list", &token);
  size = token.size;
  return true;
}

bool Reader::map(std::size_t& pairs) {
  msgpack::Token token;
  if (!reader_.next(token)) return wrong("a map", nullptr);
  if (token.type != msgpack::Type::kMap) return wrong("a map", &token);
  pairs = token.size;
  return true;
}

bool Reader::numbers(char& letter, std::string_view& raw) {
  msgpack::Token token;
  if (!reader_.next(token)) return wrong("packed numbers", nullptr);
  if (token.type != msgpack::Type::kExt || token.data.empty()) return wrong("packed numbers", &token);
  letter = token.data[0];
  raw = token.data.substr(1);
  if (token.ext_type == kNumbersExt) return true;
  const auto index = read_u32(raw);
  if (token.ext_type != kNumbersFrameExt) return wrong("packed numbers", &token);
  if (!index || *index == 0 || *index > frames_.size()) return fail("a frame of the value is missing");
  raw = frames_[*index - 1].view();
  return true;
}

bool Reader::skip() { return reader_.skip() || fail("the bytes are no msgpack"); }

bool Reader::take_dependency(std::uint32_t& index) {
  // fixext 4 of our type: the one form in which it is written.
  if (reader_.peek() != 0xd6 || reader_.remaining() < 6 || static_cast<std::int8_t>(reader_.at()[1]) != kDependencyExt) return false;
  msgpack::Token token;
  if (!reader_.next(token)) return false;
  index = *read_u32(token.data);
  return true;
}

const NativeValue* Reader::dependency(std::uint32_t index) {
  if (index < dependencies_.size()) return &dependencies_[index];
  fail("dependency " + std::to_string(index) + " of " + std::to_string(dependencies_.size()) + " is missing");
  return nullptr;
}

}  // namespace dask::native
