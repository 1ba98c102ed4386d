#include "scheduler/extensions/semaphores.h"

#include <algorithm>

namespace dask::scheduler {

void Semaphores::create(RequestId request, const Key& name, std::int64_t max_leases, Deadline lease_timeout, Effects& effects) {
  auto [it, made] = semaphores_.try_emplace(name_of(name));
  Semaphore& semaphore = it->second;
  if (made) {
    semaphore.text = name.str();
    semaphore.max_leases = max_leases;
    semaphore.lease_timeout = lease_timeout;
  } else if (semaphore.max_leases != max_leases) {
    return effects.raise(request, "builtins.ValueError",
                         "Inconsistent max leases: " + std::to_string(max_leases) + ", expected: " + std::to_string(semaphore.max_leases));
  }
  effects.answer(request, Value());
}

void Semaphores::grant(Semaphore& semaphore, const Name& lease, double now) {
  semaphore.leases[lease] = now;
  ++semaphore.acquire_total;
  if (semaphore.lease_timeout && !check_at_) check_at_ = now + validation_interval_s_;
}

void Semaphores::waited(Semaphore& semaphore, double seconds) {
  semaphore.average_pending_lease_time = (semaphore.average_pending_lease_time + std::max(seconds, kAtOnce_s)) / 2;
}

void Semaphores::acquire(RequestId request, const Key& name, const Key& lease, double now, Deadline deadline, Effects& effects) {
  const auto it = semaphores_.find(name_of(name));
  if (it == semaphores_.end()) return effects.raise(request, "builtins.RuntimeError", "Semaphore or Lock `" + name.str() + "` not known.");
  Semaphore& semaphore = it->second;
  const Name id = name_of(lease);
  if (semaphore.leases.contains(id) || static_cast<std::int64_t>(semaphore.leases.size()) < semaphore.max_leases) {
    grant(semaphore, id, now);
    waited(semaphore, 0);
    return effects.answer(request, Value(true));
  }
  if (deadline && *deadline <= now) {
    waited(semaphore, 0);
    return effects.answer(request, Value(false));
  }
  semaphore.pending.push_back(Pending{request, id, now});
  waiting_[request] = it->first;
  deadlines_.add(request, deadline);
}

void Semaphores::grant_pending(Semaphore& semaphore, double now, Effects& effects) {
  while (!semaphore.pending.empty() && static_cast<std::int64_t>(semaphore.leases.size()) < semaphore.max_leases) {
    const Pending pending = std::move(semaphore.pending.front());
    semaphore.pending.pop_front();
    waiting_.erase(pending.request);
    deadlines_.remove(pending.request);
    grant(semaphore, pending.lease, now);
    waited(semaphore, now - pending.since);
    effects.answer(pending.request, Value(true));
  }
}

void Semaphores::release(const Key& name, const Key& lease, double now, Effects& effects) {
  const auto it = semaphores_.find(name_of(name));
  if (it == semaphores_.end()) {
    effects.warnings.push_back("Tried to release Lock or Semaphore `" + name.str() + "` but it is not known.");
    return;
  }
  Semaphore& semaphore = it->second;
  if (semaphore.leases.erase(name_of(lease)) == 0) {
    effects.warnings.push_back("Tried to release Lock or Semaphore but it was already released: name=" + name.repr() +
                               ", lease_id=" + lease.repr() + ". This can happen if the Lock or Semaphore timed out before.");
    return;
  }
  ++semaphore.release_total;
  grant_pending(semaphore, now, effects);
}

void Semaphores::refresh(const Key& name, const std::vector<Key>& leases, double now, Effects& effects) {
  const auto it = semaphores_.find(name_of(name));
  if (it == semaphores_.end()) return;  // closed; a lease of nothing must not take the place of one of a new semaphore
  for (const Key& lease : leases) {
    auto [held, unknown] = it->second.leases.insert_or_assign(name_of(lease), now);
    if (!unknown) continue;
    effects.warnings.push_back("Refreshing an unknown lease ID " + lease.str() + " for " + name.str() +
                               ". This might be due to leases timing out and may cause overbooking of the semaphore!"
                               " This is often caused by long-running GIL-holding in the task which acquired the lease.");
    if (it->second.lease_timeout && !check_at_) check_at_ = now + validation_interval_s_;
  }
}

void Semaphores::close(const Key& name, Effects& effects) {
  const auto it = semaphores_.find(name_of(name));
  if (it == semaphores_.end()) return;
  Semaphore& semaphore = it->second;
  if (!semaphore.leases.empty())
    effects.warnings.push_back("Closing semaphore " + semaphore.text + " but there remain " + std::to_string(semaphore.leases.size()) +
                               " unreleased leases");
  if (!semaphore.pending.empty()) effects.warnings.push_back("Closing semaphore " + semaphore.text + " but there remain pending leases");
  for (const Pending& pending : semaphore.pending) {
    waiting_.erase(pending.request);
    deadlines_.remove(pending.request);
    effects.raise(pending.request, "builtins.RuntimeError",
                  "Semaphore or Lock `" + semaphore.text + "` not known: it was closed while this call waited for a lease.");
  }
  semaphores_.erase(it);
}

std::int64_t Semaphores::value(const Key& name) const {
  const auto it = semaphores_.find(name_of(name));
  return it == semaphores_.end() ? 0 : static_cast<std::int64_t>(it->second.leases.size());
}

void Semaphores::abandon(RequestId request) {
  const auto it = waiting_.find(request);
  if (it == waiting_.end()) return;
  std::erase_if(semaphores_.at(it->second).pending, [&](const Pending& pending) { return pending.request == request; });
  deadlines_.remove(request);
  waiting_.erase(it);
}

void Semaphores::advance(double now, Effects& effects) {
  if (check_at_ && *check_at_ <= now) check_leases(now, effects);
  for (RequestId request : deadlines_.take_expired(now)) {
    Semaphore& semaphore = semaphores_.at(waiting_.at(request));
    for (const Pending& pending : semaphore.pending)
      if (pending.request == request) waited(semaphore, now - pending.since);
    abandon(request);
    effects.answer(request, Value(false));
  }
}

void Semaphores::check_leases(double now, Effects& effects) {
  bool timed = false;
  for (auto& [name, semaphore] : semaphores_) {
    if (!semaphore.lease_timeout) continue;
    const std::size_t taken_back =
        std::erase_if(semaphore.leases, [&](const auto& lease) { return now - lease.second > *semaphore.lease_timeout; });
    if (taken_back > 0) {
      semaphore.release_total += taken_back;
      effects.warnings.push_back(std::to_string(taken_back) + " lease(s) of " + semaphore.text +
                                 " timed out: their holders did not refresh them");
      grant_pending(semaphore, now, effects);
    }
    timed = timed || !semaphore.leases.empty();
  }
  check_at_ = timed ? Deadline(now + validation_interval_s_) : Deadline();
}

}  // namespace dask::scheduler
