// State: everything the scheduler knows, and the small steps that keep it consistent (counts, back references, indexes).
// It decides nothing: transitions are in scheduler/machine, placement in scheduler/policy. Dask's SchedulerState without
// its transitions (distributed/scheduler.py).
//
// Invariants (validate.cc checks them):
//  1. An edge and its mate name each other; `waiting_on`, `waiters` count the flags of their task's edges.
//  2. who_has/has_what, who_wants/wants_what, processing_on/processing are mirrors of each other by position.
//  3. A task is in `tasks_` exactly while its state is not forgotten; forgotten slots live until reap(), so that the actions
//     of the event that forgot them can still name them.
//  4. Per worker nbytes, task_prefix_count and network_occ are sums over its tasks.
// Thread ownership: the loop's thread. No clock, no I/O.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/check.h"
#include "scheduler/state/key_index.h"
#include "scheduler/state/task.h"
#include "scheduler/state/worker.h"

namespace dask::scheduler {

// The part of Dask's configuration that the scheduler's core reads; names as in distributed.yaml.
struct Settings {
  int allowed_failures = 3;
  double bandwidth = 100e6;        // bytes/s, until workers report
  double worker_saturation = 1.1;  // infinity: no queuing
  double unknown_task_duration_s = 0.5;
  // The window of a native worker: how much root-ish native work may be on its way there or wait there, per thread. It bounds time and
  // memory instead of the number of tasks, so that tiny tasks travel in large batches. Three named limits, whichever is met first.
  double native_window_s = 0.02;
  std::int64_t native_window_tasks = 1000;
  std::int64_t native_window_bytes = 64 << 20;             // of expected results
  std::map<std::string, double> default_task_durations_s;  // by prefix
  std::int64_t default_data_size = 1024;                   // bytes of a result whose size is unknown
  std::size_t transition_log_length = 1000;
  std::size_t rootish_group_dependencies_max = 5;
  std::int64_t rootish_dependencies_size_max = 5;
  double memory_recent_to_old_s = 30;
  bool memory_terminate = true;  // workers end at their memory limit
  std::optional<double> no_workers_timeout_s;
};

// One line of a task's story.
struct TransitionRecord {
  std::string key;  // msgpack
  TaskState start = TaskState::kReleased;
  TaskState finish = TaskState::kReleased;
  std::string stimulus_id;
  double time = 0;
};

class State {
 public:
  explicit State(Settings settings);

  const Settings& settings() const { return settings_; }

  // ---- tasks ----
  // The live task with this key (msgpack); null when unknown.
  Task* find(std::string_view key);
  const Task* find(std::string_view key) const { return const_cast<State*>(this)->find(key); }
  Task& task(std::uint32_t slot) { return chunks_[slot >> kChunkBits][slot & kChunkMask]; }
  const Task& task(std::uint32_t slot) const { return chunks_[slot >> kChunkBits][slot & kChunkMask]; }
  static TaskId id_of(const Task& ts) { return TaskId{ts.slot, ts.generation}; }
  // The task of an id, or null when its slot has gone to another task.
  Task* get(TaskId id);
  const Task* get(TaskId id) const { return const_cast<State*>(this)->get(id); }
  std::size_t task_count() const { return index_.size(); }
  // Calls f(Task&) for every live task, in order of slots.
  template <class F>
  void for_each_task(F&& f) {
    for (std::uint32_t slot = 0; slot < slots_used_; ++slot)
      if (Task& ts = task(slot); ts.alive && ts.state != TaskState::kForgotten) f(ts);
  }
  template <class F>
  void for_each_task(F&& f) const {
    const_cast<State*>(this)->for_each_task([&](Task& ts) { f(static_cast<const Task&>(ts)); });
  }

  // Creates the task with its group and prefix. The key must be unknown.
  Task& new_task(const Key& key, TaskState state);
  // Takes a task out of the index and its counts; the slot is reused after the next reap(). Its links must be gone.
  void forget(Task& ts);
  // Frees the slots that were forgotten; ids of them are stale from now on.
  void reap();

  void set_state(Task& ts, TaskState state);
  void set_nbytes(Task& ts, std::int64_t nbytes);
  std::int64_t nbytes_of(const Task& ts) const { return ts.nbytes >= 0 ? ts.nbytes : settings_.default_data_size; }
  TaskExtra& extra(Task& ts);
  void add_duration(Task& ts, const std::string& action, double start, double stop);
  void set_typename(Task& ts, const std::string& name);
  const std::string& typename_of(const Task& ts) const;
  const std::string& typename_at(std::uint32_t typename_id) const { return typenames_[typename_id]; }

  // ---- edges ----
  void add_dependency(Task& ts, Task& dependency);
  void remove_dependency(Task& ts, std::size_t edge);  // edge: index into ts.dependencies; swaps the last into its place
  void set_waiting_on(Task& ts, Edge& dependency, bool waits);
  void set_waiter(Task& ts, Edge& dependent, bool waits);
  // The flag on dependency `edge`'s other end: that ts is one of the dependency's waiters.
  Edge& mate_of_dependency(const Edge& edge) { return task(edge.task).dependents[edge.mate]; }
  Edge& mate_of_dependent(const Edge& edge) { return task(edge.task).dependencies[edge.mate]; }
  void clear_waiters(Task& ts);
  void clear_waiting_on(Task& ts);

  // ---- clients ----
  Client& add_client(const std::string& name, bool connected);
  Client* find_client(std::string_view name);
  const Client* find_client(std::string_view name) const { return const_cast<State*>(this)->find_client(name); }
  Client& client(ClientId id) { return *clients_[id.value]; }
  const Client& client(ClientId id) const { return *clients_[id.value]; }
  bool has_client(ClientId id) const { return id.value < clients_.size() && clients_[id.value]; }
  void remove_client(ClientId id);  // it must want nothing any more
  const std::map<std::string, ClientId, std::less<>>& clients() const { return client_names_; }
  bool wants(const Task& ts, ClientId id) const;
  void add_want(Task& ts, ClientId id);
  bool remove_want(Task& ts, ClientId id);  // false: it was not wanted

  // ---- workers ----
  Worker& add_worker(Worker worker);  // address and name must be free
  void remove_worker(Worker& ws);     // from all indexes; replicas and processing tasks are the machine's part
  Worker& worker(WorkerId id) { return *workers_[id.value]; }
  const Worker& worker(WorkerId id) const { return *workers_[id.value]; }
  Worker* find_worker(std::string_view address);
  const Worker* find_worker(std::string_view address) const { return const_cast<State*>(this)->find_worker(address); }
  // Address, name or (via an alias) any of Dask's ways to name a worker.
  Worker* find_worker_by_name(const Value& name);
  // Address -> id, sorted by address.
  const std::map<std::string, WorkerId, std::less<>>& workers() const { return addresses_; }
  const std::map<std::string, std::set<WorkerId>, std::less<>>& hosts() const { return hosts_; }
  const std::vector<WorkerId>& idle() const { return idle_; }  // sorted by address
  const std::vector<WorkerId>& idle_task_count() const { return idle_task_count_; }
  // Native workers whose window (Settings::native_window_*) is open; none while queuing is off. Sorted by address.
  const std::vector<WorkerId>& native_window_open() const { return native_window_open_; }
  const std::set<WorkerId>& saturated() const { return saturated_; }
  const std::set<WorkerId>& running() const { return running_; }
  std::int64_t total_nthreads() const { return total_nthreads_; }
  std::int64_t total_memory() const { return total_memory_; }
  std::size_t native_workers() const { return native_workers_; }  // that take native tasks
  void set_status(Worker& ws, WorkerStatus status);
  // Recomputes membership in idle, saturated, idle_task_count, native_window_open.
  void check_idle_saturated(Worker& ws);

  bool holds(const Worker& ws, const Task& ts) const;
  void add_replica(Task& ts, Worker& ws);
  void remove_replica(Task& ts, Worker& ws);
  void remove_all_replicas(Task& ts);
  // The tasks with more than one replica, by slot.
  const std::vector<TaskId>& replicated_tasks();
  void add_to_processing(Task& ts, Worker& ws);
  void remove_from_processing(Task& ts);  // clears processing_on
  void add_to_long_running(Task& ts);
  void acquire_resources(const Task& ts, Worker& ws);
  void release_resources(const Task& ts, Worker& ws);
  // Counts one more/one less processing task of ws that will fetch `dependency`.
  void need_replica(const Task& dependency, Worker& ws);
  void unneed_replica(const Task& dependency, Worker& ws);

  // ---- estimates (seconds) ----
  double prefix_duration(const TaskPrefix& prefix) const;
  double occupancy(const Worker& ws) const;
  double total_occupancy() const;
  double bandwidth() const { return bandwidth_; }
  void set_bandwidth(double bytes_per_second) { bandwidth_ = bytes_per_second; }
  int task_slots_available(const Worker& ws) const;  // without oversaturating it; finite saturation only
  bool worker_full(const Worker& ws) const;
  // More native root-ish tasks may be sent to this native worker.
  bool native_window_open(const Worker& ws) const;
  double expected_nbytes(const TaskPrefix& prefix) const;  // of one result; default_data_size until one is known

  // ---- prefixes and groups ----
  TaskPrefix& prefix(PrefixId id) { return *prefixes_[id.value]; }
  const TaskPrefix& prefix(PrefixId id) const { return *prefixes_[id.value]; }
  const std::map<std::string, PrefixId, std::less<>>& prefixes() const { return prefix_names_; }
  TaskGroup& group(GroupId id) { return *groups_[id.value]; }
  const TaskGroup& group(GroupId id) const { return *groups_[id.value]; }
  const std::unordered_map<std::string, GroupId>& groups() const { return group_keys_; }

  // ---- queue of root-ish tasks, by priority ----
  void queue_push(Task& ts);
  void queue_remove(Task& ts);
  Task* queue_peek();
  std::size_t queue_size() const { return queue_live_; }

  // ---- tasks without a worker, in order of arrival ----
  void unrunnable_add(Task& ts, double now);
  void unrunnable_remove(Task& ts);
  struct Unrunnable {
    std::uint32_t slot;
    double since;
  };
  const std::map<std::uint64_t, Unrunnable>& unrunnable() const { return unrunnable_; }

  // ---- history ----
  void log_transition(const Task& ts, TaskState start, TaskState finish, const std::string& stimulus_id, double now);
  // Oldest first.
  std::vector<const TransitionRecord*> transition_log() const;
  std::uint64_t transition_counter = 0;
  std::uint64_t n_tasks_sent = 0;  // Dask's n_tasks: round-robin counter of placements
  std::uint64_t tasks_forgotten = 0;
  // The keys of forgotten tasks, while somebody asks for them and takes them after each event.
  bool record_forgotten = false;
  std::vector<Key> forgotten;
  std::uint64_t workers_added = 0;
  std::uint64_t workers_removed = 0;
  std::uint64_t clients_added = 0;
  std::uint64_t clients_removed = 0;

  // Empty when all invariants hold, else what is wrong. O(everything): for tests and simulation.
  std::string validate() const;

 private:
  static constexpr std::uint32_t kChunkBits = 10;
  static constexpr std::uint32_t kChunkMask = (1u << kChunkBits) - 1;

  struct QueueEntry {
    Priority priority;
    std::uint32_t slot;
    std::uint32_t ticket;
  };
  static bool later(const QueueEntry& a, const QueueEntry& b);

  GroupId group_of(const Key& key);
  void release_group(GroupId id);
  double duration_sum(const std::vector<std::pair<PrefixId, std::int64_t>>& counts) const;
  void drop_processing_count(Task& ts, Worker& ws);
  void forget_needed(TaskId dependency, Worker& ws);
  void tidy_replicated();

  Settings settings_;

  std::vector<std::unique_ptr<Task[]>> chunks_;
  std::uint32_t slots_used_ = 0;
  std::vector<std::uint32_t> free_slots_;
  std::vector<std::uint32_t> forgotten_slots_;
  KeyIndex index_;

  std::vector<std::unique_ptr<Client>> clients_;
  std::map<std::string, ClientId, std::less<>> client_names_;

  std::vector<std::unique_ptr<Worker>> workers_;
  std::map<std::string, WorkerId, std::less<>> addresses_;
  std::map<std::string, WorkerId, std::less<>> aliases_;  // repr of the name -> worker
  std::map<std::string, std::set<WorkerId>, std::less<>> hosts_;
  std::vector<WorkerId> idle_;
  std::vector<WorkerId> idle_task_count_;
  std::vector<WorkerId> native_window_open_;
  std::set<WorkerId> saturated_;
  std::set<WorkerId> running_;
  std::int64_t total_nthreads_ = 0;
  std::int64_t total_memory_ = 0;
  std::size_t native_workers_ = 0;
  double bandwidth_ = 0;
  std::vector<std::pair<PrefixId, std::int64_t>> task_prefix_count_global_;
  std::int64_t network_occ_global_ = 0;

  std::vector<std::unique_ptr<TaskPrefix>> prefixes_;
  std::map<std::string, PrefixId, std::less<>> prefix_names_;
  std::vector<std::unique_ptr<TaskGroup>> groups_;
  std::vector<std::uint32_t> free_groups_;
  std::unordered_map<std::string, GroupId> group_keys_;
  std::vector<std::string> typenames_;
  std::unordered_map<std::string, std::uint32_t> typename_ids_;

  // Tasks that had a second replica at some time, some of them more than once; tidied when it has doubled.
  std::vector<TaskId> replicated_;
  std::size_t replicated_tidy_at_ = 1024;

  std::vector<QueueEntry> queue_;  // a heap; entries whose ticket is stale are skipped
  std::size_t queue_live_ = 0;

  std::map<std::uint64_t, Unrunnable> unrunnable_;
  std::uint64_t unrunnable_ticket_ = 0;

  std::vector<TransitionRecord> transition_log_;  // a ring
  std::size_t transition_log_next_ = 0;
};

}  // namespace dask::scheduler
