// The operator as a process: caches that follow the API server each at its own pace and see its own writes at once (unless the answer is
// lost), a queue of clusters, a plan carried out write by write, answers of schedulers. It can be killed between any two writes, and
// forgets everything but what is in the API server.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "scheduler_model.h"
#include "tests/operator_model/cluster.h"

namespace dask::sim_operator {

using namespace dask::kube;
using operator_model::Answer;
using operator_model::ApiServer;
using operator_model::ObjectKey;

struct Faults {
  double refused = 0;      // of a request: answered with an error before it does anything
  double lost_answer = 0;  // of a request: it does what it should, but the answer never comes
  bool api_down = false;
};

class OperatorProcess {
 public:
  struct Surroundings {
    Timeline& timeline;
    Random& random;
    ApiServer& api;
    Faults& faults;
    std::function<SchedulerModel*(const std::string& cluster)> scheduler;
    // Called before a write: the plan that it belongs to was made when the scheduler's last answer was that old.
    std::function<void(const std::string& cluster, const Action& action, Time polled)> before_write;
    std::function<void(const std::string& cluster, const Action& action, const Answer& answer)> after_write;
    std::function<void(const std::string&)> log;
  };

  explicit OperatorProcess(Surroundings around) : around_(std::move(around)) {}

  void start();
  void kill();
  bool alive() const { return alive_; }
  // Watches of this kind bring nothing until then.
  void stall(Kind kind, Time until) { stalled_until_[kind] = until; }
  // 410: the watch of this kind is too old; everything is listed again.
  void list_again(Kind kind);
  // Lets some of what has changed arrive.
  void pump();
  std::uint64_t plans() const { return plans_; }
  bool idle() const { return running_.empty(); }

 private:
  struct Course {
    Actions actions;
    std::size_t next = 0;
    Time polled = 0;
    std::uint64_t life = 0;
  };

  void enqueue(const std::string& cluster, Time delay);
  void plan(const std::string& cluster);
  void step(const std::string& cluster, const std::shared_ptr<Course>& course);
  void finish(const std::string& cluster, bool failed);
  void take(const ObjectKey& key, const Value* present, const Value& last);
  void take_answer(const Action& action);
  void poll(const std::string& cluster);
  void ask(const std::string& cluster, const AskSchedulerToRetire& request);
  TimeMs now_ms() const { return around_.api.now_ms; }
  static std::string cluster_of(const ObjectKey& key, const Value& object);

  Surroundings around_;
  Settings settings_;
  bool alive_ = false;
  std::uint64_t life_ = 0;
  std::uint64_t plans_ = 0;
  std::map<ObjectKey, Value> cache_;
  std::set<std::string> deleted_uids_;  // by us: they do not come back
  std::map<Kind, std::size_t> read_;    // how many of the API server's changes this watch has seen
  std::map<Kind, Time> stalled_until_;
  std::map<std::string, SchedulerView> views_;
  std::map<std::string, Time> polled_;  // like polled_ms, in the simulation's time
  std::map<std::string, Time> due_;     // queued
  std::set<std::string> running_, dirty_;
  std::map<std::string, int> failures_;
};

}  // namespace dask::sim_operator
