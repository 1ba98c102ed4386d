// Pickles that C++ writes: exceptions and strings, as short fixed programs for Python's unpickler.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>

#include "core/base/check.h"
#include "core/base/python_text.h"
#include "core/wire/pickle.h"

namespace dask::wire {

namespace {

constexpr std::size_t kExceptionTextBytesMax = 10'000;  // distributed.admin.max-error-length

bool is_dotted_name(std::string_view name) {
  bool start = true;
  for (char c : name) {
    if (c == '.') {
      if (start) return false;
      start = true;
      continue;
    }
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && (start || c < '0' || c > '9')) return false;
    start = false;
  }
  return !start;
}

void append_unicode(std::string& out, std::string_view text) {
  std::string utf8 = python::to_utf8(text);
  DASK_CHECK(utf8.size() <= UINT32_MAX, "a text of {} bytes", utf8.size());
  auto size = static_cast<std::uint32_t>(utf8.size());
  out += 'X';
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out += utf8;
}

void append_global(std::string& out, std::string_view module, std::string_view name) {
  DASK_CHECK(is_dotted_name(module) && is_dotted_name(name), "no Python name: {}.{}", module, name);
  out += 'c';
  out += module;
  out += '\n';
  out += name;
  out += '\n';
}

template <class Number>
void append_little_endian(std::string& out, char opcode, Number number) {
  out += opcode;
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void append_value(std::string& out, const Value& value);

// MARK, the items, and the opcode that gathers them.
void append_items(std::string& out, const Value::Array& items, char gather) {
  out += '(';
  for (const Value& item : items) append_value(out, item);
  out += gather;
}

void append_int(std::string& out, std::int64_t number) {
  if (number >= INT32_MIN && number <= INT32_MAX)
    append_little_endian(out, 'J', static_cast<std::int32_t>(number));
  else
    append_little_endian(out += '\x8a', 8, number);  // LONG1: two's complement of 8 bytes
}

// Recurses as deep as `value` is nested, which the decoders bound.
void append_value(std::string& out, const Value& value) {
  struct Visitor {
    std::string& out;
    const Value& value;
    void operator()(std::monostate) const { out += 'N'; }
    void operator()(bool v) const { out += v ? '\x88' : '\x89'; }
    void operator()(std::int64_t v) const { append_int(out, v); }
    void operator()(std::uint64_t v) const {
      append_little_endian(out += '\x8a', 9, v);
      out += '\0';
    }
    void operator()(double v) const { append_little_endian(out, 'G', __builtin_bswap64(std::bit_cast<std::uint64_t>(v))); }
    void operator()(const std::string& v) const { append_unicode(out, v); }
    void operator()(const Bytes& v) const {
      append_little_endian(out, '\x8e', static_cast<std::uint64_t>(v.size()));
      out += v.view();
    }
    void operator()(const Value::Array& v) const { append_items(out, v, 't'); }
    void operator()(const Value::Set& v) const { append_items(out += '\x8f', v.items, '\x90'); }
    void operator()(const Value::Map& v) const {
      out += "}(";
      for (const auto& [key, item] : v) append_value(out, key), append_value(out, item);
      out += 'u';
    }
    void operator()(const Value::Ext&) const { append_unicode(out, value.repr()); }
    void operator()(const OpaquePtr&) const { append_unicode(out, value.repr()); }
  };
  std::visit(Visitor{out, value}, value.variant());
}

// The longest start of `text` of at most `bytes` bytes that does not end inside a code point.
std::string_view truncate(std::string_view text, std::size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<std::uint8_t>(text[bytes]) & 0xc0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

}  // namespace

std::string pickle_exception(std::string_view module, std::string_view cls, std::string_view message) {
  // Protocol 2, or 4 for a nested class: only that looks names up along their dots.
  std::string out = cls.find('.') == cls.npos ? "\x80\x02" : "\x80\x04";
  append_global(out, module, cls);
  append_unicode(out, message);
  out += "\x85R.";
  return out;
}

std::string pickle_call(std::string_view module, std::string_view cls, const Value::Array& arguments) {
  std::string out = "\x80\x04";
  append_global(out, module, cls);
  append_items(out, arguments, 't');
  out += "R.";
  return out;
}

std::string pickle_killed_worker(const Value& task, std::string_view worker_address, int allowed_failures) {
  std::string out = "\x80\x04";
  append_global(out, "distributed.scheduler", "KilledWorker");
  append_value(out, task);
  append_global(out, "types", "SimpleNamespace");
  out += ")R}";
  append_unicode(out, "address");
  append_unicode(out, worker_address);
  out += "sb";
  append_int(out, allowed_failures);
  out += "\x87R.";
  return out;
}

std::string pickle_shuffle_run_spec(const ShuffleRunFields& fields) {
  std::string out = "\x80\x04";
  // The addresses come first and are remembered under their indices: a large shuffle names each of them many times.
  for (const std::string& worker : fields.workers) {
    append_unicode(out, worker);
    out += "\x94\x30";  // MEMOIZE, POP
  }
  append_global(out, "distributed.shuffle._core", "ShuffleRunSpec");
  out += ")\x81}(";  // made without its constructor, which would count the run; then the fields
  append_unicode(out, "run_id");
  append_int(out, fields.run_id);
  append_unicode(out, "spec");
  append_global(out, "distributed.protocol.pickle", "loads");
  append_little_endian(out, '\x8e', static_cast<std::uint64_t>(fields.spec.size()));
  out += fields.spec;
  out += "\x85R";
  append_unicode(out, "worker_for");
  out += "}(";
  for (const auto& [partition, worker] : fields.worker_of) {
    append_value(out, partition);
    append_little_endian(out, 'j', worker);
  }
  out += 'u';
  append_unicode(out, "span_id");
  out += "Nub.";
  return out;
}

std::string pickle_string(std::string_view text) {
  std::string out = "\x80\x04";
  append_unicode(out, text);
  out += '.';
  return out;
}

Value error_message(std::string_view module, std::string_view cls, std::string_view message, std::string_view status) {
  std::string short_message = python::to_utf8(truncate(message, kExceptionTextBytesMax));
  std::string text(cls.substr(cls.rfind('.') + 1));
  text += '(';
  python::append_repr_string(text, short_message);
  text += ')';
  Value out = Value::map();
  out.set("status", status);
  out.set("exception", Bytes::own(pickle_exception(module, cls, short_message)));
  out.set("traceback", nullptr);
  out.set("exception_text", std::move(text));
  out.set("traceback_text", "");
  return out;
}

}  // namespace dask::wire
