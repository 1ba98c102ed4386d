// Native graphs of any size in the shapes that schedulers are measured with (RSDS' merge and tree), ready to send.
// Keeps Protobuf out of the other files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace dask::benchmarks {

struct NativeShape {
  std::string graph;   // a NativeGraph
  std::string wanted;  // the key of its one result, as msgpack
  std::uint64_t tasks = 0;
  std::uint64_t edges = 0;
};

// `n` tasks without dependencies and one that needs them all. `seed` makes the keys of different graphs different.
NativeShape merge_shape(std::uint32_t n, std::uint32_t seed);
// `leaves` tasks (a power of two), added in pairs until one is left.
NativeShape tree_shape(std::uint32_t leaves, std::uint32_t seed);

}  // namespace dask::benchmarks
