#include "simulation.h"

#include <algorithm>
#include <iostream>

namespace dask::sim_operator {

using operator_model::at;
using operator_model::Change;
using operator_model::cluster_object;
using operator_model::group_object;
using operator_model::put;
using operator_model::Wish;
using sim::kMillisecond;
using sim::kSecond;

namespace {

constexpr TimeMs kStartMs = 1'700'000'000'000;
constexpr Time kTroubleEnd = 150 * kSecond;
constexpr Time kSettleMax = 2400 * kSecond;
constexpr Time kQuiet = 200 * kSecond;
// For so long a stale cache may make the operator act on the past.
constexpr Time kPastMax = 60 * kSecond;
const std::vector<std::string> kClusters{"a", "b"};

}  // namespace

Simulation::Simulation(std::uint64_t seed, std::size_t log_lines, bool print) : random_(seed), log_lines_(log_lines), print_(print) {
  api_.now_ms = kStartMs;
  operator_ = std::make_unique<OperatorProcess>(OperatorProcess::Surroundings{
      timeline_, random_, api_, faults_, [this](const std::string& cluster) { return scheduler_of(cluster); },
      [this](const std::string& cluster, const Action& action, Time polled) { check_write(cluster, action, polled); },
      [this](const std::string& cluster, const Action& action, const Answer& answer) { note_write(cluster, action, answer); },
      [this](const std::string& line) { log(line); }});
}

void Simulation::log(std::string line) {
  if (log_lines_ == 0 && !print_) return;
  line = fmt::format("{:9.3f} {}", static_cast<double>(timeline_.now()) / 1e6, line);
  if (print_) std::cout << line << "\n";
  outcome_.log.push_back(std::move(line));
  if (outcome_.log.size() > log_lines_) outcome_.log.pop_front();
}

void Simulation::fail(std::string why) {
  if (outcome_.failure.empty()) {
    outcome_.failure = fmt::format("at {:.3f} s: {}", static_cast<double>(timeline_.now()) / 1e6, why);
    log("FAILED: " + why);
  }
}

// ---- what must hold at every write ----

// What a group wants now, before somebody changes it.
void Simulation::note_wanted(const std::string& group) {
  if (const Value* object = api_.find(Kind::kDaskWorkerGroup, group))
    wanted_[group].emplace_back(timeline_.now(), at(*object, {"spec", "worker", "replicas"}).as_int());
}

void Simulation::check_write(const std::string& cluster, const Action& action, Time polled) {
  // What a user's scaling of the cluster replaces was wanted until then, too.
  if (const auto* patch = std::get_if<PatchObject>(&action.what); patch && patch->object.kind == Kind::kDaskWorkerGroup)
    note_wanted(patch->object.name);
  const auto* deletion = std::get_if<DeleteObject>(&action.what);
  if (!deletion) return;
  if (deletion->object.uid.empty()) fail("a deletion without a uid");
  const Value* object = api_.find(deletion->object.kind, deletion->object.name);
  if (!object || at(*object, {"metadata", "uid"}).as_string() != deletion->object.uid) return;
  if (at(*object, {"metadata", "labels", kComponentLabel}).as_string() != "worker") return;
  SchedulerModel* scheduler = scheduler_of(cluster);
  const std::string& why = deletion->why;
  ++outcome_.drained;
  if (!scheduler || !scheduler->runs()) return;
  const auto pods = deletion->object.kind == Kind::kPod ? std::vector<std::string>{deletion->object.name}
                                                        : operator_model::pods_of(api_, deletion->object.name);
  for (const auto& [address, process] : scheduler->workers()) {
    if (std::find(pods.begin(), pods.end(), process.pod) == pods.end()) continue;
    const int unique = scheduler->results_lost_with(address, polled);
    if (unique == 0 && process.processing == 0) continue;
    // Whoever has come, or been let work again, since the operator asked for the last time could not be known of.
    const bool nobody_knew = process.registered >= polled;
    const bool out_of_reach = timeline_.now() - scheduler->last_unreachable() < 15 * kSecond &&
                              (why.find("could not be reached") != why.npos || why.find("never worked") != why.npos);
    const bool nobody_remains = why.find("scaled to no workers") != why.npos;
    ++outcome_.excused;
    if (!nobody_knew && !out_of_reach && !nobody_remains)
      fail(fmt::format("worker {} is deleted ({}) with {} results that only it has and {} tasks", deletion->object.name, why, unique,
                       process.processing));
  }
  if (why.starts_with("drained"))
    for (const std::string& pod : pods) scheduler->drain(pod, polled);
}

void Simulation::note_write(const std::string& cluster, const Action& action, const Answer& answer) {
  if (std::holds_alternative<EmitEvent>(action.what)) return;
  const ObjectRef* object = std::visit(
      [](const auto& a) -> const ObjectRef* {
        if constexpr (requires { a.object; }) return &a.object;
        return nullptr;
      },
      action.what);
  if (!object) return;
  const char* verb = std::holds_alternative<CreateObject>(action.what)  ? "creates"
                     : std::holds_alternative<ApplyObject>(action.what) ? "applies"
                     : std::holds_alternative<PatchObject>(action.what) ? "patches"
                     : std::holds_alternative<PatchStatus>(action.what) ? "reports"
                                                                        : "deletes";
  const auto* deletion = std::get_if<DeleteObject>(&action.what);
  log(fmt::format("operator {} {} {} for {}: {} {}{}", verb, name_of(object->kind), object->name, cluster, answer.code, answer.message,
                  deletion ? "; " + deletion->why : ""));
  if (answer.code == 422 || answer.code == 400) fail(fmt::format("the API server refuses {}: {}", object->name, answer.message));
  if (std::holds_alternative<ApplyObject>(action.what) && answer.code == 201) check_worker_count(*object);
}

// However stale the caches are: never more workers than were wanted at some time of the near past.
void Simulation::check_worker_count(const ObjectRef& object) {
  const Value* made = api_.find(object.kind, object.name);
  if (!made || at(*made, {"metadata", "labels", kComponentLabel}).as_string() != "worker") return;
  const std::string group(at(*made, {"metadata", "labels", kGroupLabel}).as_string());
  const Value* of = api_.find(Kind::kDaskWorkerGroup, group);
  if (!of) return;
  const std::string_view uid = at(*of, {"metadata", "uid"}).as_string();
  std::int64_t active = 0;
  for (const Kind kind : {Kind::kDeployment, Kind::kPod})
    for (const ObjectKey& key : api_.keys(kind)) {
      const auto meta = parse_meta(*api_.find(key.first, key.second));
      const OwnerReference* owner = meta ? meta->controller() : nullptr;
      active += owner && owner->uid == uid && !meta->deleting() && meta->annotation(kRetiringAnnotation).empty();
    }
  std::int64_t most = at(*of, {"spec", "worker", "replicas"}).as_int();
  for (const auto& [until, wanted] : wanted_[group])
    if (timeline_.now() - until < kPastMax) most = std::max(most, wanted);
  const auto disturbed =
      std::count_if(disturbances_.begin(), disturbances_.end(), [&](Time when) { return timeline_.now() - when < kPastMax; });
  if (active > most + disturbed)
    fail(fmt::format("group {} has {} active workers; at most {} were wanted, {} were disturbed", group, active, most, disturbed));
}

// ---- what must hold in the end ----

std::string Simulation::unsettled_group(const Value& group) const {
  const auto parsed = parse_dask_worker_group(group);
  const std::string& name = parsed->meta.name;
  std::int64_t workers = 0;
  for (const ObjectKey& key : api_.keys(Kind::kDeployment)) {
    const auto deployment = parse_deployment(*api_.find(key.first, key.second));
    if (!deployment->meta.owned_by(parsed->meta.uid)) continue;
    ++workers;
    if (!deployment->meta.annotation(kRetiringAnnotation).empty()) return fmt::format("worker {} is still retiring", key.second);
    if (deployment->replicas != 1) return fmt::format("worker {} has {} replicas", key.second, deployment->replicas);
    if (!deployment->ready()) return fmt::format("worker {} is not ready", key.second);
  }
  for (const ObjectKey& key : api_.keys(Kind::kPod)) {
    const auto pod = parse_pod(*api_.find(key.first, key.second));
    if (pod->meta.owned_by(parsed->meta.uid)) ++workers;
  }
  if (workers != parsed->worker.replicas) return fmt::format("group {} has {} workers, wants {}", name, workers, parsed->worker.replicas);
  if (!parsed->meta.controller()) return fmt::format("group {} has no owner", name);
  if (parsed->status.ready_replicas != parsed->worker.replicas || parsed->status.observed_generation != parsed->meta.generation)
    return fmt::format("the status of group {} is not true: {}", name, to_json(group["status"]));
  return {};
}

std::string Simulation::unsettled() const {
  for (const auto& [key, object] : api_.objects())
    if (!at(object, {"metadata", "deletionTimestamp"}).is_nil()) return fmt::format("{} is being deleted", key.second);
  std::map<std::string, int, std::less<>> schedulers;
  for (const ObjectKey& key : api_.keys(Kind::kPod))
    if (const Value& pod = *api_.find(key.first, key.second); at(pod, {"metadata", "labels", kComponentLabel}).as_string() == "scheduler")
      ++schedulers[std::string(at(pod, {"metadata", "labels", kClusterLabel}).as_string())];
  for (const ObjectKey& key : api_.keys(Kind::kDaskCluster)) {
    const auto cluster = parse_dask_cluster(*api_.find(key.first, key.second));
    if (schedulers[key.second] != 1) return fmt::format("cluster {} has {} schedulers", key.second, schedulers[key.second]);
    for (const Kind kind : {Kind::kDeployment, Kind::kService})
      if (const Value* object = api_.find(kind, scheduler_name(key.second)); !object || !parse_meta(*object)->owned_by(cluster->meta.uid))
        return fmt::format("cluster {} has no {} of its own", key.second, name_of(kind));
    if (!api_.find(Kind::kDaskWorkerGroup, default_group_name(key.second))) return "a default group is missing";
    if (at(*api_.find(Kind::kDeployment, scheduler_name(key.second)), {"spec", "replicas"}).as_int() != 1) return "a scheduler is scaled";
    const Condition* ready = find_condition(cluster->status.conditions, "Ready");
    if (cluster->status.phase != "Running" || !ready || !ready->status)
      return fmt::format("cluster {} is not ready: {}", key.second, to_json((*api_.find(key.first, key.second))["status"]));
  }
  for (const ObjectKey& key : api_.keys(Kind::kDaskWorkerGroup)) {
    const Value& group = *api_.find(key.first, key.second);
    if (!api_.find(Kind::kDaskCluster, std::string(at(group, {"spec", "cluster"}).as_string()))) continue;
    if (std::string what = unsettled_group(group); !what.empty()) return what;
  }
  return {};
}

// ---- users and faults ----

void Simulation::act() {
  const std::string cluster = random_.of(kClusters);
  const ObjectKey key{Kind::kDaskCluster, cluster};
  const std::string extra = cluster + "-extra";
  const auto disturb = [&] { disturbances_.push_back(timeline_.now()); };
  if (!api_.find(Kind::kDaskCluster, cluster)) {
    Wish wish;
    wish.name = cluster;
    wish.replicas = random_.between(0, 4);
    if (random_.chance(0.2)) wish.spec_extra = Value(Value::Map{{"workerWorkload", "Pod"}});
    log(fmt::format("user creates cluster {} with {} workers", cluster, wish.replicas));
    api_.create(Kind::kDaskCluster, cluster_object(wish));
    return;
  }
  const auto groups = api_.keys(Kind::kDaskWorkerGroup);
  const auto deployments = api_.keys(Kind::kDeployment);
  switch (random_.below(12)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: {
      if (groups.empty()) return;
      const std::string group = random_.of(groups).second;
      note_wanted(group);
      const std::int64_t replicas = random_.between(random_.chance(0.1) ? 0 : 1, 6);
      log(fmt::format("user scales {} to {}", group, replicas));
      Value body = Value::map();
      put(body, {"spec", "worker", "replicas"}, replicas);
      api_.patch({Kind::kDaskWorkerGroup, "ns", group, {}}, body);
      return;
    }
    case 5: {
      const std::int64_t replicas = random_.between(0, 5);
      log(fmt::format("user scales cluster {} to {}", cluster, replicas));
      wanted_[default_group_name(cluster)].emplace_back(timeline_.now(), replicas);
      note_wanted(default_group_name(cluster));
      Value body = Value::map();
      put(body, {"spec", "worker", "replicas"}, replicas);
      api_.patch({Kind::kDaskCluster, "ns", cluster, {}}, body);
      return;
    }
    case 6:
      if (!api_.find(Kind::kDaskWorkerGroup, extra)) {
        Wish wish;
        wish.name = extra;
        wish.replicas = random_.between(0, 3);
        log("user creates group " + extra);
        api_.create(Kind::kDaskWorkerGroup, group_object(wish, cluster));
      } else {
        log("user deletes group " + extra);
        api_.remove({Kind::kDaskWorkerGroup, "ns", extra, {}});
      }
      return;
    case 7: {
      if (deployments.empty()) return;
      const std::string name = random_.of(deployments).second;
      log("user deletes Deployment " + name);
      disturb();
      api_.remove({Kind::kDeployment, "ns", name, {}});
      return;
    }
    case 8: {
      if (deployments.empty()) return;
      const std::string name = random_.of(deployments).second;
      log("user edits Deployment " + name);
      Value body = Value::map();
      if (random_.chance(0.5)) put(body, {"spec", "replicas"}, 0);
      if (random_.chance(0.5)) put(body, {"spec", "minReadySeconds"}, random_.between(1, 9));
      api_.patch({Kind::kDeployment, "ns", name, {}}, body);
      return;
    }
    case 9:
      log("user deletes Service " + scheduler_name(cluster));
      api_.remove({Kind::kService, "ns", scheduler_name(cluster), {}});
      return;
    case 10: {
      const auto pods = api_.keys(Kind::kPod);
      if (pods.empty()) return;
      const std::string pod = random_.of(pods).second;
      log("user deletes pod " + pod);
      disturb();
      api_.remove({Kind::kPod, "ns", pod, {}});
      return;
    }
    default:
      log("user deletes cluster " + cluster);
      api_.remove({Kind::kDaskCluster, "ns", cluster, {}});
      if (!random_.chance(0.7)) return;
      Wish wish;
      wish.name = cluster;
      wish.replicas = random_.between(0, 4);
      log("and creates it again");
      api_.create(Kind::kDaskCluster, cluster_object(wish));
  }
}

void Simulation::break_something() {
  switch (random_.below(7)) {
    case 0:
      log("the operator is killed");
      operator_->kill();
      timeline_.after(random_.between(50, 8000) * kMillisecond, [this] {
        if (!operator_->alive()) operator_->start();
      });
      return;
    case 1: {
      const Kind kind =
          random_.of(std::vector<Kind>{Kind::kDaskCluster, Kind::kDaskWorkerGroup, Kind::kDeployment, Kind::kService, Kind::kPod});
      log(fmt::format("the watch of {} stalls", plural_of(kind)));
      operator_->stall(kind, timeline_.now() + random_.between(1, 25) * kSecond);
      return;
    }
    case 2: {
      const Kind kind = random_.of(std::vector<Kind>{Kind::kDeployment, Kind::kPod, Kind::kDaskWorkerGroup});
      log(fmt::format("the watch of {} is too old: 410", plural_of(kind)));
      operator_->list_again(kind);
      return;
    }
    case 3:
      log("the API server is gone");
      faults_.api_down = true;
      timeline_.after(random_.between(1, 60) * kSecond, [this] { faults_.api_down = false; });
      return;
    case 4: {
      SchedulerModel* scheduler = scheduler_of(random_.of(kClusters));
      if (!scheduler) return;
      log("a scheduler is out of reach");
      scheduler->set_partition(true);
      timeline_.after(random_.between(1, 100) * kSecond, [scheduler] { scheduler->set_partition(false); });
      return;
    }
    case 5: {
      const auto deployments = api_.keys(Kind::kDeployment);
      if (deployments.empty()) return;
      broken_images_.insert(random_.of(deployments).second);
      return;
    }
    default: {
      const auto pods = api_.keys(Kind::kPod);
      if (pods.empty()) return;
      const std::string pod = random_.of(pods).second;
      log("the process in " + pod + " dies and is started again");
      for (const auto& [cluster, scheduler] : schedulers_) scheduler->remove_pod(pod);
      for (const auto& [cluster, running] : scheduler_pods_)
        if (running == pod && schedulers_[cluster]->runs()) {
          schedulers_[cluster]->stop();
          schedulers_[cluster]->start();
        }
    }
  }
}

void Simulation::calm_down() {
  log("---- the trouble is over ----");
  chaos_ = false;
  faults_ = Faults{};
  broken_images_.clear();
  for (const auto& [cluster, scheduler] : schedulers_) scheduler->set_partition(false);
  if (!operator_->alive()) operator_->start();
}

void Simulation::every(Time from, Time to, std::function<void()> what) {
  timeline_.after(random_.between(from, to), [this, from, to, what] {
    if (!outcome_.failure.empty()) return;
    what();
    every(from, to, what);
  });
}

Outcome Simulation::run() {
  operator_->start();
  faults_.refused = random_.chance(0.5) ? 0.03 : 0;
  faults_.lost_answer = random_.chance(0.5) ? 0.02 : 0;
  const Time pace = random_.between(1, 8) * kSecond;
  every(20 * kMillisecond, 150 * kMillisecond, [this] { operator_->pump(); });
  every(50 * kMillisecond, 300 * kMillisecond, [this] { run_controllers(); });
  every(50 * kMillisecond, 400 * kMillisecond, [this] { run_kubelet(); });
  every(100 * kMillisecond, 900 * kMillisecond, [this] { register_workers(); });
  every(200 * kMillisecond, 1500 * kMillisecond, [this] {
    for (const auto& [cluster, scheduler] : schedulers_)
      if (timeline_.now() < kTroubleEnd + 60 * kSecond) scheduler->submit();
  });
  every(pace / 4, pace * 2, [this] {
    if (chaos_) act();
  });
  every(pace, pace * 4, [this] {
    if (chaos_) break_something();
  });
  const auto advance = [this](Time until) {
    while (outcome_.failure.empty() && timeline_.now() < until) {
      if (!timeline_.step(until)) break;
      api_.now_ms = kStartMs + timeline_.now() / kMillisecond;
    }
  };
  advance(kTroubleEnd);
  calm_down();
  std::string waiting = "nothing was looked at";
  for (Time until = kTroubleEnd + 10 * kSecond; outcome_.failure.empty() && until < kSettleMax; until += 10 * kSecond) {
    advance(until);
    waiting = unsettled();
    if (waiting.empty()) break;
  }
  if (!waiting.empty()) fail("not settled: " + waiting);
  // Once all is as wanted, nothing is written any more.
  advance(timeline_.now() + 20 * kSecond);
  const std::uint64_t writes = api_.writes(), plans = operator_->plans();
  advance(timeline_.now() + kQuiet);
  if (outcome_.failure.empty() && api_.writes() != writes)
    fail(fmt::format("{} writes when nothing was to be done", api_.writes() - writes));
  if (outcome_.failure.empty() && operator_->plans() - plans > 10) fail("the operator plans again and again when nothing is to be done");
  if (outcome_.failure.empty()) {
    if (std::string again = unsettled(); !again.empty()) fail("settled no more: " + again);
  }
  outcome_.plans = operator_->plans();
  outcome_.writes = api_.writes();
  outcome_.end = fmt::format("{} {} {}", timeline_.now(), api_.writes(), api_.changes().size());
  return std::move(outcome_);
}

}  // namespace dask::sim_operator
