// Shuffles: what the scheduler keeps of P2P shuffles, in which workers exchange the data themselves. A shuffle is known by its
// barrier task; each attempt is a run with a number of its own, and every output partition has a worker for the whole run.
// When a worker that takes part leaves, the run is over and the shuffle starts again; workers with a stale run are refused.
// Source: distributed/shuffle/_scheduler_plugin.py, ShuffleSchedulerPlugin.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/key.h"
#include "core/base/result.h"
#include "core/base/value.h"
#include "scheduler/state/state.h"

namespace dask::scheduler {

// One attempt at a shuffle.
struct ShuffleRun {
  std::int64_t run_id = 0;  // unique among all shuffles, from 1
  ShuffleSpecPtr spec;
  Key barrier;
  std::vector<std::string> workers;      // addresses that `worker_of` means
  std::vector<std::uint32_t> worker_of;  // by output partition, in the order of for_each_output
  std::set<std::string> participating;   // addresses
  bool active = true;
  bool failed = false;      // told once that a task of it has failed
  std::string archived_by;  // stimulus
  // As Dask prints it.
  std::string str() const;
};

// Calls f(indices, rank) for each output partition: its index (indices: of an array's chunk), and which of spec.n it is.
void for_each_output(const ShuffleSpec& spec, const std::function<void(const std::vector<std::int64_t>&, std::int64_t)>& f);

// What is to be done after the extension was told something, in this order.
struct ShuffleEffects {
  struct Fail {
    std::string worker;
    std::string shuffle;
    std::int64_t run_id = 0;
    std::string text;
  };
  std::vector<Fail> fails;     // "shuffle-fail" to workers
  std::vector<Key> ended;      // barriers: ShuffleEnded
  std::vector<Key> restarted;  // barriers: ShuffleRestarted
  std::vector<Value> events;   // for the topic "p2p"
  std::vector<std::string> log;
};

class Shuffles {
 public:
  // ---- what workers ask; they take part from then on. Errors are P2PConsistencyErrors, kUnsupported an unknown kind ----
  Result<const ShuffleRun*> get(const std::string& shuffle, const std::string& worker, const State& state);
  // For the first task of a shuffle: chooses the workers of its outputs.
  Result<const ShuffleRun*> get_or_create(const std::string& shuffle, const Key& task, const std::string& worker, const State& state,
                                          ShuffleEffects& effects);
  // Whether the run is the one at work.
  Result<void> check_run(const std::string& shuffle, std::int64_t run_id) const;
  const ShuffleRun* active(const std::string& shuffle) const;

  // ---- what happens to the shuffles' tasks ----
  void barrier_stopped(const Task& barrier, TaskState state, const std::string& stimulus_id, ShuffleEffects& effects);
  void task_erred(const Task& barrier, const std::string& stimulus_id, ShuffleEffects& effects);
  // The workers saw inputs of different runs.
  void restart(const std::string& shuffle, const std::string& stimulus_id, ShuffleEffects& effects);

  // ---- what happens to workers ----
  // After their tasks were released, for the same stimulus.
  void worker_left(const std::string& worker, const std::string& stimulus_id, ShuffleEffects& effects);
  // data: {shuffle: {"disk": …, "comm": …, "start": …}}
  void heartbeat(const std::string& worker, const Value& data);
  // Workers that hold parts of shuffles: they are not chosen when the cluster shrinks.
  std::set<std::string> participating() const;

  std::size_t active_count() const;
  const std::map<std::string, std::map<std::string, Value>>& heartbeats() const { return heartbeats_; }  // shuffle -> worker -> data
  void clear();

 private:
  Result<ShuffleRun> create(const std::string& shuffle, const Task& barrier, const State& state);
  void end(ShuffleRun& run, std::string text, const std::string& stimulus_id, ShuffleEffects& effects);

  std::map<std::string, ShuffleRun> runs_;  // the latest of each shuffle whose barrier is not forgotten
  std::map<std::string, std::map<std::string, Value>> heartbeats_;
  std::int64_t last_run_id_ = 0;
  std::size_t shift_ = 0;  // shuffles so far: each starts with another worker, so that many small ones use all
};

}  // namespace dask::scheduler
