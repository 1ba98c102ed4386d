// A model of a Dask scheduler with its workers, as far as an operator can do harm: who is registered, which results exist only on one
// worker, what runs. It retires workers as the stock scheduler does (active_memory_manager.py, RetireWorker): it moves what only a worker
// has, drops what another registered worker has, too, be that one leaving or not, gives up when nobody can take it, and takes its time.
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
  Time registered = 0;   // or let work again after it had been retiring
  bool seen = false;     // by a poll
  bool drained = false;  // the operator has deleted it as such
};

// Who holds a result, and how it came to be that only one does.
struct ResultModel {
  std::set<std::string> holders;
  Time alone_since = 0;       // when another holder vanished
  bool alone_unseen = false;  // that holder came and went between two polls
  bool alone_by_us = false;   // that holder was deleted as drained
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
  // The number of results that go with this worker, as all other holders are deleted as drained or have gone. Not those whose other holder
  // was lost by an accident of which the poll `polled` could not tell.
  int results_lost_with(const std::string& address, Time polled) const;
  // The operator deletes this pod as drained; what it asked last, it asked at `polled`.
  void drain(const std::string& pod, Time polled);

  // What a poll is answered.
  kube::SchedulerView describe();
  // Moves what only these hold; `answer` is called once with those that are empty.
  void retire(const std::vector<std::string>& addresses, std::function<void(std::set<std::string>)> answer);

 private:
  std::vector<std::string> running() const;
  // Whether nothing is left that only this worker has.
  bool empty_out(const std::string& address);

  Timeline& timeline_;
  Random& random_;
  bool runs_ = false;
  bool cut_ = false;
  Time last_unreachable_ = 0;
  int life_ = 0;
  int ports_ = 0;
  std::map<std::string, WorkerProcess> workers_;  // by address
  std::map<int, ResultModel> results_;
  int keys_ = 0;
};

}  // namespace dask::sim_operator
