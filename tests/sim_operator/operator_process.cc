#include "operator_process.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

#include "operator/plan/scheduler_view.h"

namespace dask::sim_operator {

using operator_model::at;
using sim::kMillisecond;
using sim::kSecond;

namespace {
constexpr Kind kWatched[] = {Kind::kDaskCluster, Kind::kDaskWorkerGroup, Kind::kDeployment, Kind::kService, Kind::kPod};
constexpr Time kBackoffMin = 50 * kMillisecond, kBackoffMax = 10 * kSecond;

std::int64_t version_of(const Value& object) {
  std::int64_t version = 0;
  const std::string_view text = at(object, {"metadata", "resourceVersion"}).as_string();
  std::from_chars(text.data(), text.data() + text.size(), version);
  return version;
}
}  // namespace

std::string OperatorProcess::cluster_of(const ObjectKey& key, const Value& object) {
  if (key.first == Kind::kDaskCluster) return key.second;
  if (key.first == Kind::kDaskWorkerGroup) return std::string(at(object, {"spec", "cluster"}).as_string());
  return std::string(at(object, {"metadata", "labels", kClusterLabel}).as_string());
}

void OperatorProcess::start() {
  ++life_;
  alive_ = true;
  for (const Kind kind : kWatched) list_again(kind);
}

void OperatorProcess::kill() {
  ++life_;
  alive_ = false;
  cache_.clear();
  read_.clear();
  views_.clear();
  polled_.clear();
  due_.clear();
  running_.clear();
  dirty_.clear();
  failures_.clear();
  deleted_uids_.clear();
}

void OperatorProcess::list_again(Kind kind) {
  if (!alive_) return;
  std::set<std::string> clusters;
  for (auto it = cache_.begin(); it != cache_.end();) {
    if (it->first.first != kind) {
      ++it;
      continue;
    }
    clusters.insert(cluster_of(it->first, it->second));
    it = cache_.erase(it);
  }
  for (const auto& [key, object] : around_.api.objects())
    if (key.first == kind) {
      cache_[key] = object;
      clusters.insert(cluster_of(key, object));
    }
  read_[kind] = around_.api.changes().size();
  for (const std::string& cluster : clusters) enqueue(cluster, 0);
}

void OperatorProcess::pump() {
  if (!alive_ || around_.faults.api_down) return;
  const auto& changes = around_.api.changes();
  for (const Kind kind : kWatched) {
    if (stalled_until_[kind] > around_.timeline.now() || around_.random.chance(0.3)) continue;
    std::size_t& next = read_[kind];
    for (; next < changes.size(); ++next) {
      const auto& change = changes[next];
      if (change.key.first != kind) continue;
      const std::string cluster = cluster_of(change.key, change.object);
      if (const auto old = cache_.find(change.key); old != cache_.end()) enqueue(cluster_of(old->first, old->second), 0);
      take(change.key, change.deleted ? nullptr : &change.object, change.object);
      enqueue(cluster, 0);
      if (around_.random.chance(0.2)) {
        ++next;
        break;
      }
    }
  }
}

// Of a watch or the answer to a write of ours, whichever is newer, as ObjectCache has it. `present`: null when it is gone.
void OperatorProcess::take(const ObjectKey& key, const Value* present, const Value& last) {
  const auto old = cache_.find(key);
  if (old != cache_.end() && version_of(old->second) >= version_of(last)) return;
  const std::string uid(at(last, {"metadata", "uid"}).as_string());
  if (present && deleted_uids_.contains(uid)) return;
  if (present)
    cache_[key] = *present;
  else if (old != cache_.end() && at(old->second, {"metadata", "uid"}).as_string() == uid)
    cache_.erase(old);
}

void OperatorProcess::enqueue(const std::string& cluster, Time delay) {
  if (cluster.empty() || !alive_) return;
  if (running_.contains(cluster) && delay == 0) {
    dirty_.insert(cluster);
    return;
  }
  const Time when = around_.timeline.now() + delay;
  if (const auto it = due_.find(cluster); it != due_.end() && it->second <= when) return;
  due_[cluster] = when;
  around_.timeline.at(when, [this, cluster, when, life = life_] {
    if (life != life_) return;
    const auto it = due_.find(cluster);
    if (it == due_.end() || it->second != when) return;
    if (running_.contains(cluster)) {
      dirty_.insert(cluster);
      due_.erase(it);
      return;
    }
    due_.erase(it);
    plan(cluster);
  });
}

void OperatorProcess::plan(const std::string& cluster) {
  ++plans_;
  Observed observed = operator_model::observe(cache_, "ns", cluster);
  observed.scheduler = views_[cluster];
  auto course = std::make_shared<Course>();
  course->actions = plan_cluster(observed, settings_, now_ms());
  course->polled = polled_[cluster];
  course->life = life_;
  running_.insert(cluster);
  step(cluster, course);
}

void OperatorProcess::step(const std::string& cluster, const std::shared_ptr<Course>& course) {
  const bool is_end = course->next >= course->actions.size();
  const bool is_write = !is_end && !std::holds_alternative<RequeueAfter>(course->actions[course->next].what) &&
                        !std::holds_alternative<EmitEvent>(course->actions[course->next].what);
  const Time delay = is_write ? around_.random.between(1, around_.random.chance(0.05) ? 3000 : 30) * kMillisecond : 0;
  around_.timeline.after(delay, [this, cluster, course] {
    if (course->life != life_) return;
    if (course->next >= course->actions.size()) return finish(cluster, false);
    const Action& action = course->actions[course->next++];
    if (const auto* again = std::get_if<RequeueAfter>(&action.what)) {
      enqueue(cluster, again->delay_ms * kMillisecond);
    } else if (std::get_if<PollScheduler>(&action.what)) {
      poll(cluster);
    } else if (const auto* request = std::get_if<AskSchedulerToRetire>(&action.what)) {
      ask(cluster, *request);
    } else if (!std::get_if<EmitEvent>(&action.what)) {
      if (around_.faults.api_down || around_.random.chance(around_.faults.refused)) return finish(cluster, true);
      around_.before_write(cluster, action, course->polled);
      Answer answer = around_.api.carry_out(action);
      around_.after_write(cluster, action, answer);
      const bool gone = answer.code == 404 && !std::holds_alternative<ApplyObject>(action.what);
      if ((!answer.ok() && !gone) || around_.random.chance(around_.faults.lost_answer)) {
        around_.log(fmt::format("a write failed: {} {}", answer.code, answer.message));
        return finish(cluster, true);
      }
      take_answer(action);
    }
    step(cluster, course);
  });
}

// What the answer to a write says.
void OperatorProcess::take_answer(const Action& action) {
  const ObjectRef* object = std::visit(
      [](const auto& a) -> const ObjectRef* {
        if constexpr (requires { a.object; }) return &a.object;
        return nullptr;
      },
      action.what);
  const ObjectKey key{object->kind, object->name};
  if (const Value* present = around_.api.find(object->kind, object->name)) {
    if (!std::holds_alternative<CreateObject>(action.what)) take(key, present, *present);
  } else if (std::holds_alternative<DeleteObject>(action.what)) {
    deleted_uids_.insert(object->uid);
    if (const auto old = cache_.find(key); old != cache_.end() && at(old->second, {"metadata", "uid"}).as_string() == object->uid)
      cache_.erase(old);
  }
}

void OperatorProcess::finish(const std::string& cluster, bool failed) {
  running_.erase(cluster);
  int& failures = failures_[cluster];
  failures = failed ? std::min(failures + 1, 20) : 0;
  if (failed) return enqueue(cluster, std::min(kBackoffMax, kBackoffMin << std::min(failures, 10)));
  if (dirty_.erase(cluster)) enqueue(cluster, 1 * kMillisecond);
}

void OperatorProcess::poll(const std::string& cluster) {
  SchedulerView& view = views_[cluster];
  if (view.polling) return;
  view.polling = true;
  const TimeMs sent_ms = now_ms();
  const Time sent = around_.timeline.now();
  around_.timeline.after(around_.random.between(2, 400) * kMillisecond, [this, cluster, sent_ms, sent, life = life_] {
    if (life != life_) return;
    SchedulerModel* scheduler = around_.scheduler(cluster);
    if (scheduler && scheduler->reachable()) {
      polled_[cluster] = sent;
      take_poll(views_[cluster], scheduler->describe(), sent_ms);
    } else {
      take_failed_poll(views_[cluster], "connection refused", now_ms());
    }
    enqueue(cluster, 0);
  });
}

void OperatorProcess::ask(const std::string& cluster, const AskSchedulerToRetire& request) {
  SchedulerModel* scheduler = around_.scheduler(cluster);
  around_.log(fmt::format("operator asks {} to retire {}{}", cluster, fmt::join(request.addresses, " "),
                          request.quiet ? fmt::format(", quiet, with {}", fmt::join(request.also, " ")) : ""));
  take_request(views_[cluster], request, now_ms());
  const auto answer = [this, cluster, request, asked_ms = now_ms(), life = life_](bool reached, const std::set<std::string>& empty) {
    if (life != life_) return;
    around_.log(fmt::format("{} has retired: {}{}", cluster, fmt::join(empty, " "), reached ? "" : "no answer"));
    take_promise(views_[cluster], request, asked_ms, reached ? &empty : nullptr, now_ms());
    enqueue(cluster, 0);
  };
  if (!scheduler || !scheduler->reachable()) {
    around_.timeline.after(kSecond, [answer] { answer(false, {}); });
    return;
  }
  std::vector<std::string> addresses = request.addresses;
  addresses.insert(addresses.end(), request.also.begin(), request.also.end());
  scheduler->retire(addresses, [answer, scheduler](std::set<std::string> empty) { answer(scheduler->reachable(), empty); });
}

}  // namespace dask::sim_operator
