// Store: where each value of this worker is. A value is live in the Python executor, serialised in our memory, on disk, native, or several
// of these at once; the store knows which, moves values to disk when memory is short, and gives them out as frames or as a task's inputs.
// The state machine decides what exists (it knows no values); the store never forgets a key by itself.
//
// Invariants: (1) an entry always has its value somewhere, unless lose_live() said that it is gone; (2) frames of a value that is also live
// are a cache of at most `cache_bytes_max`, dropped first when memory is short; (3) a value on disk stays there until it is dropped, so
// that it leaves the memory a second time for free. Thread ownership: the loop's thread; files are written and read on DiskThreads.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/key.h"
#include "core/base/key_map.h"
#include "core/base/result.h"
#include "core/base/value.h"
#include "core/native/value.h"
#include "core/net/loop.h"
#include "core/runtime/clock.h"
#include "worker/execute/native_pool.h"
#include "worker/execute/python_executor.h"
#include "worker/store/disk_threads.h"

namespace dask::worker {

struct StoreOptions {
  std::string folder;                            // for spilled values; made when the first one is written
  std::optional<std::uint64_t> spill_bytes_max;  // distributed.worker.memory.max-spill
  std::uint64_t cache_bytes_max = 64ULL << 20;   // frames kept beside live values
};

// What the executor does for the store; the store knows no process.
struct LiveValues {
  std::function<void(std::vector<Key>, std::vector<std::string> serializers, bool lend, PythonExecutor::SerialiseDone)> serialise;
  std::function<void(const std::vector<Key>&)> drop;
};

// Dask's spill metrics: totals since the start (distributed/spill.py, cumulative_metrics).
struct SpillTotals {
  std::uint64_t disk_write_bytes = 0, disk_write_count = 0;
  std::uint64_t disk_read_bytes = 0, disk_read_count = 0;
  std::uint64_t memory_read_bytes = 0, memory_read_count = 0;
  double pickle_seconds = 0, disk_write_seconds = 0, disk_read_seconds = 0;
};

class Store {
 public:
  Store(net::Loop& loop, const Clock& clock, StoreOptions options, LiveValues live);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // A value has come into being: in the executor, or as frames of a peer. Replaces what was there under the key.
  void add_live(const Key& key, std::int64_t nbytes, bool actor);
  void add_frames(const Key& key, OpaquePtr frames, std::int64_t nbytes);
  // Frames of a peer that lie in the executor, which is given them under this key next: live, and sent to others as they came until a task
  // has the value and may change it.
  void add_received(const Key& key, OpaquePtr frames, std::int64_t nbytes);
  // A native task's result: passed by reference to native tasks, serialised when anybody else wants it.
  void add_native(const Key& key, native::NativeValue value, std::int64_t nbytes);
  // The executor has been given the frames of this key and keeps the value from now on.
  void became_live(const Key& key);
  void resize(const Key& key, std::int64_t nbytes);
  void drop(const Key& key);

  bool contains(const Key& key) const { return entries_.count(key) != 0; }
  bool is_actor(const Key& key) const;
  std::uint64_t nbytes(const Key& key) const;  // 0 when it is not here
  std::vector<Key> keys() const;               // oldest use first, without actors
  std::size_t size() const { return entries_.size(); }

  // The values as frames, in the order of the keys; `data` null and no failure: not here. Calls back at once when nothing has to be
  // waited for.
  // `lend`: large frames of a live value may stay in the executor (Bytes::source): they are good for nothing but to be sent.
  using FramesDone = std::function<void(std::vector<PythonSerialised>)>;
  void frames(std::vector<Key> keys, std::vector<std::string> serializers, FramesDone done, bool lend = false);
  // The inputs of a Python task; null frames where the executor has the value already. An error names the key that is not here or cannot
  // be read. Calls back at once unless something is on disk only.
  void inputs(std::vector<Key> keys, std::function<void(Result<std::vector<PythonInput>>)> done);

  // An input of a native task, when it is in our memory; else empty, and frames() brings it.
  NativeInput native_input(const Key& key);

  // Makes room: drops cached frames, then moves the values that were not used for longest to disk until `bytes` are under way or moved.
  void spill(std::uint64_t bytes);
  bool can_spill() const;  // something in memory could go to disk

  std::uint64_t managed_in_memory() const { return memory_bytes_; }  // by nbytes, as the scheduler counts
  std::uint64_t spilled_memory() const { return spilled_bytes_; }    // nbytes of what is on disk only
  std::uint64_t spilled_disk() const { return disk_bytes_; }         // bytes of all our files
  std::size_t spilled_count() const { return spilled_count_; }
  const SpillTotals& totals() const { return totals_; }

 private:
  struct Entry;
  using EntryPtr = std::shared_ptr<Entry>;
  EntryPtr find(const Key& key) const;
  const EntryPtr& put(const Key& key, std::int64_t nbytes);  // valid until the next call
  void touch(const EntryPtr& entry);
  void cache(Entry& entry);
  void trim_cache(std::uint64_t bytes_max);
  void forget_frames(Entry& entry);
  // The frames of a value that is native only; null and `failure` set when it cannot be serialised.
  OpaquePtr serialise_native(const Entry& entry, std::optional<PythonFailure>& failure);
  void set_in_memory(Entry& entry, bool in_memory);
  void read(const EntryPtr& entry, std::function<void(Result<OpaquePtr>)> done);
  std::uint64_t spill_one(const EntryPtr& entry);
  void write(const EntryPtr& entry, OpaquePtr frames);
  void leave_memory(Entry& entry);
  void spill_failed(Entry& entry, const Error& error);
  void remove_file(Entry& entry);

  net::Loop& loop_;
  const Clock& clock_;
  StoreOptions options_;
  LiveValues live_;
  KeyMap<EntryPtr> entries_;
  std::list<EntryPtr> by_use_;  // of those in memory that may be spilled, least recently used first
  std::list<EntryPtr> cached_;  // live values with frames beside, oldest first
  std::uint64_t memory_bytes_ = 0;
  std::uint64_t spilled_bytes_ = 0;
  std::uint64_t disk_bytes_ = 0;
  std::uint64_t cache_bytes_ = 0;
  std::uint64_t spilling_bytes_ = 0;  // under way
  std::size_t spilled_count_ = 0;
  std::uint64_t next_file_ = 0;
  double no_spill_before_ = 0;  // monotonic; after a full disk
  double last_complaint_ = -1e9;
  SpillTotals totals_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  DiskThreads disk_;
};

}  // namespace dask::worker
