// State: everything a worker knows of its tasks and peers, and the small steps that keep it consistent. It decides nothing: that is
// Machine (machine.h). Dask's WorkerState without its transitions (distributed/worker_state_machine.py).
//
// Invariants (validate.cc checks them): a task in state fetch is in data_needed of exactly its who_has; `executing` and `long_running` are
// disjoint and hold also cancelled and resumed tasks that still run; nbytes is the sum over tasks in memory; resources in use plus
// available ones are the totals. Thread ownership: the loop's thread.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/key_map.h"
#include "worker/state/story_log.h"
#include "worker/state/task.h"

namespace dask::worker {

struct Settings {
  std::string address;  // ours, as peers know it; see set_address
  std::uint32_t nthreads = 1;
  std::map<std::string, double> resources;
  // distributed.worker.connections.outgoing: transfers to us at a time, once transfer_incoming_bytes_throttle_threshold is reached
  std::int64_t transfer_incoming_count_limit = 50;
  std::int64_t transfer_incoming_bytes_throttle_threshold = 10'000'000;
  // distributed.worker.memory.transfer times the memory limit: bytes of all transfers under way; negative: no limit
  std::int64_t transfer_incoming_bytes_limit = -1;
  // distributed.worker.transfer.message-bytes-limit: bytes of one GatherDep; negative: no limit
  std::int64_t transfer_message_bytes_limit = 50'000'000;
  // Keys of one GatherDep: small values reach the limit of frames in a message long before the one of bytes.
  std::size_t transfer_message_keys_max = 50'000;
  std::int64_t default_data_size = 1000;  // distributed.scheduler.default-data-size
  // How far native tasks are started beyond nthreads while each is expected to be short, so that they travel to their threads in batches.
  // Two named limits per thread, whichever is met first. A function whose duration is not known yet is not started ahead.
  double native_ahead_seconds = 0.002;
  std::size_t native_ahead_tasks = 256;
  // Functions whose durations are remembered. What comes beyond is never started ahead, and counted in native_functions_over_limit().
  std::size_t native_functions_max = 10'000;
  std::size_t story_length_max = 1000;  // distributed.admin.low-level-log-length: records of the story
  std::uint64_t seed = 0;               // of the choice among peers that are otherwise equal
};

inline constexpr std::size_t kSpareTasksMax = 4096;  // forgotten tasks whose memory is kept

class State {
 public:
  explicit State(Settings settings);
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  const Settings& settings() const { return settings_; }
  // Our address, once it is known. Before the first event.
  void set_address(std::string address);
  // The task with this key; null when unknown. Valid until the next event.
  const Task* find(const Key& key) const;
  std::size_t n_tasks() const { return tasks_.size(); }
  // All tasks, oldest first. O(n log n): for dumps and tests.
  std::vector<const Task*> tasks() const;

  bool running() const { return running_; }
  std::size_t executing_count() const { return executing_.size(); }  // counts towards nthreads, cancelled ones too
  const TaskSet& executing() const { return executing_; }
  const TaskSet& long_running() const { return long_running_; }
  const HeapSet<Task, Priority>& ready() const { return ready_; }
  const HeapSet<Task, Priority>& constrained() const { return constrained_; }
  const TaskSet& waiting() const { return waiting_; }
  const TaskSet& missing_dep_flight() const { return missing_dep_flight_; }
  const TaskSet& in_flight_tasks() const { return in_flight_tasks_; }
  std::size_t fetch_count() const { return fetch_count_; }
  // Peers by address; those that we know nothing of any more are gone.
  const std::map<std::string, std::unique_ptr<Peer>, std::less<>>& peers() const { return peers_; }
  const std::map<std::string, double>& total_resources() const { return total_resources_; }
  const std::map<std::string, double>& available_resources() const { return available_resources_; }

  // For heartbeats and metrics.
  std::int64_t nbytes() const { return nbytes_; }  // of all tasks in memory
  std::size_t in_memory_count() const { return count(TaskState::kMemory); }
  std::size_t count(TaskState state) const { return counts_[static_cast<std::size_t>(state)]; }  // Dask's task_counts
  std::uint64_t executed_count() const { return executed_count_; }
  std::size_t transfer_incoming_count() const { return transfers_; }
  std::int64_t transfer_incoming_bytes() const { return transfer_incoming_bytes_; }
  std::uint64_t transfer_incoming_count_total() const { return transfer_incoming_count_total_; }
  std::uint64_t transition_counter() const { return transition_counter_; }
  std::size_t native_functions() const { return native_durations_.size(); }                   // whose durations are known
  std::uint64_t native_functions_over_limit() const { return native_functions_over_limit_; }  // executions that were not remembered

  // Records of the story that name one of these keys or stimulus ids, oldest first; each an array as Dask's WorkerState.story gives it.
  // `keys` and `stimuli` empty: all.
  std::vector<Value> story(const std::vector<Key>& keys, const std::vector<std::string>& stimuli = {}) const {
    return log_.story(keys, stimuli);
  }
  // The same of one key as text, a line a record.
  std::string story_text(const Key& key) const;

  // Everything, as Dask's dump_cluster_state shows it. O(everything).
  Value dump() const;

  // Empty when all invariants hold, else what is wrong, with the story of the task concerned. O(everything): for tests and simulation.
  std::string validate() const;

 protected:
  Task* find_task(const Key& key);
  Task& find_or_new_task(const Key& key);
  // Ends the life of the tasks that the last event forgot; some of their memory is kept for new ones.
  void reap_forgotten();
  void erase_task(Task& ts);
  void set_state(Task& ts, TaskState state);
  Peer& peer(const std::string& address);
  Peer* find_peer(std::string_view address);
  // Forgets peers of which nothing is known any more, at the end of an event.
  void forget_idle_peers();
  void add_holder(Task& ts, Peer& peer);
  void remove_holder(Task& ts, Peer& peer);
  // Into, and out of, what is to be fetched from this peer.
  void need(Task& ts, Peer& peer);
  void unneed(Task& ts, Peer& peer);
  bool resources_satisfied(const Task& ts) const;
  void enter_executing(Task& ts);
  bool leave_executing(Task& ts);  // false: it was not there
  // This native task may be started though all threads have something to do.
  bool may_run_ahead(const Task& ts) const;
  void note_native_duration(const std::string& function, double seconds);
  void acquire_resources(const Task& ts);
  void release_resources(const Task& ts);

  Settings settings_;
  KeyMap<std::unique_ptr<Task>> tasks_;
  std::vector<std::unique_ptr<Task>> forgotten_;  // of this event; readable until the next
  std::vector<std::unique_ptr<Task>> spare_;      // as new; at most kSpareTasksMax
  std::map<std::string, std::unique_ptr<Peer>, std::less<>> peers_;
  PeerSet needed_peers_;  // those with something in data_needed
  PeerSet maybe_idle_;    // those that lost something in this event
  bool running_ = true;
  TaskSet waiting_;
  HeapSet<Task, Priority> ready_;
  HeapSet<Task, Priority> constrained_;
  TaskSet executing_;
  std::size_t native_executing_ = 0;  // of executing_
  double native_executing_seconds_ = 0;
  std::unordered_map<std::string, double> native_durations_;  // seconds by function: moving averages
  std::uint64_t native_functions_over_limit_ = 0;
  TaskSet long_running_;
  TaskSet missing_dep_flight_;
  TaskSet in_flight_tasks_;
  std::size_t fetch_count_ = 0;
  std::size_t transfers_ = 0;
  std::int64_t transfer_incoming_bytes_ = 0;
  std::uint64_t transfer_incoming_count_total_ = 0;
  std::uint64_t executed_count_ = 0;
  std::int64_t nbytes_ = 0;
  std::map<std::string, double> total_resources_;
  std::map<std::string, double> available_resources_;
  std::array<std::size_t, kTaskStates> counts_{};
  std::uint64_t transition_counter_ = 0;
  std::uint64_t next_seq_ = 1;
  double generation_ = 0;
  std::string host_;
  StoryLog log_;

 private:
  std::string validate_task(const Task& ts) const;
  std::string validate_sets() const;
};

}  // namespace dask::worker
