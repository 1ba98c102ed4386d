// What the kernel says of memory: of one process, and of the cgroup that kills.
#pragma once

#include <cstdint>

namespace dask::worker {

// Resident memory of a process; 0 when it is gone.
std::uint64_t resident_bytes(int pid);
// The most that was resident at once (VmHWM); 0 when it is gone.
std::uint64_t peak_resident_bytes(int pid);

// How many processes of our cgroup the kernel has killed for memory; 0 where it does not say.
std::uint64_t cgroup_out_of_memory_kills();

}  // namespace dask::worker
