// Memory for one payload: a big frame of a peer, a value read from disk. Big ones get a mapping of their own in huge pages, where the
// kernel has them: filling 256 MiB of ordinary new pages costs more than moving the bytes through a socket. The kernel gives pages when
// they are written, so that memory for a length that was a lie costs nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "core/base/bytes.h"

namespace dask::wire {

// From this size on memory is mapped; below, malloc's is as fast.
inline constexpr std::uint64_t kMappedPayloadBytesMin = 4ULL << 20;

// `size` bytes that hold anything, to be written once and then shared; null when there is no memory.
std::shared_ptr<char> payload_memory(std::uint64_t size);

// The same bytes where this process can address them: read when they lie elsewhere. Nothing when they are gone, or there is no memory.
std::optional<Bytes> local_copy(const Bytes& bytes);

}  // namespace dask::wire
