#include "scheduler/extensions/flags.h"

namespace dask::scheduler {

void Flags::wait(RequestId request, const Key& key, double now, Deadline deadline, Effects& effects) {
  Name name = name_of(key);
  if (set_.contains(name)) return effects.answer(request, Value(true));
  if (deadline && *deadline <= now) return effects.answer(request, Value(false));
  waiters_[name].push_back(request);
  waiting_[request] = std::move(name);
  deadlines_.add(request, deadline);
}

void Flags::set(const Key& key, Effects& effects) {
  const Name name = name_of(key);
  set_.insert(name);
  const auto waiters = waiters_.extract(name);
  if (!waiters) return;
  for (RequestId request : waiters.mapped()) {
    waiting_.erase(request);
    deadlines_.remove(request);
    effects.answer(request, Value(true));
  }
}

void Flags::abandon(RequestId request) {
  const auto it = waiting_.find(request);
  if (it == waiting_.end()) return;
  auto waiters = waiters_.find(it->second);
  std::erase(waiters->second, request);
  if (waiters->second.empty()) waiters_.erase(waiters);
  deadlines_.remove(request);
  waiting_.erase(it);
}

void Flags::advance(double now, Effects& effects) {
  for (RequestId request : deadlines_.take_expired(now)) {
    abandon(request);
    effects.answer(request, Value(false));
  }
}

}  // namespace dask::scheduler
