// One value of the store, and its file. Private to worker/store.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "worker/store/spill_file.h"
#include "worker/store/store.h"

namespace dask::worker {

// A file that is removed with its last user: a read under way keeps it.
struct SpillFile {
  std::string path;
  std::uint64_t bytes = 0;
  ~SpillFile() { ::unlink(path.c_str()); }
};

struct Store::Entry {
  Key key;
  std::uint64_t nbytes = 0;
  bool live = false;  // the executor has it
  bool actor = false;
  native::NativeValue native;  // in our memory, not serialised
  OpaquePtr frames;            // serialised, in our memory ...
  bool lent = false;           // ... or, of a live value, in the executor's
  bool unused = false;         // lent, and no task has had it: what the executor holds is these very frames
  std::shared_ptr<SpillFile> file;
  bool in_memory = false;
  bool counted = false;  // in one of the sums
  bool gone = false;     // dropped while somebody still worked with it
  bool spilling = false;
  bool unspillable = false;  // it does not pickle
  bool listed = false;
  std::list<EntryPtr>::iterator place;
  bool cached = false;
  std::uint64_t cached_bytes = 0;
  std::list<EntryPtr>::iterator cache_place;
};

inline std::uint64_t bytes_of(const Opaque& data) {
  std::uint64_t bytes = data.header.size();
  for (const Bytes& frame : data.frames) bytes += frame.size();
  return bytes;
}

// An error of ours where Python expects an exception.
PythonFailure failure_of(const Error& error);

}  // namespace dask::worker
