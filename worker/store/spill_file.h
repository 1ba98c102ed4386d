// One value on disk: its sub-header and frames as Dask serialised them, one file a key. Only the worker that wrote it reads it.
// Format: magic, u64 count, u64 sizes (header first), then the bytes. Blocking: called on the store's disk threads only.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "core/base/value.h"

namespace dask::worker {

// Writes the file and gives its size; a file that cannot be written whole is removed. kLimit when the disk (or a quota) is full.
Result<std::uint64_t> write_spill_file(const std::string& path, const Opaque& data);

// kMalformed when the file is not what was written.
Result<OpaquePtr> read_spill_file(const std::string& path);

}  // namespace dask::worker
