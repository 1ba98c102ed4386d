// Which data to fetch from which peer, and what becomes of a transfer. Dask's WorkerState._ensure_communicating, _select_workers_for_gather
// and _gather_dep_done_common.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "worker/state/machine.h"

namespace dask::worker {
namespace {

// SplitMix64: one step of a sequence that is the same on every machine.
std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9E3779B97F4A7C15ULL);
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

}  // namespace

// ---- choosing ----

// First the peer with the task of the highest priority; then one on our host; then the one with most tasks; then any.
struct Machine::Candidate {
  Priority priority;
  std::size_t n_tasks = 0;
  std::uint64_t random = 0;
  Peer* peer = nullptr;

  // For std::push_heap, which gives the largest.
  friend bool operator<(const Candidate& a, const Candidate& b) {
    if (!(a.priority == b.priority)) return b.priority < a.priority;
    if (a.peer->same_host != b.peer->same_host) return b.peer->same_host;
    if (a.n_tasks != b.n_tasks) return a.n_tasks < b.n_tasks;
    return a.random > b.random;
  }
};

void Machine::ensure_communicating() {
  if (!running_ || needed_peers_.empty() || should_throttle_incoming_transfers()) return;
  std::vector<Candidate> heap;
  for (Peer* peer : needed_peers_)
    if (!peer->in_flight && !peer->busy)
      heap.push_back({peer->data_needed.peek_priority(), peer->data_needed.size(), next_random(random_), peer});
  std::make_heap(heap.begin(), heap.end());

  std::vector<Task*> to_gather;
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    Candidate candidate = std::move(heap.back());
    heap.pop_back();
    Peer& peer = *candidate.peer;
    if (peer.data_needed.empty()) continue;
    if (peer.data_needed.size() != candidate.n_tasks) {  // some are fetched from another peer by now
      candidate.n_tasks = peer.data_needed.size();
      candidate.priority = peer.data_needed.peek_priority();
      heap.push_back(std::move(candidate));
      std::push_heap(heap.begin(), heap.end());
      continue;
    }
    const std::int64_t message_nbytes = select_keys_for_gather(peer, to_gather);
    if (to_gather.empty()) return;

    std::vector<Key> keys;
    keys.reserve(to_gather.size());
    for (Task* ts : to_gather) {
      keys.push_back(ts->key);
      Cause cause;
      cause.worker = &peer;
      recommend(*ts, TaskState::kFlight, std::move(cause));
    }
    log_.note("gather-dependencies", peer.address, keys, *stimulus_id_, now_);
    instruct(GatherDep{peer.address, keys, message_nbytes, *stimulus_id_});
    peer.in_flight = true;
    peer.in_flight_keys = std::move(keys);
    peer.in_flight_nbytes = message_nbytes;
    ++transfers_;
    ++transfer_incoming_count_total_;
    transfer_incoming_bytes_ += message_nbytes;
    if (should_throttle_incoming_transfers()) return;
  }
}

bool Machine::should_throttle_incoming_transfers() const {
  const bool reached_count_limit = static_cast<std::int64_t>(transfers_) >= settings_.transfer_incoming_count_limit;
  const bool reached_throttle_threshold = transfer_incoming_bytes_ >= settings_.transfer_incoming_bytes_throttle_threshold;
  const bool reached_bytes_limit =
      settings_.transfer_incoming_bytes_limit >= 0 && transfer_incoming_bytes_ >= settings_.transfer_incoming_bytes_limit;
  return (reached_count_limit && reached_throttle_threshold) || reached_bytes_limit;
}

std::int64_t Machine::select_keys_for_gather(Peer& peer, std::vector<Task*>& to_gather) {
  to_gather.clear();
  std::int64_t message_nbytes = 0;
  while (Task* ts = peer.data_needed.peek()) {
    if (to_gather.size() >= settings_.transfer_message_keys_max || exceeds_transfer_limits(*ts, message_nbytes)) break;
    for (Peer* holder : ts->who_has) unneed(*ts, *holder);
    to_gather.push_back(ts);
    message_nbytes += ts->get_nbytes(settings_.default_data_size);
  }
  return message_nbytes;
}

bool Machine::exceeds_transfer_limits(const Task& ts, std::int64_t message_nbytes) const {
  // Without other traffic the task of the highest priority is fetched whatever its size.
  if (transfer_incoming_bytes_ == 0 && message_nbytes == 0) return false;
  constexpr std::int64_t kUnlimited = std::numeric_limits<std::int64_t>::max();
  std::int64_t allowance =
      settings_.transfer_incoming_bytes_limit < 0 ? kUnlimited : settings_.transfer_incoming_bytes_limit - transfer_incoming_bytes_;
  if (message_nbytes != 0) {
    if (settings_.transfer_message_bytes_limit >= 0) allowance = std::min(allowance, settings_.transfer_message_bytes_limit);
    allowance -= message_nbytes;
  }
  return ts.get_nbytes(settings_.default_data_size) > allowance;
}

// ---- what peers hold ----

void Machine::update_who_has(const Key& key, const std::vector<std::string>& workers) {
  if (Task* ts = find_task(key)) update_who_has(*ts, workers);  // else forgotten since the scheduler was asked
}

void Machine::update_who_has(Task& ts, const std::vector<std::string>& workers) {
  SmallVector<Peer*, 8> now_has;
  for (const std::string& address : workers)
    if (address != settings_.address && !address.empty()) now_has.push_back(&peer(address));
  const SmallVector<Peer*, 8> had(ts.who_has.begin(), ts.who_has.end());
  for (Peer* holder : had)
    if (std::find(now_has.begin(), now_has.end(), holder) == now_has.end()) remove_holder(ts, *holder);
  std::sort(now_has.begin(), now_has.end(), ByAge());
  for (Peer* holder : now_has) add_holder(ts, *holder);

  // Whatever else has been decided about it in this event comes first.
  if (is_recommended(ts) && !is_recommended(ts, TaskState::kFetch)) return;
  if (ts.state == TaskState::kMissing && !ts.who_has.empty()) recommend(ts, TaskState::kFetch);
  if (ts.state == TaskState::kFetch && ts.who_has.empty()) recommend(ts, TaskState::kMissing);
}

void Machine::lose_peer(Peer& peer) {
  for (Task* ts : peer.data_needed.sorted())
    if (ts->who_has.size() == 1) recommend(*ts, TaskState::kMissing);
  while (!peer.has_what.empty()) remove_holder(**peer.has_what.begin(), peer);
  maybe_idle_.insert(&peer);
}

void Machine::on(RemoveWorker& e) {
  if (Peer* peer = find_peer(e.worker)) lose_peer(*peer);
}

void Machine::on(RefreshWhoHas& e) {
  for (const WhoHas& entry : e.who_has) update_who_has(entry.key, entry.workers);
}

void Machine::on(FindMissing&) {
  if (missing_dep_flight_.empty()) return;
  RequestRefreshWhoHasMsg msg{{}, *stimulus_id_};
  for (const Task* ts : missing_dep_flight_) msg.keys.push_back(ts->key);
  instruct(std::move(msg));
}

void Machine::on(RetryBusyWorker& e) {
  Peer* peer = find_peer(e.worker);
  if (!peer) return;
  peer->busy = false;
  maybe_idle_.insert(peer);
}

// ---- the end of a transfer ----

Peer* Machine::gather_dep_done(const std::string& worker, std::vector<Task*>& tasks) {
  Peer* peer = find_peer(worker);
  if (!peer || !peer->in_flight) {
    warn(fmt::format("A transfer from {} ended that was never asked for", worker));
    return nullptr;
  }
  for (const Key& key : peer->in_flight_keys) {
    Task* ts = find_task(key);
    if (!ts || ts->coming_from != peer) continue;  // it has been scattered to us meanwhile, perhaps even forgotten
    ts->done = true;
    ts->coming_from = nullptr;
    in_flight_tasks_.erase(ts);
    tasks.push_back(ts);
  }
  // The last one is taken first from the stack of recommendations: let it be the one with the highest priority.
  const auto lower_last = [](const Task* a, const Task* b) { return b->priority < a->priority; };
  if (!std::is_sorted(tasks.begin(), tasks.end(), lower_last)) std::stable_sort(tasks.begin(), tasks.end(), lower_last);
  transfer_incoming_bytes_ -= peer->in_flight_nbytes;
  --transfers_;
  peer->in_flight = false;
  peer->in_flight_keys.clear();
  peer->in_flight_nbytes = 0;
  maybe_idle_.insert(peer);
  return peer;
}

void Machine::drop_stray(const Key& key) {
  const Task* ts = find(key);
  if (!ts || !ts->holds_data) instruct(DropData{key});
}

void Machine::on(GatherDepSuccess& e) {
  std::vector<Task*> tasks;
  Peer* peer = gather_dep_done(e.worker, tasks);
  for (const StoredValue& value : e.data)
    if (Task* ts = find_task(value.key)) ts->arrived = &value;
  std::unordered_map<Key, FailurePtr> failed;
  for (auto& [key, failure] : e.failed) failed.emplace(key, failure);
  if (!e.data.empty() && peer) {
    std::vector<Key> keys;
    for (const StoredValue& value : e.data) keys.push_back(value.key);
    log_.note("receive-dep", e.worker, keys, *stimulus_id_, now_);
  }
  // The transfer is shown with one task: one that needs the data, else what was fetched last.
  if (e.stop > 0 && !tasks.empty()) {
    Task* cause = tasks.back();
    for (Task* ts : tasks)
      if (!ts->dependents.empty()) {
        cause = *ts->dependents.begin();
        break;
      }
    cause->startstops.push_back({"transfer", e.start, e.stop});
  }

  std::size_t taken = 0;
  for (Task* ts : tasks) {
    Cause cause;
    cause.run_id = ts->run_id;
    if (const StoredValue* value = std::exchange(ts->arrived, nullptr)) {
      ++taken;
      ts->holds_data = true;
      cause.value = value;
      recommend(*ts, TaskState::kMemory, std::move(cause));
    } else if (auto failure = failed.find(ts->key); failure != failed.end()) {
      cause.failure = failure->second;
      recommend(*ts, TaskState::kError, std::move(cause));
    } else {
      note(*ts, "missing-dep");
      remove_holder(*ts, *peer);
      recommend(*ts, TaskState::kFetch);
    }
  }
  if (taken == e.data.size()) return;
  for (const StoredValue& value : e.data) {
    if (Task* ts = find_task(value.key)) ts->arrived = nullptr;
    drop_stray(value.key);
  }
}

void Machine::on(GatherDepBusy& e) {
  std::vector<Task*> tasks;
  Peer* peer = gather_dep_done(e.worker, tasks);
  if (!peer) return;
  peer->busy = true;
  instruct(RetryBusyWorkerLater{e.worker});
  RequestRefreshWhoHasMsg refresh{{}, *stimulus_id_};
  for (Task* ts : tasks) {
    recommend(*ts, TaskState::kFetch);
    if (std::all_of(ts->who_has.begin(), ts->who_has.end(), [](const Peer* holder) { return holder->busy; }))
      refresh.keys.push_back(ts->key);
  }
  // All that are known to hold these are busy: the scheduler may know others.
  if (!refresh.keys.empty()) instruct(std::move(refresh));
}

void Machine::on(GatherDepNetworkFailure& e) {
  std::vector<Task*> tasks;
  Peer* peer = gather_dep_done(e.worker, tasks);
  if (!peer) return;
  log_.note(
      "gather-dep-failed", e.worker,
      [&] {
        std::vector<Key> keys;
        for (const Task* ts : tasks) keys.push_back(ts->key);
        return keys;
      }(),
      *stimulus_id_, now_);
  for (Task* ts : tasks) {
    note(*ts, "missing-dep");
    recommend(*ts, TaskState::kFetch);
  }
  lose_peer(*peer);
}

void Machine::on(GatherDepFailure& e) {
  std::vector<Task*> tasks;
  if (!gather_dep_done(e.worker, tasks)) return;
  for (Task* ts : tasks) {
    Cause cause;
    cause.run_id = ts->run_id;
    cause.failure = e.failure;
    recommend(*ts, TaskState::kError, std::move(cause));
  }
}

}  // namespace dask::worker
