// TaskStream: the last tasks that ended, with what they did when: what get_task_stream returns and the live page draws.
// Source: distributed/diagnostics/task_stream.py.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "core/base/messages.h"
#include "core/base/value.h"

namespace dask::scheduler {

struct TaskStreamRecord {
  std::string key;  // msgpack
  std::string prefix;
  std::string worker;  // address
  Value thread;
  std::int64_t nbytes = 0;
  std::vector<StartStop> startstops;
  bool erred = false;
};

class TaskStream {
 public:
  static constexpr std::size_t kLengthMax = 100'000;  // distributed.scheduler.dashboard.tasks.task-stream-length

  void add(TaskStreamRecord record) {
    records_.push_back(std::move(record));
    ++index_;
    if (records_.size() > kLengthMax) records_.pop_front();
  }
  // How many were ever added; the newest record is number index() - 1.
  std::uint64_t index() const { return index_; }
  const std::deque<TaskStreamRecord>& records() const { return records_; }

 private:
  std::deque<TaskStreamRecord> records_;
  std::uint64_t index_ = 0;
};

}  // namespace dask::scheduler
