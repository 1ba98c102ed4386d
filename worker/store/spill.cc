// Moving values to disk and what happens when that fails: the value stays in memory, and the user is told where the room is missing.
#include <fmt/format.h>
#include <sys/stat.h>

#include "core/runtime/log.h"
#include "core/wire/pickle.h"
#include "worker/store/entry.h"

namespace dask::worker {
namespace {

constexpr double kAfterFullDiskSeconds = 5;  // how long nothing is written after the disk was full
constexpr double kComplaintIntervalSeconds = 60;
constexpr std::uint64_t kSpillingBytesMax = 1ULL << 30;  // serialised and not yet written: memory that spilling itself takes

}  // namespace

PythonFailure failure_of(const Error& error) {
  PythonFailure failure;
  failure.exception = Bytes::own(wire::pickle_exception("builtins", "RuntimeError", error.message));
  failure.exception_text = "RuntimeError(" + Value(error.message).repr() + ")";
  return failure;
}

bool Store::can_spill() const {
  for (const EntryPtr& entry : by_use_)
    if (!entry->spilling && !entry->unspillable) return true;
  return false;
}

void Store::spill(std::uint64_t bytes) {
  if (cache_bytes_ > 0) {
    bytes -= std::min(bytes, cache_bytes_);
    trim_cache(0);
  }
  if (clock_.monotonic() < no_spill_before_) return;
  if (spilling_bytes_ >= bytes) return;
  bytes -= spilling_bytes_;
  std::vector<EntryPtr> chosen;
  std::uint64_t sum = 0;
  for (const EntryPtr& entry : by_use_) {
    if (sum >= bytes || spilling_bytes_ + sum >= kSpillingBytesMax) break;
    if (entry->spilling || entry->unspillable) continue;
    if (options_.spill_bytes_max && !entry->file && disk_bytes_ + sum + entry->nbytes > *options_.spill_bytes_max) {
      if (clock_.monotonic() - last_complaint_ > kComplaintIntervalSeconds) {
        last_complaint_ = clock_.monotonic();
        log_warning("Spill file on disk reached capacity; keeping data in memory (distributed.worker.memory.max-spill)");
      }
      break;
    }
    chosen.push_back(entry);
    sum += std::max<std::uint64_t>(entry->nbytes, 1);
  }
  for (const EntryPtr& entry : chosen) spill_one(entry);
}

std::uint64_t Store::spill_one(const EntryPtr& entry) {
  if (entry->file) {  // it has been there before
    leave_memory(*entry);
    return entry->nbytes;
  }
  if (!entry->native.empty() && !entry->frames) {
    std::optional<PythonFailure> failure;
    OpaquePtr node = serialise_native(*entry, failure);
    if (!node) {
      entry->unspillable = true;
      log_error("Failed to serialise {}; it stays in memory: {}", entry->key.repr(), failure->exception_text);
      return 0;
    }
    entry->spilling = true;
    spilling_bytes_ += entry->nbytes;
    write(entry, std::move(node));
    return entry->nbytes;
  }
  entry->spilling = true;
  spilling_bytes_ += entry->nbytes;
  if (entry->frames && !entry->lent) {
    write(entry, entry->frames);
    return entry->nbytes;
  }
  const double start = clock_.monotonic();
  live_.serialise({entry->key}, {}, false, [this, alive = alive_, entry, start](Result<std::vector<PythonSerialised>> got) {
    if (!*alive) return;
    totals_.pickle_seconds += clock_.monotonic() - start;
    if (got && got->size() == 1 && (*got)[0].data) return write(entry, (*got)[0].data);
    entry->spilling = false;
    spilling_bytes_ -= entry->nbytes;
    if (!got || got->empty() || !(*got)[0].failure) return;  // the executor has ended, or the value has gone
    entry->unspillable = true;
    log_error("Failed to pickle {}; it stays in memory: {}", entry->key.repr(), (*got)[0].failure->exception_text);
  });
  return entry->nbytes;
}

void Store::write(const EntryPtr& entry, OpaquePtr frames) {
  ::mkdir(options_.folder.c_str(), 0700);
  auto file = std::make_shared<SpillFile>();
  file->path = fmt::format("{}/{}", options_.folder, next_file_++);
  const auto written = std::make_shared<Result<std::uint64_t>>();
  const auto seconds = std::make_shared<double>(0);
  disk_.run(
      [file, frames, written, seconds, clock = &clock_] {
        const double start = clock->monotonic();
        *written = write_spill_file(file->path, *frames);
        *seconds = clock->monotonic() - start;
      },
      [this, file, entry, written, seconds] {
        entry->spilling = false;
        spilling_bytes_ -= entry->nbytes;
        if (!*written) return spill_failed(*entry, written->error());
        totals_.disk_write_seconds += *seconds;
        ++totals_.disk_write_count;
        totals_.disk_write_bytes += **written;
        if (entry->gone) return;
        file->bytes = **written;
        disk_bytes_ += file->bytes;
        entry->file = file;
        leave_memory(*entry);
      });
}

void Store::leave_memory(Entry& entry) {
  forget_frames(entry);
  entry.native = native::NativeValue();
  if (std::exchange(entry.live, false)) live_.drop({entry.key});
  if (entry.listed) by_use_.erase(entry.place);
  entry.listed = false;
  set_in_memory(entry, false);
}

void Store::spill_failed(Entry& entry, const Error& error) {
  no_spill_before_ = clock_.monotonic() + kAfterFullDiskSeconds;
  if (clock_.monotonic() - last_complaint_ < kComplaintIntervalSeconds) return;
  last_complaint_ = clock_.monotonic();
  log_error(
      "Spill to disk failed; keeping data in memory: {}: {}. Free space there, or pass --local-directory with a folder on another disk",
      entry.key.repr(), error.message);
}

}  // namespace dask::worker
