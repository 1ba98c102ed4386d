// Deadlines: which waiting request runs out of time next.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "scheduler/extensions/effects.h"

namespace dask::scheduler {

// A point in time, or never.
using Deadline = std::optional<double>;

inline Deadline earlier(Deadline a, Deadline b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

class Deadlines {
 public:
  void add(RequestId request, Deadline at) {
    if (!at) return;
    at_[request] = *at;
    order_.emplace(*at, request);
  }
  void remove(RequestId request) {
    auto it = at_.find(request);
    if (it == at_.end()) return;
    order_.erase({it->second, request});
    at_.erase(it);
  }
  // Takes out those whose time has come, earliest first.
  std::vector<RequestId> take_expired(double now) {
    std::vector<RequestId> expired;
    while (!order_.empty() && order_.begin()->first <= now) {
      expired.push_back(order_.begin()->second);
      at_.erase(order_.begin()->second);
      order_.erase(order_.begin());
    }
    return expired;
  }
  Deadline next() const { return order_.empty() ? Deadline() : Deadline(order_.begin()->first); }

 private:
  std::set<std::pair<double, RequestId>> order_;
  std::map<RequestId, double> at_;
};

}  // namespace dask::scheduler
