#include "scheduler/extensions/metadata.h"

#include <algorithm>

namespace dask::scheduler {
namespace {

template <class Map>
auto entry_of(Map& map, const Value& name) {
  return std::find_if(map.begin(), map.end(), [&](const auto& entry) { return entry.first == name; });
}

}  // namespace

void Metadata::set(const Value::Array& path, Value value) {
  if (path.empty()) return;
  if (auto top = Key::from_value(path.front())) names_.insert(name_of(*top));
  Value* at = &root_;
  for (const Value& name : path) {
    if (!at->is_map()) *at = Value::map();
    auto& map = std::get<Value::Map>(at->variant());
    auto entry = entry_of(map, name);
    if (entry == map.end()) entry = map.insert(map.end(), {name, Value()});
    at = &entry->second;
  }
  *at = std::move(value);
}

Result<const Value*> Metadata::get(const Value::Array& path) const {
  const Value* at = &root_;
  for (const Value& name : path) {
    const Value::Map* map = at->map_if();
    if (!map) return fail(ErrorCode::kInvalidArgument, "the metadata before " + name.repr() + " is no dict: " + at->repr());
    const auto entry = entry_of(*map, name);
    if (entry == map->end()) return fail(ErrorCode::kNotFound, name.repr());
    at = &entry->second;
  }
  return at;
}

void Metadata::forget(const Key& task) {
  if (names_.erase(name_of(task)) == 0) return;
  auto& map = std::get<Value::Map>(root_.variant());
  const auto entry = entry_of(map, task.value());
  if (entry != map.end()) map.erase(entry);
}

}  // namespace dask::scheduler
