// Writer and Reader: how values of native tasks stand in bytes. The form is msgpack, so that a Python peer reads plain values
// (numbers, text, lists, maps) as its own; three extension types hold what msgpack has no form for. codec.h says which type
// is written how. Source of the form: docs/native-protocol.md.
// What it must not know: C++ types of users, files, sockets.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"
#include "core/base/msgpack.h"

namespace dask::native {

class NativeValue;

// msgpack extension types. Integers inside them are little-endian.
inline constexpr std::int8_t kDependencyExt = 0x44;    // u32: the argument is the result of dependency i
inline constexpr std::int8_t kNumbersExt = 0x4e;       // one letter of Python's struct module, then the numbers
inline constexpr std::int8_t kNumbersFrameExt = 0x46;  // the letter, u32: the numbers are frame i
inline constexpr std::int8_t kBufferExt = 0x42;        // u32: the bytes are in frame i of the value (frame 0 is the msgpack)

// From this size on bytes get a frame of their own.
inline constexpr std::size_t kBufferBytesMin = 16 * 1024;
// Numbers are packed from this many on; fewer stay a list that every msgpack reader understands.
inline constexpr std::size_t kPackedNumbersMin = 64;

class Writer {
 public:
  // kInline: everything in one string (arguments of a task). kFrames: big bytes get frames of their own (results).
  enum class Form { kInline, kFrames };
  explicit Writer(Form form = Form::kInline, std::shared_ptr<const void> owner = nullptr) : form_(form), owner_(std::move(owner)) {}

  void nil() { msgpack::append_nil(out_); }
  void boolean(bool v) { msgpack::append_bool(out_, v); }
  void integer(std::int64_t v) { msgpack::append_int(out_, v); }
  void unsigned_integer(std::uint64_t v) { msgpack::append_uint(out_, v); }
  void real(double v) { msgpack::append_real(out_, v); }
  void string(std::string_view v);
  void binary(std::string_view v);  // as a frame of its own when it is big; copied unless the writer has an owner
  void binary(Bytes v);             // the same, never copied when it is big
  void array(std::size_t size);
  void map(std::size_t pairs);
  void numbers(char letter, const void* data, std::size_t count, std::size_t size);
  void dependency(std::uint32_t index);

  bool owns() const { return owner_ != nullptr; }

  // Why the value cannot be written (text over 4 GiB, a codec of the user that gave up); empty when all is well.
  const std::string& error() const { return error_; }
  void fail(std::string text) {
    if (error_.empty()) error_ = std::move(text);
  }
  // True while any reader of msgpack understands what was written.
  bool plain() const { return plain_; }
  std::string& out() { return out_; }
  const std::string& out() const { return out_; }
  // Frame 0 and the frames of big bytes. The writer is empty afterwards.
  std::vector<Bytes> take_frames();

 private:
  void frame(Bytes bytes);

  Form form_;
  std::shared_ptr<const void> owner_;  // keeps the written value alive, so that its memory may be sent as it is
  std::string out_;
  std::vector<Bytes> frames_;
  std::string error_;
  bool plain_ = true;
};

class Reader {
 public:
  // `frames`: the frames behind frame 0. `dependencies`: what kDependencyExt refers to. All must outlive the reader.
  explicit Reader(std::string_view bytes, std::span<const Bytes> frames = {}, std::span<const NativeValue> dependencies = {})
      : reader_(bytes), frames_(frames), dependencies_(dependencies) {}

  // Each steps over one value and gives false, with error() set, when the next value is something else.
  bool nil();
  bool boolean(bool& v);
  bool integer(std::int64_t& v);
  bool unsigned_integer(std::uint64_t& v);
  bool real(double& v);  // integers too
  bool string(std::string_view& v);
  bool binary(Bytes& v);  // shares the frame when the bytes have one of their own; else a copy
  bool array(std::size_t& size);
  bool map(std::size_t& pairs);
  // Packed numbers: the letter and the raw bytes.
  bool numbers(char& letter, std::string_view& raw);
  bool skip();

  bool at_nil() const { return reader_.peek() == 0xc0; }
  bool at_numbers() const {
    const auto type = ext_type();
    return type == kNumbersExt || type == kNumbersFrameExt;
  }
  bool at_binary() const { return reader_.peek() >= 0xc4 && reader_.peek() <= 0xc6; }
  // Steps over a dependency's mark when the next value is one.
  bool take_dependency(std::uint32_t& index);
  const NativeValue* dependency(std::uint32_t index);  // null, with error() set, when there is none

  bool done() const { return reader_.done(); }
  std::size_t remaining() const { return reader_.remaining(); }
  bool fail(std::string text) {
    if (error_.empty()) error_ = std::move(text);
    return false;
  }
  const std::string& error() const { return error_; }

 private:
  bool is_ext_head() const {
    return (reader_.peek() >= 0xc7 && reader_.peek() <= 0xc9) || (reader_.peek() >= 0xd4 && reader_.peek() <= 0xd8);
  }
  std::optional<std::int8_t> ext_type() const;
  bool wrong(std::string_view expected, const msgpack::Token* token);

  msgpack::Reader reader_;
  std::span<const Bytes> frames_;
  std::span<const NativeValue> dependencies_;
  std::string error_;
};

}  // namespace dask::native
