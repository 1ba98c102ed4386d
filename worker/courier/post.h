// The courier: a thread in the executor's process, but no thread of Python, that moves large frames between the interpreter's memory and
// sockets of the worker's peers. The worker has the connections and decides; nobody copies, and a held GIL stops nothing.
// It is a library of its own that Python loads with ctypes: it knows the C library and messages.h, no interpreter and nothing else of ours.
#pragma once

#include <cstdint>

extern "C" {

// Starts the courier that obeys what comes on `control` (SOCK_SEQPACKET, owned from now on); null when there can be no thread.
// It ends with the other side's end, and the handle stays valid.
void* dask_courier_start(int control);
// A block stays until as many have let it go as have kept it, and the worker has freed it. 0, or -1 when there is no such block.
int dask_courier_keep(void* courier, std::uint64_t id);
void dask_courier_let_go(void* courier, std::uint64_t id);
}
