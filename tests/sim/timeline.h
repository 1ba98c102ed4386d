// Virtual time: what will happen, in order. Links keep the order of what is sent over them, as TCP does.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <queue>
#include <vector>

namespace dask::sim {

using Time = std::int64_t;  // microseconds
constexpr Time kMillisecond = 1000;
constexpr Time kSecond = 1'000'000;

class Timeline {
 public:
  Time now() const { return now_; }
  // Events at the same time happen in the order in which they were added.
  void at(Time when, std::function<void()> what) {
    queue_.push(Entry{std::max(when, now_), sequence_++, std::make_shared<std::function<void()>>(std::move(what))});
  }
  void after(Time delay, std::function<void()> what) { at(now_ + delay, std::move(what)); }
  // False when nothing is left to happen before `end`; time stops at the last event then.
  bool step(Time end) {
    if (queue_.empty() || queue_.top().when > end) return false;
    const Entry entry = queue_.top();
    queue_.pop();
    now_ = entry.when;
    (*entry.what)();
    return true;
  }
  bool empty() const { return queue_.empty(); }

 private:
  struct Entry {
    Time when;
    std::uint64_t sequence;
    std::shared_ptr<std::function<void()>> what;
    bool operator<(const Entry& other) const { return when != other.when ? when > other.when : sequence > other.sequence; }
  };
  Time now_ = 0;
  std::uint64_t sequence_ = 0;
  std::priority_queue<Entry> queue_;
};

// One direction of a connection. When the receiver (or the connection) is gone, what is on the way is lost.
class Link {
 public:
  // Delivers after `delay`, but never before what was sent earlier.
  void send(Timeline& timeline, Time delay, std::function<void()> deliver) {
    last_ = std::max(timeline.now() + delay, last_);
    timeline.at(last_, [open = open_, deliver = std::move(deliver)] {
      if (*open) deliver();
    });
  }
  void close() { *open_ = false; }
  // Time by which everything sent so far has arrived.
  Time last() const { return last_; }

 private:
  Time last_ = 0;
  std::shared_ptr<bool> open_ = std::make_shared<bool>(true);
};

}  // namespace dask::sim
