// KeyWaits: calls that name a task which the scheduler does not know yet. A client's call may overtake the graph that it sent
// before on its stream; Dask looks again every 10 ms, and so do we.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "scheduler/extensions/deadlines.h"
#include "scheduler/extensions/effects.h"

namespace dask::scheduler {

class KeyWaits {
 public:
  static constexpr double kLookAgain_s = 0.01;
  static constexpr double kWait_s = 600;  // longest wait; a graph of millions of tasks takes minutes to lower

  void add(RequestId request, Key key, double now, Deadline deadline) {
    keys_.emplace(request, std::move(key));
    deadlines_.add(request, earlier(deadline, now + kWait_s));
    look_again_ = earlier(look_again_, now + kLookAgain_s);
  }
  void abandon(RequestId request) {
    keys_.erase(request);
    deadlines_.remove(request);
  }
  // Gives the calls whose task is known by now; those that waited too long fail.
  std::vector<RequestId> advance(double now, const std::function<bool(const Key&)>& known, Effects& effects) {
    std::vector<RequestId> ready;
    for (const auto& [request, key] : keys_)
      if (known(key)) ready.push_back(request);
    for (RequestId request : ready) abandon(request);
    for (RequestId request : deadlines_.take_expired(now)) {
      effects.raise(request, "asyncio.exceptions.TimeoutError", "Task " + keys_.at(request).str() + " unknown to scheduler.");
      keys_.erase(request);
    }
    look_again_ = keys_.empty() ? Deadline() : Deadline(now + kLookAgain_s);
    return ready;
  }
  Deadline next_deadline() const { return look_again_; }

 private:
  std::map<RequestId, Key> keys_;
  Deadlines deadlines_;
  Deadline look_again_;
};

}  // namespace dask::scheduler
