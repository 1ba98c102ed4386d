// KeyMap: a hash map by Key for what is looked up several times in the life of each task. All in one array (tsl::robin_map), so that a
// look-up among a hundred thousand keys waits for memory once instead of three times. Iterators and references end with any change;
// entries come in no useful order.
#pragma once

#include <tsl/robin_map.h>

#include <functional>
#include <memory>
#include <utility>

#include "core/base/key.h"

namespace dask {

// Value must be movable without exceptions. Change a value through an iterator's value().
template <class Value>
using KeyMap = tsl::robin_map<Key, Value, std::hash<Key>, std::equal_to<Key>, std::allocator<std::pair<Key, Value>>, /*StoreHash=*/true>;

}  // namespace dask
