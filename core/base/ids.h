// Dense, typed identifiers. A TaskId says which slot and which life of the slot; the others are never reused.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace dask {

template <class Tag>
struct Id {
  std::uint32_t value = UINT32_MAX;
  bool valid() const { return value != UINT32_MAX; }
  friend auto operator<=>(const Id&, const Id&) = default;
};

using WorkerId = Id<struct WorkerTag>;
using ClientId = Id<struct ClientTag>;
using PrefixId = Id<struct PrefixTag>;
using GroupId = Id<struct GroupTag>;

struct TaskId {
  std::uint32_t index = UINT32_MAX;
  std::uint32_t generation = 0;
  bool valid() const { return index != UINT32_MAX; }
  friend auto operator<=>(const TaskId&, const TaskId&) = default;
};

}  // namespace dask

template <class Tag>
struct std::hash<dask::Id<Tag>> {
  std::size_t operator()(dask::Id<Tag> id) const { return id.value * 0x9E3779B97F4A7C15ULL; }
};
template <>
struct std::hash<dask::TaskId> {
  std::size_t operator()(dask::TaskId id) const { return ((std::uint64_t{id.generation} << 32) | id.index) * 0x9E3779B97F4A7C15ULL; }
};
