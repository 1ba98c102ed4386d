// The invariants of a worker's state, checked over everything. Dask's WorkerState.validate_state and _validate_task_*.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "worker/state/state.h"

namespace dask::worker {
namespace {

using S = TaskState;

bool is_in(S state, std::initializer_list<S> states) { return std::find(states.begin(), states.end(), state) != states.end(); }

}  // namespace

#define DASK_REQUIRE(condition) \
  if (!(condition)) return "not true: " #condition

// One task by itself. Empty: sound.
std::string State::validate_task(const Task& ts) const {
  const S s = ts.previous == S::kReleased ? ts.state : ts.previous;  // what a thread or a transfer is at
  const bool executing = s == S::kExecuting, long_running = s == S::kLongRunning, flight = s == S::kFlight;
  DASK_REQUIRE(find(ts.key) == &ts);
  DASK_REQUIRE(ts.recommendation == std::numeric_limits<std::uint32_t>::max());
  DASK_REQUIRE(ts.state != S::kForgotten && ts.state != S::kRescheduled);
  DASK_REQUIRE((ts.previous != S::kReleased) == is_in(ts.state, {S::kCancelled, S::kResumed}));
  DASK_REQUIRE((ts.next != S::kReleased) == (ts.state == S::kResumed));
  if (ts.state == S::kCancelled) DASK_REQUIRE(executing || long_running || flight);
  if (ts.state == S::kResumed) DASK_REQUIRE(flight ? ts.next == S::kWaiting : ts.next == S::kFetch);

  DASK_REQUIRE((executing_.count(const_cast<Task*>(&ts)) != 0) == executing);
  DASK_REQUIRE((long_running_.count(const_cast<Task*>(&ts)) != 0) == long_running);
  DASK_REQUIRE((in_flight_tasks_.count(const_cast<Task*>(&ts)) != 0) == flight);
  DASK_REQUIRE((waiting_.count(const_cast<Task*>(&ts)) != 0) == (ts.state == S::kWaiting));
  DASK_REQUIRE((missing_dep_flight_.count(const_cast<Task*>(&ts)) != 0) == (ts.state == S::kMissing));
  DASK_REQUIRE(ready_.contains(&ts) == (ts.state == S::kReady));
  DASK_REQUIRE(constrained_.contains(&ts) == (ts.state == S::kConstrained));
  DASK_REQUIRE(ts.holds_data == (ts.state == S::kMemory));
  DASK_REQUIRE((ts.coming_from != nullptr) == flight);

  for (const Peer* holder : ts.who_has) {
    DASK_REQUIRE(holder->address != settings_.address);
    DASK_REQUIRE(holder->has_what.count(const_cast<Task*>(&ts)) != 0);
    DASK_REQUIRE(holder->data_needed.contains(&ts) == (ts.state == S::kFetch));
  }
  for (const Task* dependency : ts.dependencies) {
    DASK_REQUIRE(find(dependency->key) == dependency);
    DASK_REQUIRE(dependency->dependents.count(const_cast<Task*>(&ts)) != 0);
  }
  for (const Task* dependent : ts.dependents) {
    DASK_REQUIRE(find(dependent->key) == dependent);
    DASK_REQUIRE(dependent->dependencies.count(const_cast<Task*>(&ts)) != 0);
    if (ts.state != S::kMemory) DASK_REQUIRE(!is_in(dependent->state, {S::kReady, S::kConstrained}));
  }
  for (const Task* awaited : ts.waiting_for_data) {
    DASK_REQUIRE(ts.dependencies.count(const_cast<Task*>(awaited)) != 0);
    DASK_REQUIRE(awaited->waiters.count(const_cast<Task*>(&ts)) != 0);
    DASK_REQUIRE(is_in(awaited->state, {S::kConstrained, S::kExecuting, S::kFetch, S::kFlight, S::kLongRunning, S::kMissing, S::kReady,
                                        S::kResumed, S::kWaiting}));
  }

  switch (ts.state) {
    case S::kMemory: DASK_REQUIRE(ts.nbytes >= 0 && ts.waiting_for_data.empty()); break;
    case S::kWaiting:
      DASK_REQUIRE(!ts.done && !ts.waiting_for_data.empty());
      for (Task* dependency : ts.dependencies)
        DASK_REQUIRE((ts.waiting_for_data.count(dependency) != 0) == (dependency->state != S::kMemory));
      break;
    case S::kReady:
    case S::kConstrained:
      DASK_REQUIRE(!ts.done && ts.waiting_for_data.empty());
      DASK_REQUIRE(ts.resource_restrictions.empty() == (ts.state == S::kReady));
      for (const Task* dependency : ts.dependencies) DASK_REQUIRE(dependency->state == S::kMemory);
      break;
    case S::kFetch: DASK_REQUIRE(!ts.done && !ts.who_has.empty()); break;
    case S::kMissing: DASK_REQUIRE(!ts.done && ts.who_has.empty()); break;
    case S::kReleased:
      DASK_REQUIRE(!ts.done && !ts.failure && ts.waiting_for_data.empty());
      DASK_REQUIRE(!ts.dependents.empty());
      break;
    case S::kError: DASK_REQUIRE(ts.failure != nullptr); break;
    default: break;
  }
  if (executing || long_running) DASK_REQUIRE(!ts.done && ts.waiting_for_data.empty());
  if (flight) {
    DASK_REQUIRE(!ts.done && ts.coming_from->in_flight);
    const std::vector<Key>& keys = ts.coming_from->in_flight_keys;
    DASK_REQUIRE(std::find(keys.begin(), keys.end(), ts.key) != keys.end());
  }
  return {};
}

// The collections, the sums and the counts.
std::string State::validate_sets() const {
  for (const TaskSet* set : {&waiting_, &executing_, &long_running_, &missing_dep_flight_, &in_flight_tasks_})
    for (const Task* ts : *set) DASK_REQUIRE(find(ts->key) == ts);
  DASK_REQUIRE(ready_.size() == count(S::kReady) && constrained_.size() == count(S::kConstrained));
  DASK_REQUIRE(fetch_count_ == count(S::kFetch));

  std::array<std::size_t, kTaskStates> counts{};
  std::int64_t in_memory = 0;
  std::map<std::string, double> in_use;
  for (const auto& [key, ts] : tasks_) {
    ++counts[static_cast<std::size_t>(ts->state)];
    if (ts->state == S::kMemory) in_memory += ts->nbytes;
    if (ts->is_running())
      for (const auto& [name, needed] : ts->resource_restrictions) in_use[name] += needed;
  }
  DASK_REQUIRE(counts == counts_);
  DASK_REQUIRE(in_memory == nbytes_);
  for (const auto& [name, available] : available_resources_) {
    auto total = total_resources_.find(name);
    DASK_REQUIRE(total != total_resources_.end());
    DASK_REQUIRE(std::abs(total->second - available - in_use[name]) < 1e-6);
  }

  std::size_t transfers = 0, needed_peers = 0;
  std::int64_t incoming = 0;
  for (const auto& [address, peer] : peers_) {
    DASK_REQUIRE(peer->address == address);
    for (const Task* ts : peer->has_what) {
      DASK_REQUIRE(find(ts->key) == ts);
      DASK_REQUIRE(ts->who_has.count(peer.get()) != 0);
    }
    for (const Task* ts : peer->data_needed.sorted()) DASK_REQUIRE(find(ts->key) == ts && ts->state == S::kFetch);
    DASK_REQUIRE((needed_peers_.count(peer.get()) != 0) == !peer->data_needed.empty());
    DASK_REQUIRE(peer->in_flight || (peer->in_flight_keys.empty() && peer->in_flight_nbytes == 0));
    DASK_REQUIRE(peer->in_flight || peer->busy || !peer->has_what.empty());
    needed_peers += peer->data_needed.empty() ? 0 : 1;
    transfers += peer->in_flight ? 1 : 0;
    incoming += peer->in_flight_nbytes;
  }
  DASK_REQUIRE(needed_peers_.size() == needed_peers);
  DASK_REQUIRE(transfers_ == transfers);
  DASK_REQUIRE(transfer_incoming_bytes_ == incoming);
  return {};
}

std::string State::validate() const {
  for (const Task* ts : tasks())
    if (std::string wrong = validate_task(*ts); !wrong.empty())
      return fmt::format("Task {} in state {}: {}\n{}", ts->key.repr(), name_of(ts->state), wrong, story_text(ts->key));
  return validate_sets();
}

#undef DASK_REQUIRE

}  // namespace dask::worker
