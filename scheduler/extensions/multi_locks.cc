#include "scheduler/extensions/multi_locks.h"

#include <algorithm>
#include <set>

namespace dask::scheduler {

void MultiLocks::acquire(RequestId request, const std::vector<Key>& locks, const Key& user_key, std::int64_t num_locks, double now,
                         Deadline deadline, Effects& effects) {
  std::vector<Name> names;
  for (const Key& lock : locks)
    if (Name name = name_of(lock); std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  if (names.empty() || num_locks <= 0 || num_locks > static_cast<std::int64_t>(locks.size()))
    return effects.raise(request, "builtins.ValueError",
                         "MultiLock: num_locks must be from 1 to the number of names; got num_locks=" + std::to_string(num_locks) +
                             " for " + std::to_string(locks.size()) + " names");
  num_locks = std::min(num_locks, static_cast<std::int64_t>(names.size()));
  const Name user = name_of(user_key);
  if (users_.contains(user))
    return effects.raise(request, "builtins.RuntimeError",
                         "MultiLock " + user_key.str() + " is acquired already, or is waiting for its locks; release it first");

  // The shortest lines first, so that as many as possible are got at once.
  const auto length = [&](const Name& name) {
    auto it = lines_.find(name);
    return it == lines_.end() ? std::size_t{0} : it->second.size();
  };
  std::stable_sort(names.begin(), names.end(), [&](const Name& a, const Name& b) { return length(a) < length(b); });
  User& state = users_[user];
  state.needed = num_locks;
  for (const Name& name : names) {
    std::deque<Name>& line = lines_[name];
    line.push_back(user);
    state.locks.push_back(name);
    if (line.size() == 1 && --state.needed == 0) return effects.answer(request, Value(true));
  }
  if (deadline && *deadline <= now) {
    leave_all(user, effects);
    return effects.answer(request, Value(false));
  }
  state.waiting = request;
  waiting_[request] = user;
  deadlines_.add(request, deadline);
}

void MultiLocks::leave(const Name& lock, const Name& user, std::vector<Name>& fronts) {
  auto line = lines_.find(lock);
  if (line == lines_.end()) return;
  const bool held = !line->second.empty() && line->second.front() == user;
  std::erase(line->second, user);
  if (line->second.empty())
    lines_.erase(line);
  else if (held)
    fronts.push_back(line->second.front());
}

void MultiLocks::leave_all(const Name& user, Effects& effects) {
  auto it = users_.find(user);
  if (it == users_.end()) return;
  const User gone = std::move(it->second);
  users_.erase(it);
  if (gone.waiting) {
    waiting_.erase(*gone.waiting);
    deadlines_.remove(*gone.waiting);
  }
  std::vector<Name> fronts;
  for (const Name& lock : gone.locks) leave(lock, user, fronts);
  came_to_front(std::move(fronts), effects);
}

void MultiLocks::keep_held(const Name& user) {
  User& state = users_.at(user);
  std::vector<Name> nobody;  // who waits in a line does not hold it, so nobody comes to the front
  std::erase_if(state.locks, [&](const Name& lock) {
    if (lines_.at(lock).front() == user) return false;
    leave(lock, user, nobody);
    return true;
  });
}

void MultiLocks::came_to_front(std::vector<Name> fronts, Effects& effects) {
  for (const Name& name : fronts) {
    User& user = users_.at(name);
    if (!user.waiting || --user.needed > 0) continue;
    const RequestId request = *user.waiting;
    user.waiting.reset();
    waiting_.erase(request);
    deadlines_.remove(request);
    effects.answer(request, Value(true));
  }
  // Several lines may have given one user more than it needed: what it holds beyond that it keeps, as in Dask.
  for (const Name& name : std::set<Name>(fronts.begin(), fronts.end()))
    if (const User& user = users_.at(name); !user.waiting) keep_held(name);
}

void MultiLocks::release(RequestId request, const Key& user, Effects& effects) {
  const Name name = name_of(user);
  const auto it = users_.find(name);
  if (it == users_.end()) return effects.raise(request, "builtins.KeyError", user.str());
  if (it->second.waiting) effects.answer(*it->second.waiting, Value(false));
  leave_all(name, effects);
  effects.answer(request, Value());
}

void MultiLocks::abandon(RequestId request, Effects& effects) {
  const auto it = waiting_.find(request);
  if (it != waiting_.end()) leave_all(Name(it->second), effects);
}

void MultiLocks::advance(double now, Effects& effects) {
  for (RequestId request : deadlines_.take_expired(now)) {
    // An earlier one's time-out may have given this one its locks; then its answer is there already.
    const auto it = waiting_.find(request);
    if (it == waiting_.end()) continue;
    leave_all(Name(it->second), effects);
    effects.answer(request, Value(false));
  }
}

}  // namespace dask::scheduler
