// The pickle reader: a stack machine without calls. Objects live in an arena and refer to each other by index, because a memo
// may share a container or put it into itself; the tree is built at the end within named limits, so sharing cannot explode.
#include "core/wire/pickle.h"

#include <fmt/format.h>

#include <bit>
#include <charconv>
#include <cstring>
#include <deque>
#include <unordered_map>
#include <vector>

#include "core/base/check.h"
#include "core/base/python_text.h"
#include "core/wire/message.h"

namespace dask::wire {

namespace {

constexpr std::size_t kExpandedBytesMax = 64 * 1024 * 1024;  // of the tree built from a pickle, beyond the pickle's own size
constexpr std::size_t kItemCost = 64;                        // bytes that one item of the tree is charged with

class Unpickler {
 public:
  // `calls`: classes are read as their names and calls as lists of what is called and its arguments; nothing is ever called.
  explicit Unpickler(std::string_view pickle, bool calls = false)
      : calls_(calls), at_(pickle.data()), end_(pickle.data() + pickle.size()), budget_(kExpandedBytesMax + 2 * pickle.size()) {}

  Result<Value> run();

 private:
  using Index = std::uint32_t;
  static constexpr Index kMark = UINT32_MAX;

  enum class Kind : std::uint8_t { kScalar, kList, kTuple, kSet, kDict };
  struct Node {
    Kind kind = Kind::kScalar;
    Value scalar;
    std::vector<Index> items;  // a dict's keys and values in turn
  };

  bool step(std::uint8_t opcode);
  bool fail_with(std::string text, ErrorCode code = ErrorCode::kMalformed) {
    if (error_.message.empty()) error_ = Error{code, std::move(text)};
    return false;
  }
  bool cut_off() { return fail_with("it is cut off"); }

  template <class T>
  bool number(T& value) {
    if (static_cast<std::size_t>(end_ - at_) < sizeof(T)) return cut_off();
    std::memcpy(&value, at_, sizeof(T));  // pickle is little-endian, and so are we
    at_ += sizeof(T);
    return true;
  }
  bool take(std::uint64_t size, std::string_view& data) {
    if (static_cast<std::uint64_t>(end_ - at_) < size) return cut_off();
    data = {at_, static_cast<std::size_t>(size)};
    at_ += size;
    return true;
  }
  template <class T>
  bool counted(std::string_view& data) {
    T size = 0;
    return number(size) && take(size, data);
  }
  bool line(std::string_view& text) {
    auto* newline = static_cast<const char*>(std::memchr(at_, '\n', static_cast<std::size_t>(end_ - at_)));
    if (!newline) return cut_off();
    text = {at_, static_cast<std::size_t>(newline - at_)};
    at_ = newline + 1;
    return true;
  }

  bool push(Value value) {
    nodes_.push_back(Node{Kind::kScalar, std::move(value), {}});
    stack_.push_back(static_cast<Index>(nodes_.size() - 1));
    return true;
  }
  bool push_container(Kind kind, std::vector<Index> items = {}) {
    nodes_.push_back(Node{kind, {}, std::move(items)});
    stack_.push_back(static_cast<Index>(nodes_.size() - 1));
    return true;
  }
  template <class T>
  bool push_text() {
    std::string_view text;
    if (!counted<T>(text)) return false;
    if (!python::is_utf8(text)) return fail_with("a str is not UTF-8 (lone surrogates have no other form)", ErrorCode::kUnsupported);
    return push(text);
  }
  template <class T>
  bool push_bytes() {
    std::string_view data;
    return counted<T>(data) && push(Bytes::copy(data));
  }
  bool push_long(std::string_view digits);
  bool push_decimal(std::string_view digits);
  bool push_float_text(std::string_view digits);

  bool pop(Index& index) {
    if (stack_.empty() || stack_.back() == kMark) return fail_with("its stack runs empty");
    index = stack_.back();
    stack_.pop_back();
    return true;
  }
  bool pop_to_mark(std::vector<Index>& items) {
    std::size_t i = stack_.size();
    while (i > 0 && stack_[i - 1] != kMark) --i;
    if (i == 0) return fail_with("a mark is missing");
    items.assign(stack_.begin() + static_cast<std::ptrdiff_t>(i), stack_.end());
    stack_.resize(i - 1);
    return true;
  }
  bool push_tuple(std::size_t size) {
    std::vector<Index> items(size);
    while (size-- > 0) {
      if (!pop(items[size])) return false;
    }
    return push_container(Kind::kTuple, std::move(items));
  }
  bool push_marked(Kind kind) {
    std::vector<Index> items;
    if (!pop_to_mark(items)) return false;
    if (kind == Kind::kDict && items.size() % 2 != 0) return fail_with("a dict has a key without a value");
    return push_container(kind, std::move(items));
  }
  // Adds `items` to the container on top of the stack.
  bool extend(Kind kind, const std::vector<Index>& items) {
    if (stack_.empty() || stack_.back() == kMark || nodes_[stack_.back()].kind != kind)
      return fail_with("it adds items to what cannot hold them");
    if (kind == Kind::kDict && items.size() % 2 != 0) return fail_with("a dict has a key without a value");
    auto& target = nodes_[stack_.back()].items;
    target.insert(target.end(), items.begin(), items.end());
    return true;
  }
  bool extend_marked(Kind kind) {
    std::vector<Index> items;
    return pop_to_mark(items) && extend(kind, items);
  }
  bool extend_popped(Kind kind, std::size_t count) {
    std::vector<Index> items(count);
    while (count-- > 0) {
      if (!pop(items[count])) return false;
    }
    return extend(kind, items);
  }
  bool remember(std::uint64_t slot) {
    if (stack_.empty() || stack_.back() == kMark) return fail_with("its stack runs empty");
    memo_[slot] = stack_.back();
    return true;
  }
  bool recall(std::uint64_t slot) {
    auto found = memo_.find(slot);
    if (found == memo_.end()) return fail_with("it recalls what it did not remember");
    stack_.push_back(found->second);
    return true;
  }

  bool build(Index index, Value& out, int depth);
  bool call_step(std::uint8_t opcode);

  bool calls_;
  const char* at_;
  const char* end_;
  std::size_t budget_;
  std::deque<Node> nodes_;
  std::vector<Index> stack_;
  std::unordered_map<std::uint64_t, Index> memo_;
  Error error_;
};

bool Unpickler::push_long(std::string_view digits) {
  if (digits.size() > 9) return fail_with("an int has more than 64 bits", ErrorCode::kUnsupported);
  bool negative = !digits.empty() && (digits.back() & 0x80);
  std::uint64_t value = negative ? ~0ULL : 0;
  std::uint8_t ninth = negative ? 0xff : 0;
  if (digits.size() == 9) ninth = static_cast<std::uint8_t>(digits[8]);
  std::memcpy(&value, digits.data(), std::min<std::size_t>(digits.size(), 8));
  if (ninth == 0 && !negative) return push(value);  // up to 2^64 - 1
  if (ninth == 0xff && (value >> 63)) return push(static_cast<std::int64_t>(value));
  return fail_with("an int has more than 64 bits", ErrorCode::kUnsupported);
}

bool Unpickler::push_decimal(std::string_view digits) {
  if (!digits.empty() && digits.back() == 'L') digits.remove_suffix(1);
  if (digits == "00" || digits == "01") return push(digits == "01");
  std::int64_t value;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error == std::errc::result_out_of_range) return fail_with("an int has more than 64 bits", ErrorCode::kUnsupported);
  if (error != std::errc() || end != digits.data() + digits.size()) return fail_with("an int is not written in digits");
  return push(value);
}

bool Unpickler::push_float_text(std::string_view digits) {
  double value;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return fail_with("a float is not written in digits");
  return push(value);
}

bool Unpickler::step(std::uint8_t opcode) {
  std::uint8_t u8 = 0;
  std::uint16_t u16 = 0;
  std::int32_t i32 = 0;
  std::uint32_t u32 = 0;
  std::uint64_t u64 = 0;
  std::string_view text;
  std::vector<Index> dropped;
  Index index = 0;
  switch (opcode) {
    case 0x80:
      return number(u8) && (u8 <= 5 || fail_with(fmt::format("it has protocol {}; up to 5 are known", u8), ErrorCode::kUnsupported));
    case 0x95: return number(u64);  // FRAME: only a hint for readers of files
    case 'N': return push(nullptr);
    case 0x88: return push(true);
    case 0x89: return push(false);
    case 'J': return number(i32) && push(i32);
    case 'K': return number(u8) && push(static_cast<int>(u8));
    case 'M': return number(u16) && push(static_cast<int>(u16));
    case 'I': return line(text) && push_decimal(text);
    case 'L': return line(text) && push_decimal(text);
    case 0x8a: return counted<std::uint8_t>(text) && push_long(text);
    case 0x8b:
      if (!number(i32)) return false;
      if (i32 < 0) return fail_with("an int has a negative size");
      return take(static_cast<std::uint32_t>(i32), text) && push_long(text);
    case 'G': return number(u64) && push(std::bit_cast<double>(__builtin_bswap64(u64)));
    case 'F': return line(text) && push_float_text(text);
    case 0x8c: return push_text<std::uint8_t>();
    case 'X': return push_text<std::uint32_t>();
    case 0x8d: return push_text<std::uint64_t>();
    case 'C': return push_bytes<std::uint8_t>();
    case 'B': return push_bytes<std::uint32_t>();
    case 0x8e: return push_bytes<std::uint64_t>();
    case 0x96: return push_bytes<std::uint64_t>();  // bytearray
    case ']': return push_container(Kind::kList);
    case ')': return push_container(Kind::kTuple);
    case '}': return push_container(Kind::kDict);
    case 0x8f: return push_container(Kind::kSet);
    case '(': stack_.push_back(kMark); return true;
    case 't': return push_marked(Kind::kTuple);
    case 'l': return push_marked(Kind::kList);
    case 'd': return push_marked(Kind::kDict);
    case 0x91: return push_marked(Kind::kSet);  // frozenset
    case 0x85: return push_tuple(1);
    case 0x86: return push_tuple(2);
    case 0x87: return push_tuple(3);
    case 'a': return extend_popped(Kind::kList, 1);
    case 'e': return extend_marked(Kind::kList);
    case 's': return extend_popped(Kind::kDict, 2);
    case 'u': return extend_marked(Kind::kDict);
    case 0x90: return extend_marked(Kind::kSet);
    case 0x94: return remember(memo_.size());
    case 'q': return number(u8) && remember(u8);
    case 'r': return number(u32) && remember(u32);
    case 'h': return number(u8) && recall(u8);
    case 'j': return number(u32) && recall(u32);
    case '0': return pop(index);
    case '1': return pop_to_mark(dropped);
    case '2':
      if (!pop(index)) return false;
      stack_.insert(stack_.end(), {index, index});
      return true;
    default:
      if (calls_) return call_step(opcode);
      return fail_with(fmt::format("opcode 0x{:02x} is not among the plain values that are read here", opcode), ErrorCode::kUnsupported);
  }
}

bool Unpickler::call_step(std::uint8_t opcode) {
  Index first = 0, second = 0;
  std::string_view module, name;
  const auto named = [&](std::string_view m, std::string_view n) { return push(std::string(m) + "." + std::string(n)); };
  switch (opcode) {
    case 'c': return line(module) && line(name) && named(module, name);
    case 0x93:  // STACK_GLOBAL
      return pop(second) && pop(first) && named(nodes_[first].scalar.as_string(), nodes_[second].scalar.as_string());
    case 'R':
    case 0x81:  // NEWOBJ
      return pop(second) && pop(first) && push_container(Kind::kTuple, {first, second});
    case 'b': return pop(first);  // BUILD: attributes, which are not told
    default: return fail_with(fmt::format("opcode 0x{:02x} is not among those that are read here", opcode), ErrorCode::kUnsupported);
  }
}

bool Unpickler::build(Index index, Value& out, int depth) {
  const Node& node = nodes_[index];
  std::size_t cost = kItemCost;
  if (auto* text = node.scalar.string()) cost += text->size();
  if (cost > budget_) return fail_with(fmt::format("it unfolds to more than {} bytes", kExpandedBytesMax), ErrorCode::kLimit);
  budget_ -= cost;
  if (node.kind == Kind::kScalar) {
    out = node.scalar;
    return true;
  }
  if (depth >= kDepthMax) return fail_with(fmt::format("it is nested deeper than {}", kDepthMax), ErrorCode::kLimit);
  if (node.kind == Kind::kDict) {
    Value::Map map;
    for (std::size_t i = 0; i + 1 < node.items.size(); i += 2) {
      auto& [key, value] = map.emplace_back();
      if (!build(node.items[i], key, depth + 1) || !build(node.items[i + 1], value, depth + 1)) return false;
    }
    out = std::move(map);
    return true;
  }
  Value::Array items;
  for (Index item : node.items) {
    if (!build(item, items.emplace_back(), depth + 1)) return false;
  }
  if (node.kind == Kind::kSet) {
    out = Value::Set{std::move(items)};
  } else {
    out = std::move(items);
  }
  return true;
}

Result<Value> Unpickler::run() {
  auto refuse = [&] { return fail(error_.code, "cannot read a pickle: " + error_.message); };
  while (at_ < end_) {
    auto opcode = static_cast<std::uint8_t>(*at_++);
    if (opcode == '.') {
      Index top = 0;
      Value value;
      if (!pop(top) || !build(top, value, 0)) return refuse();
      return value;
    }
    if (!step(opcode)) return refuse();
  }
  cut_off();
  return refuse();
}

}  // namespace

Result<Value> unpickle_scalar(std::string_view pickle) {
  if (pickle.size() >= UINT32_MAX) return fail(ErrorCode::kLimit, "cannot read a pickle of 4 GiB or more");
  return Unpickler(pickle).run();
}

Result<PickledCall> unpickle_call(std::string_view pickle) {
  if (pickle.size() >= UINT32_MAX) return fail(ErrorCode::kLimit, "cannot read a pickle of 4 GiB or more");
  DASK_TRY(const Value value, Unpickler(pickle, true).run());
  const Value::Array* parts = value.array_if();
  if (!parts || parts->size() != 2 || !(*parts)[0].is_string() || !(*parts)[1].array_if())
    return fail(ErrorCode::kUnsupported, "cannot read a pickle: it is no call of a class");
  return PickledCall{std::string((*parts)[0].as_string()), *(*parts)[1].array_if()};
}

}  // namespace dask::wire
