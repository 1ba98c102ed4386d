// The bookkeeping of where values are, and giving them out. Moving them to disk is in spill.cc.
#include "worker/store/store.h"

#include <unistd.h>

#include <algorithm>

#include "core/native/dask_node.h"
#include "worker/store/entry.h"

namespace dask::worker {

Store::Store(net::Loop& loop, const Clock& clock, StoreOptions options, LiveValues live)
    : loop_(loop), clock_(clock), options_(std::move(options)), live_(std::move(live)), disk_(loop) {}

Store::~Store() {
  *alive_ = false;
  for (const auto& [key, entry] : entries_) remove_file(*entry);
}

Store::EntryPtr Store::find(const Key& key) const {
  const auto it = entries_.find(key);
  return it == entries_.end() ? nullptr : it->second;
}

bool Store::is_actor(const Key& key) const {
  const EntryPtr entry = find(key);
  return entry && entry->actor;
}

std::uint64_t Store::nbytes(const Key& key) const {
  const EntryPtr entry = find(key);
  return entry ? entry->nbytes : 0;
}

std::vector<Key> Store::keys() const {
  std::vector<Key> keys;
  for (const auto& [key, entry] : entries_)
    if (!entry->actor) keys.push_back(key);
  return keys;
}

const Store::EntryPtr& Store::put(const Key& key, std::int64_t nbytes) {
  auto [it, added] = entries_.try_emplace(key);
  if (!added) {
    drop(key);
    it = entries_.try_emplace(key).first;
  }
  EntryPtr& place = it.value();
  place = std::make_shared<Entry>();
  Entry& entry = *place;
  entry.key = key;
  entry.nbytes = static_cast<std::uint64_t>(std::max<std::int64_t>(nbytes, 0));
  set_in_memory(entry, true);
  return place;
}

void Store::add_live(const Key& key, std::int64_t nbytes, bool actor) {
  const EntryPtr before = find(key);
  if (before && before->live) before->live = false;  // the executor has put the new value in its place
  const EntryPtr& entry = put(key, nbytes);
  entry->live = true;
  entry->actor = actor;
  if (!actor) touch(entry);
}

void Store::add_frames(const Key& key, OpaquePtr frames, std::int64_t nbytes) {
  const EntryPtr& entry = put(key, nbytes);
  entry->frames = std::move(frames);
  touch(entry);
}

void Store::add_received(const Key& key, OpaquePtr frames, std::int64_t nbytes) {
  const EntryPtr& entry = put(key, nbytes);
  entry->frames = std::move(frames);
  entry->live = entry->lent = entry->unused = true;
  touch(entry);
}

void Store::add_native(const Key& key, native::NativeValue value, std::int64_t nbytes) {
  const EntryPtr& entry = put(key, nbytes);
  entry->native = std::move(value);
  touch(entry);
}

NativeInput Store::native_input(const Key& key) {
  const EntryPtr entry = find(key);
  if (!entry || !entry->in_memory || (entry->native.empty() && (!entry->frames || entry->lent))) return {};
  touch(entry);
  ++totals_.memory_read_count;
  totals_.memory_read_bytes += entry->nbytes;
  return {entry->native, entry->native.empty() ? entry->frames : nullptr};
}

OpaquePtr Store::serialise_native(const Entry& entry, std::optional<PythonFailure>& failure) {
  auto node = native::to_node(entry.native);
  if (node) return *std::move(node);
  failure = failure_of(node.error());
  return nullptr;
}

void Store::became_live(const Key& key) {
  const EntryPtr entry = find(key);
  if (!entry || entry->live) return;
  entry->live = true;
  set_in_memory(*entry, true);
  if (entry->frames) cache(*entry);
}

void Store::resize(const Key& key, std::int64_t nbytes) {
  const EntryPtr entry = find(key);
  if (!entry || nbytes < 0) return;
  const bool in_memory = entry->in_memory;
  if (in_memory)
    memory_bytes_ -= entry->nbytes;
  else
    spilled_bytes_ -= entry->nbytes;
  entry->nbytes = static_cast<std::uint64_t>(nbytes);
  if (in_memory)
    memory_bytes_ += entry->nbytes;
  else
    spilled_bytes_ += entry->nbytes;
}

void Store::drop(const Key& key) {
  const auto it = entries_.find(key);
  if (it == entries_.end()) return;
  const EntryPtr entry = it->second;
  entries_.erase(it);
  entry->gone = true;
  forget_frames(*entry);
  if (entry->listed) by_use_.erase(entry->place);
  entry->listed = false;
  if (entry->in_memory)
    memory_bytes_ -= entry->nbytes;
  else {
    spilled_bytes_ -= entry->nbytes;
    --spilled_count_;
  }
  remove_file(*entry);
  if (entry->live) live_.drop({key});
}

void Store::set_in_memory(Entry& entry, bool in_memory) {
  if (entry.in_memory == in_memory) return;
  if (in_memory) {
    if (entry.counted) {
      spilled_bytes_ -= entry.nbytes;
      --spilled_count_;
    }
    memory_bytes_ += entry.nbytes;
  } else {
    memory_bytes_ -= entry.nbytes;
    spilled_bytes_ += entry.nbytes;
    ++spilled_count_;
  }
  entry.counted = true;
  entry.in_memory = in_memory;
}

void Store::touch(const EntryPtr& entry) {
  if (entry->actor || !entry->in_memory) return;
  if (entry->listed)
    by_use_.splice(by_use_.end(), by_use_, entry->place);
  else
    entry->place = by_use_.insert(by_use_.end(), entry);
  entry->listed = true;
}

// ---- frames beside live values ----

void Store::cache(Entry& entry) {
  if (entry.cached || !entry.frames) return;
  entry.cached_bytes = bytes_of(*entry.frames);
  if (entry.cached_bytes > options_.cache_bytes_max) return forget_frames(entry);  // it would only push out all others
  entry.cache_place = cached_.insert(cached_.end(), entries_.at(entry.key));
  entry.cached = true;
  cache_bytes_ += entry.cached_bytes;
  trim_cache(options_.cache_bytes_max);
}

void Store::trim_cache(std::uint64_t bytes_max) {
  while (cache_bytes_ > bytes_max) {
    const EntryPtr oldest = cached_.front();
    forget_frames(*oldest);
  }
}

void Store::forget_frames(Entry& entry) {
  entry.frames = nullptr;
  entry.lent = entry.unused = false;
  if (!entry.cached) return;
  cache_bytes_ -= entry.cached_bytes;
  entry.cached = false;
  cached_.erase(entry.cache_place);
}

// ---- giving values out ----

void Store::frames(std::vector<Key> keys, std::vector<std::string> serializers, FramesDone done, bool lend) {
  struct Answer {
    std::vector<PythonSerialised> data;
    std::size_t open = 1;
    FramesDone done;
    void part_done() {
      if (--open == 0) done(std::move(data));
    }
  };
  auto answer = std::make_shared<Answer>();
  answer->done = std::move(done);
  answer->data.resize(keys.size());
  std::vector<Key> ask;
  std::vector<std::size_t> ask_at;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    PythonSerialised& one = answer->data[i];
    one.key = keys[i];
    const EntryPtr entry = find(keys[i]);
    if (!entry) continue;
    if (entry->frames && serializers.empty() && (lend || !entry->lent)) {
      one.data = entry->frames;
      ++totals_.memory_read_count;
      totals_.memory_read_bytes += entry->nbytes;
    } else if (entry->live) {
      ask.push_back(keys[i]);
      ask_at.push_back(i);
      ++totals_.memory_read_count;
      totals_.memory_read_bytes += entry->nbytes;
    } else if (entry->frames) {
      one.data = entry->frames;
    } else if (!entry->native.empty()) {
      one.data = serialise_native(*entry, one.failure);
      ++totals_.memory_read_count;
      totals_.memory_read_bytes += entry->nbytes;
    } else {
      ++answer->open;
      read(entry, [answer, i](Result<OpaquePtr> data) {
        if (data)
          answer->data[i].data = *std::move(data);
        else
          answer->data[i].failure = failure_of(data.error());
        answer->part_done();
      });
    }
  }
  if (!ask.empty()) {
    ++answer->open;
    const bool keep = serializers.empty();
    live_.serialise(std::move(ask), std::move(serializers), lend,
                    [this, alive = alive_, answer, ask_at, keep](Result<std::vector<PythonSerialised>> got) {
                      for (std::size_t n = 0; n < ask_at.size(); ++n) {
                        PythonSerialised& one = answer->data[ask_at[n]];
                        if (!got) {
                          one.failure = failure_of(got.error());
                          continue;
                        }
                        one.data = std::move((*got)[n].data);
                        one.failure = std::move((*got)[n].failure);
                        if (!keep || !*alive || !one.data) continue;
                        // Another peer may want it soon. Actors change: nothing of theirs is kept.
                        if (const EntryPtr entry = find(one.key); entry && entry->live && !entry->frames && !entry->actor) {
                          entry->frames = one.data;
                          entry->lent = std::any_of(one.data->frames.begin(), one.data->frames.end(),
                                                    [](const Bytes& frame) { return frame.source() != nullptr; });
                          cache(*entry);
                        }
                      }
                      answer->part_done();
                    });
  }
  answer->part_done();
}

void Store::inputs(std::vector<Key> keys, std::function<void(Result<std::vector<PythonInput>>)> done) {
  struct Answer {
    std::vector<PythonInput> inputs;
    std::optional<Error> error;
    std::size_t open = 1;
    std::function<void(Result<std::vector<PythonInput>>)> done;
    void part_done() {
      if (--open != 0) return;
      if (error)
        done(fail(*std::move(error)));
      else
        done(std::move(inputs));
    }
  };
  auto answer = std::make_shared<Answer>();
  answer->done = std::move(done);
  answer->inputs.resize(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    PythonInput& input = answer->inputs[i];
    input.key = keys[i];
    const EntryPtr entry = find(keys[i]);
    if (!entry) {
      answer->error = Error{ErrorCode::kNotFound, "the input " + keys[i].repr() + " is not on this worker any more"};
      continue;
    }
    touch(entry);
    if (entry->live || entry->frames || !entry->native.empty()) {
      ++totals_.memory_read_count;
      totals_.memory_read_bytes += entry->nbytes;
      if (entry->unused) forget_frames(*entry);
      if (entry->live) continue;
      input.serialised = entry->frames;
      if (!input.serialised) {
        std::optional<PythonFailure> failure;
        input.serialised = serialise_native(*entry, failure);
        if (failure) {
          answer->error =
              Error{ErrorCode::kUnsupported, "the input " + keys[i].repr() + " cannot be given to Python: " + failure->exception_text};
          continue;
        }
      }
      became_live(keys[i]);
    } else {
      ++answer->open;
      read(entry, [this, alive = alive_, answer, i, entry](Result<OpaquePtr> data) {
        if (!data) {
          answer->error = data.error();
        } else {
          // Meanwhile it may have been dropped or spilled again; the task gets it all the same.
          answer->inputs[i].serialised = *std::move(data);
          if (*alive && !entry->gone) {
            became_live(entry->key);
            touch(entry);
          }
        }
        answer->part_done();
      });
    }
  }
  answer->part_done();
}

void Store::read(const EntryPtr& entry, std::function<void(Result<OpaquePtr>)> done) {
  const auto result = std::make_shared<Result<OpaquePtr>>();
  const auto seconds = std::make_shared<double>(0);
  disk_.run(
      [result, seconds, file = entry->file, clock = &clock_] {
        const double start = clock->monotonic();
        *result = read_spill_file(file->path);
        *seconds = clock->monotonic() - start;
      },
      [this, result, seconds, done = std::move(done)] {
        if (*result) {
          ++totals_.disk_read_count;
          totals_.disk_read_bytes += bytes_of(***result);
          totals_.disk_read_seconds += *seconds;
        }
        done(std::move(*result));
      });
}

void Store::remove_file(Entry& entry) {
  if (!entry.file) return;
  disk_bytes_ -= entry.file->bytes;
  entry.file = nullptr;  // the last who reads it removes it
}

}  // namespace dask::worker
