// Hash tables from keys to group numbers: one for whole numbers, dates, truths and doubles (as 64 bits), one for texts, whose first
// bytes are compared as a number. Open addressing, linear probing, at most half full.
#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>

#include "collections/dataframe/expr/aggregate.h"

namespace dask::dataframe {
namespace {

constexpr std::size_t kFirstSlots = 64;

std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 32;
  x *= 0xd6e8feb86659fd93u;
  return x ^ x >> 32;
}

class NumberGrouper final : public Grouper {
 public:
  explicit NumberGrouper(Type type) : type_(type), slots_(kFirstSlots, kDropped) {}

  void find(const Vec& keys, std::vector<std::uint32_t>& groups) override {
    groups.resize(keys.size());
    switch (type_) {
      case Type::kFloat64:
        for (std::size_t i = 0; i < groups.size(); ++i) {
          const double key = keys.doubles[i];
          groups[i] = key != key ? kDropped : number(std::bit_cast<std::uint64_t>(key == 0 ? 0.0 : key));
        }
        break;
      case Type::kBoolean:
        for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = keys.bools[i] == kMissingBool ? kDropped : number(keys.bools[i]);
        break;
      default: find_ints(keys.ints, groups);
    }
  }

  std::size_t groups() const override { return keys_.size(); }

  Vec keys() const override {
    Vec out;
    out.type = type_;
    for (const std::uint64_t key : keys_) {
      if (type_ == Type::kFloat64) {
        out.doubles.push_back(std::bit_cast<double>(key));
      } else if (type_ == Type::kBoolean) {
        out.bools.push_back(static_cast<std::uint8_t>(key));
      } else {
        out.ints.push_back(static_cast<std::int64_t>(key));
      }
    }
    return out;
  }

 private:
  // Neighbouring rows often have the same key.
  void find_ints(const std::vector<std::int64_t>& keys, std::vector<std::uint32_t>& groups) {
    std::int64_t last = kNaT;
    std::uint32_t last_group = kDropped;
    for (std::size_t i = 0; i < groups.size(); ++i) {
      if (keys[i] != last) {
        last = keys[i];
        last_group = last == kNaT ? kDropped : number(static_cast<std::uint64_t>(last));
      }
      groups[i] = last_group;
    }
  }

  std::uint32_t number(std::uint64_t key) {
    for (std::size_t slot = mix(key) & (slots_.size() - 1);; slot = (slot + 1) & (slots_.size() - 1)) {
      const std::uint32_t group = slots_[slot];
      if (group == kDropped) return add(key, slot);
      if (keys_[group] == key) return group;
    }
  }

  std::uint32_t add(std::uint64_t key, std::size_t slot) {
    const auto group = static_cast<std::uint32_t>(keys_.size());
    keys_.push_back(key);
    slots_[slot] = group;
    if (keys_.size() * 2 > slots_.size()) {
      slots_.assign(slots_.size() * 4, kDropped);
      for (std::uint32_t g = 0; g < keys_.size(); ++g) {
        std::size_t s = mix(keys_[g]) & (slots_.size() - 1);
        while (slots_[s] != kDropped) s = (s + 1) & (slots_.size() - 1);
        slots_[s] = g;
      }
    }
    return group;
  }

  Type type_;
  std::vector<std::uint32_t> slots_;
  std::vector<std::uint64_t> keys_;
};

class TextGrouper final : public Grouper {
 public:
  TextGrouper() : slots_(kFirstSlots) {}

  void find(const Vec& keys, std::vector<std::uint32_t>& groups) override {
    groups.resize(keys.texts.size());
    for (std::size_t i = 0; i < groups.size(); ++i) groups[i] = keys.texts[i].data() == nullptr ? kDropped : number(keys.texts[i]);
  }

  std::size_t groups() const override { return keys_.size(); }

  Vec keys() const override {
    Vec out;
    out.type = Type::kUtf8;
    out.texts.assign(keys_.begin(), keys_.end());
    return out;
  }

 private:
  struct Slot {
    std::uint64_t head = 0;  // the text's first eight bytes, or all of a shorter one (head_of)
    std::uint32_t group = kDropped;
    std::uint32_t size = 0;  // its length, saturated
  };

  // At least four bytes as a number, without a loop: texts of one length below nine that differ have different heads.
  static std::uint64_t head_of(std::string_view text) {
    const char* data = text.data();
    const std::size_t size = text.size();
    if (size >= 8) {
      std::uint64_t head;
      std::memcpy(&head, data, 8);
      return head;
    }
    if (size >= 4) {
      std::uint32_t first, last;
      std::memcpy(&first, data, 4);
      std::memcpy(&last, data + size - 4, 4);
      return first | static_cast<std::uint64_t>(last) << 32;
    }
    if (size == 0) return 0;
    const auto byte = [data](std::size_t i) { return static_cast<std::uint64_t>(static_cast<unsigned char>(data[i])); };
    return byte(0) | byte(size / 2) << 8 | byte(size - 1) << 16;
  }
  static std::uint64_t hash(std::string_view text, std::uint64_t head) {
    std::uint64_t h = mix(head ^ text.size() * 0x9e3779b97f4a7c15u);
    for (std::size_t at = 8; at < text.size(); at += 8) h = mix(h ^ head_of(text.substr(at)));
    return h;
  }
  bool matches(const Slot& slot, std::string_view text, std::uint64_t head, std::uint32_t size) const {
    return slot.head == head && slot.size == size && (size <= 8 || keys_[slot.group] == text);
  }

  std::uint32_t number(std::string_view text) {
    const std::uint64_t head = head_of(text);
    const auto size = static_cast<std::uint32_t>(std::min<std::size_t>(text.size(), UINT32_MAX));
    for (std::size_t at = hash(text, head) & (slots_.size() - 1);; at = (at + 1) & (slots_.size() - 1)) {
      Slot& slot = slots_[at];
      if (slot.group == kDropped) break;
      if (matches(slot, text, head, size)) return slot.group;
    }
    return add(text);
  }

  std::uint32_t add(std::string_view text) {
    const auto group = static_cast<std::uint32_t>(keys_.size());
    keys_.push_back(storage_.emplace_back(text));
    if (keys_.size() * 2 > slots_.size()) {
      slots_.assign(slots_.size() * 4, Slot{});
      for (std::uint32_t g = 0; g < group; ++g) place(g);
    }
    place(group);
    return group;
  }

  void place(std::uint32_t group) {
    const std::string_view text = keys_[group];
    const std::uint64_t head = head_of(text);
    std::size_t at = hash(text, head) & (slots_.size() - 1);
    while (slots_[at].group != kDropped) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = {head, group, static_cast<std::uint32_t>(std::min<std::size_t>(text.size(), UINT32_MAX))};
  }

  std::vector<Slot> slots_;
  std::deque<std::string> storage_;  // does not move its texts
  std::vector<std::string_view> keys_;
};

}  // namespace

std::unique_ptr<Grouper> make_grouper(Type type) {
  if (type == Type::kUtf8) return std::make_unique<TextGrouper>();
  return std::make_unique<NumberGrouper>(type);
}

}  // namespace dask::dataframe
