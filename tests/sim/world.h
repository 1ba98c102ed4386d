// What a simulated run is about: the tasks that exist, what they give, and how much goes wrong. All of it follows from the seed.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/key.h"
#include "random.h"
#include "scheduler/state/state.h"
#include "timeline.h"

namespace dask::sim {

using TaskIx = std::uint32_t;

struct TaskInfo {
  Key key;
  std::string name;
  std::vector<TaskIx> dependencies;
  std::uint64_t value = 0;  // what a sequential evaluation gives
  std::int64_t nbytes = 0;
  bool data = false;  // not computed: a client brings it
  bool actor = false;
  bool data_producer = false;
  bool errs = false;       // always
  int errs_first = 0;      // so many runs fail, the next one succeeds
  double secedes = 0;      // chance to become long-running
  double reschedules = 0;  // chance to give itself back
  scheduler::AnnotationsPtr annotations;
  std::vector<bool> ancestors;  // by TaskIx, itself included
};

struct World {
  explicit World(std::uint64_t seed);

  std::uint64_t seed;
  Random random;
  scheduler::Settings settings;
  std::vector<TaskInfo> tasks;
  std::unordered_map<std::string, TaskIx> by_key;  // msgpack -> task

  int n_workers = 1;
  std::vector<std::int64_t> nthreads;
  std::vector<bool> native;  // which workers take native tasks; the first one always
  int n_clients = 1;
  Time chaos = 5 * kSecond;  // so long things go wrong
  Time delay_max = 5 * kMillisecond;
  Time run_max = 50 * kMillisecond;
  double kills_per_s = 0;
  double pauses_per_s = 0;
  double retirements_per_s = 0;
  double client_ops_per_s = 4;
  double client_leaves = 0;  // chance per operation
  double graph_rejected = 0;
  double specs_fail = 0;
  double busy_peer = 0;
  bool stealing = false;
  bool reviewing_replicas = false;
  bool kills_happen() const { return kills_per_s > 0 || retirements_per_s > 0; }

  Time delay() { return random.between(10, delay_max); }
  TaskIx index(const Key& key) const { return by_key.at(std::string(key.msgpack())); }
};

}  // namespace dask::sim
