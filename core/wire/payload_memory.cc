#include "core/wire/payload_memory.h"

#include <sys/mman.h>

#include <cstdlib>

namespace dask::wire {

namespace {
constexpr std::uintptr_t kHugePageBytes = 2ULL << 20;
}

std::shared_ptr<char> payload_memory(std::uint64_t size) {
  if (size < kMappedPayloadBytesMin) {
    auto* data = static_cast<char*>(std::malloc(size == 0 ? 1 : size));
    return data ? std::shared_ptr<char>(data, std::free) : nullptr;
  }
  // A huge page more than asked for, so that the payload can begin where one does.
  const std::uint64_t mapped = size + kHugePageBytes;
  void* start = ::mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return nullptr;
  const auto address = reinterpret_cast<std::uintptr_t>(start);
  auto* data = static_cast<char*>(start) + (kHugePageBytes - address % kHugePageBytes) % kHugePageBytes;
  ::madvise(data, size, MADV_HUGEPAGE);  // the kernel may have none: then ordinary pages it is
  return {data, [start, mapped](char*) { ::munmap(start, mapped); }};
}

std::optional<Bytes> local_copy(const Bytes& bytes) {
  if (!bytes.source()) return bytes;
  auto memory = payload_memory(bytes.size());
  if (!memory || !bytes.source()->read(0, memory.get(), bytes.size())) return std::nullopt;
  const char* data = memory.get();
  return Bytes(std::move(memory), data, bytes.size());
}

}  // namespace dask::wire
