// StoryLog: the last things that happened to tasks, for story(key) and for reports of what went wrong. A ring whose slots are used again.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/base/key.h"
#include "core/base/value.h"
#include "worker/state/task.h"

namespace dask::worker {

class StoryLog {
 public:
  explicit StoryLog(std::size_t length_max) : length_max_(length_max) {}

  // (key, start, recommended, final, {key: recommendation}, stimulus id, time). Gives where recommendations may be appended; null when
  // nothing is kept.
  std::vector<std::pair<Key, TaskState>>* transition(const Key& key, TaskState start, TaskState recommended, TaskState final_,
                                                     const std::string& stimulus_id, double now);
  // (key, what, stimulus id, time): put-in-memory, missing-dep, remove-replica, cancel-compute.
  void note(const Key& key, const char* what, const std::string& stimulus_id, double now);
  // (key, what, state, stimulus id, time): compute-task, ensure-task-exists, receive-from-scatter.
  void note(const Key& key, const char* what, TaskState state, const std::string& stimulus_id, double now);
  // (what, [worker,] {keys}, stimulus id, time): free-keys; gather-dependencies, receive-dep with the peer's address.
  void note(const char* what, const std::string& worker, const std::vector<Key>& keys, const std::string& stimulus_id, double now);

  std::vector<Value> story(const std::vector<Key>& keys, const std::vector<std::string>& stimuli) const;

 private:
  enum class Shape : std::uint8_t { kTransition, kNote, kStateNote, kKeys };
  struct Record {
    Shape shape = Shape::kNote;
    TaskState start = TaskState::kReleased;
    TaskState recommended = TaskState::kReleased;
    TaskState final_ = TaskState::kReleased;
    const char* what = "";
    Key key;
    std::string worker;
    std::vector<Key> keys;
    std::vector<std::pair<Key, TaskState>> recommendations;
    std::string stimulus_id;
    double time = 0;
  };
  Record& next(const std::string& stimulus_id, double now);
  static Value value_of(const Record& record);

  std::size_t length_max_;
  std::vector<Record> records_;
  std::size_t next_ = 0;  // the oldest, once the ring is full
};

}  // namespace dask::worker
