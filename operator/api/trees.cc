// JSON trees as Kubernetes changes and compares them: merge patches, nulls, hashes.
#include <fmt/format.h>

#include <algorithm>

#include "operator/api/meta.h"

namespace dask::kube {

void merge_patch(Value& target, const Value& patch) {
  const Value::Map* changes = patch.map_if();
  if (!changes) {
    target = patch;
    return;
  }
  if (!target.is_map()) target = Value::map();
  auto& entries = std::get<Value::Map>(target.variant());
  for (const auto& [name, change] : *changes) {
    const auto it = std::find_if(entries.begin(), entries.end(), [&, &key = name](const auto& entry) { return entry.first == key; });
    if (change.is_nil()) {
      if (it != entries.end()) entries.erase(it);
    } else if (it != entries.end()) {
      merge_patch(it->second, change);
    } else {
      // Also what is new loses its nulls (RFC 7396).
      Value fresh;
      merge_patch(fresh, change);
      entries.emplace_back(name, std::move(fresh));
    }
  }
}

Value without_nulls(const Value& value) {
  if (const Value::Map* entries = value.map_if()) {
    Value::Map kept;
    for (const auto& [name, entry] : *entries)
      if (!entry.is_nil()) kept.emplace_back(name, without_nulls(entry));
    return Value(std::move(kept));
  }
  if (const Value::Array* items = value.array_if()) {
    Value::Array kept;
    for (const Value& item : *items) kept.push_back(without_nulls(item));
    return Value(std::move(kept));
  }
  return value;
}

// FNV-1a, then mixed so that all digits depend on all characters.
std::uint64_t stable_hash(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdULL;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return hash ^ (hash >> 33);
}

std::string hex_of(std::uint64_t hash, int digits) { return fmt::format("{:016x}", hash).substr(0, static_cast<std::size_t>(digits)); }

}  // namespace dask::kube
