// What a zero worker does with a native batch; keeps Protobuf out of the other files.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace dask::benchmarks {

struct NativeAnswer {
  bool valid = false;
  std::size_t tasks = 0;
  std::string finished;  // a FinishedBatch
};

// Finishes every task of a ComputeBatch at `now` (seconds) after 10 µs. `dependency` is called for each dependency's key and
// `result` for each task's, as msgpack.
NativeAnswer finish_batch(std::string_view compute_batch, double now, const std::function<void(std::string_view)>& dependency,
                          const std::function<void(std::string_view)>& result);

}  // namespace dask::benchmarks
