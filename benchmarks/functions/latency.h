// What dask-native-latency submits: named the same in the program that submits and in the library that workers load.
#pragma once

namespace dask::benchmarks {

inline int plus_one(int x) { return x + 1; }

}  // namespace dask::benchmarks
