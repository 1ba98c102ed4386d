// A model of a Dask scheduler with its workers, as far as an operator can do harm: who is registered, which results exist only on one
// worker, what runs. It retires workers as the stock scheduler does: it moves data, gives up when nobody can take it, takes its time.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "operator/plan/observed.h"
#include "tests/sim/random.h"
#include "tests/sim/timeline.h"

namespace dask::sim_operator {

using sim::Random;
using sim::Time;
using sim::Timeline;

struct WorkerProcess {
  std::string address;
  std::string name;
  std::string pod;
  std::string status = "running";
  int processing = 0;
  Time registered = 0;  // or let work again after it had been retiring
};

class SchedulerModel {
 public:
  SchedulerModel(Timeline& timeline, Random& random) : timeline_(timeline), random_(random) {}

  // A pod of the scheduler has started or gone. A new process knows nothing.
  void start();
  void stop();
  bool runs() const { return runs_; }

  // A partition between it and the operator; workers are not touched.
  void set_partition(bool cut);
  bool reachable() const { return runs_ && !cut_; }
  // The last time when it could not be reached; it may be now.
  Time last_unreachable() const { return reachable() ? last_unreachable_ : timeline_.now(); }

  void register_worker(const std::string& name, const std::string& pod, const std::string& ip);
  void remove_pod(const std::string& pod);
  bool knows_pod(const std::string& pod) const;
  const std::map<std::string, WorkerProcess>& workers() const { return workers_; }

  // A client submits one task.
  void submit();
  // The number of results that exist only on this worker.
  int unique_results(const std::string& address) const;

  // What a poll is answered.
  void describe(kube::SchedulerView& view) const;
  // Moves what only these hold; `answer` is called once with those that are empty.
  void retire(const std::vector<std::string>& addresses, std::function<void(std::set<std::string>)> answer);

 private:
  std::vector<std::string> running() const;

  Timeline& timeline_;
  Random& random_;
  bool runs_ = false;
  bool cut_ = false;
  Time last_unreachable_ = 0;
  int life_ = 0;
  int ports_ = 0;
  std::map<std::string, WorkerProcess> workers_;  // by address
  std::map<int, std::set<std::string>> results_;  // key -> holders
  int keys_ = 0;
};

}  // namespace dask::sim_operator
