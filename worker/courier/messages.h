// What the worker and the executor's courier say to each other: one of these structs in each packet of a SOCK_SEQPACKET pair. Both come
// from one checkout and run on one machine, so that there is no version and no byte order.
#pragma once

#include <cstdint>

namespace dask::worker {

enum class CourierOperation : std::uint64_t {
  kSend = 1,     // [address, address + size) of the executor's memory goes to the socket that comes along
  kReceive = 2,  // a new block of `size` bytes is filled from `filled` on with what comes from the socket that comes along
  kFree = 3,     // the worker uses block `id` no more
};

struct CourierRequest {
  CourierOperation operation;
  std::uint64_t id;
  std::uint64_t address;
  std::uint64_t size;
  std::uint64_t filled;
};

// A kSend or kReceive has ended. `error`: an errno, or 0. `address`: where the block begins.
struct CourierReport {
  std::uint64_t id;
  std::int64_t error;
  std::uint64_t address;
};

// How many sends and receives may be under way. The worker keeps to it; whatever comes on top goes through its own memory.
inline constexpr int kCourierTransfersMax = 64;

}  // namespace dask::worker
