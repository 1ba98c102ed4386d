// A cluster of Kubernetes with the operator in it, in one thread, from a seed: users, faults, and what must hold whatever happens.
#pragma once

#include <fmt/format.h>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "operator_process.h"

namespace dask::sim_operator {

struct Outcome {
  std::string failure;  // empty: all is well
  std::deque<std::string> log;
  std::uint64_t plans = 0;
  std::uint64_t writes = 0;
  std::uint64_t drained = 0;  // workers that left by a drain
  std::uint64_t excused = 0;  // workers that left with results, as they may: the scheduler was out of reach, nobody remained
  std::string end;            // equal for equal seeds
};

class Simulation {
 public:
  Simulation(std::uint64_t seed, std::size_t log_lines, bool print);
  Outcome run();

 private:
  // ---- users and faults (simulation.cc) ----
  void act();
  void break_something();
  void calm_down();
  void note_wanted(const std::string& group);
  void check_write(const std::string& cluster, const Action& action, Time polled);
  void note_write(const std::string& cluster, const Action& action, const Answer& answer);
  void check_worker_count(const ObjectRef& object);
  // What is not yet as it should be; empty when all is.
  std::string unsettled() const;
  std::string unsettled_group(const Value& group) const;
  void fail(std::string why);
  void log(std::string line);
  void every(Time from, Time to, std::function<void()> what);

  // ---- kubelets, controllers, workers (kubernetes.cc) ----
  void run_controllers();
  void run_kubelet();
  void run_deployment(const std::string& name);
  void register_workers();
  SchedulerModel* scheduler_of(const std::string& cluster);

  Timeline timeline_;
  Random random_;
  ApiServer api_{"ns"};
  Faults faults_;
  std::unique_ptr<OperatorProcess> operator_;
  std::map<std::string, std::unique_ptr<SchedulerModel>> schedulers_;        // by cluster
  std::map<std::string, std::string> scheduler_pods_;                        // cluster -> the pod that it runs in
  std::set<std::string> broken_images_;                                      // Deployments whose pods do not start
  std::map<std::string, std::deque<std::pair<Time, std::int64_t>>> wanted_;  // group -> what was wanted until when
  std::deque<Time> disturbances_;                                            // of workers by hand, or by faults
  bool chaos_ = true;
  std::size_t log_lines_;
  bool print_;
  Outcome outcome_;
};

}  // namespace dask::sim_operator
