// How workers leave, in two phases. First they are marked (an annotation, so that a restart of the operator resumes and forgets nothing)
// and the scheduler is asked to move what only they hold; then, when it has said so, they are deleted. A worker that the scheduler does
// not know holds nothing. The scheduler is asked twice: tasks that ran at the first request have left results since. The second time it is
// asked for all that are closing in one request, and never while some of them are about to go: it counts copies on them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <tuple>

#include "operator/plan/workers.h"

namespace dask::kube {
namespace {

constexpr std::string_view kClosing = "closing_gracefully";
constexpr std::string_view kDataOf = "The data of";

std::string_view host_of(std::string_view address) {
  if (const auto scheme = address.find("://"); scheme != address.npos) address.remove_prefix(scheme + 3);
  std::string_view host = address.substr(0, address.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  return host;
}

// The processes that a worker's pods have registered: by address, as names can be overridden; by name where addresses are hidden.
std::vector<const SchedulerWorker*> registered(const Draft& draft, const Worker& worker) {
  std::vector<const SchedulerWorker*> found;
  for (const SchedulerWorker& process : draft.observed.scheduler.workers) {
    const bool same_name = process.name.starts_with(worker.name()) &&
                           (process.name.size() == worker.name().size() || process.name[worker.name().size()] == '-');
    const bool same_host = std::any_of(worker.pods.begin(), worker.pods.end(), [&](const Pod* pod) {
      return !pod->ip.empty() && !pod->ended() && pod->ip == host_of(process.address);
    });
    if (same_name || same_host) found.push_back(&process);
  }
  return found;
}

// Whether no scheduler of this cluster has ever run: then no worker has anything to lose. Caches may be stale: somebody must have tried.
bool never_ran(const Draft& draft) {
  const std::string name = scheduler_name(draft.observed.name);
  const SchedulerView& view = draft.observed.scheduler;
  if (view.polled_ms != 0 || view.failed_ms == 0 || draft.now_ms - view.failed_ms > 2 * kPollUnreachableMs) return false;
  for (const auto& deployment : draft.observed.deployments)
    if (deployment->meta.name == name && deployment->ready_replicas > 0) return false;
  const auto& pods = draft.pods_of(name);
  return !pods.empty() && std::none_of(pods.begin(), pods.end(), [](const Pod* pod) { return pod->started; });
}

class Departures {
 public:
  Departures(Draft& draft, const DaskCluster& cluster, GroupPlan& plan, bool nobody_remains, Farewells& farewells)
      : draft_(draft),
        cluster_(cluster),
        plan_(plan),
        farewells_(farewells),
        nobody_remains_(nobody_remains),
        scheduler_never_ran_(never_ran(draft)) {}

  void run() {
    for (const Worker& worker : plan_.workers)
      if (worker.ended) leave(worker, "its pod has ended");
    choose();
    std::vector<const Worker*> waiting;
    for (const Worker& worker : plan_.workers)
      if (worker.retiring() && !worker.ended && !drained(worker)) waiting.push_back(&worker);
    // Stuck until drained: what is said does not change while the scheduler is asked once more.
    const Condition* before = find_condition(plan_.group->status.conditions, "Degraded");
    if (plan_.drain_problem.empty() && !waiting.empty() && before && before->reason == "DrainBlocked" &&
        before->message.starts_with(kDataOf))
      plan_.drain_problem = before->message;
    if (wants_poll_now_)
      draft_.poll(0);
    else if (wants_poll_)
      draft_.poll(kPollAgainMs);
    if (gave_up_ > 0)
      draft_.event(ref_of(Kind::kDaskWorkerGroup, plan_.group->meta), true, "DrainSkipped", "Drain",
                   fmt::format("Deleting {} workers whose data was not moved: {}", gave_up_, gave_up_why_));
  }

 private:
  void leave(const Worker& worker, std::string why) {
    if (left_ >= kWorkersPerPlanMax) return draft_.look_again(1);
    ++left_;
    if (worker.ordinal >= 0) plan_.retired.insert(worker.ordinal);
    draft_.add(kStageDelete, DeleteObject{worker.ref(), false, std::move(why)});
  }

  void give_up(const Worker& worker, std::string why) {
    ++gave_up_;
    gave_up_why_ = why;
    leave(worker, std::move(why));
  }

  void leave_unasked(const Worker& worker) {
    if (scheduler_never_ran_ || (!worker.started && !worker.ready))
      leave(worker, "it has never worked");
    else
      give_up(worker, lost_text());
  }

  bool scheduler_is_lost() const { return draft_.unreachable_for_ms() >= kUnreachableWaitMs; }
  std::string lost_text() const {
    return fmt::format("the scheduler could not be reached for {} s ({})", draft_.unreachable_for_ms() / kSecondMs,
                       draft_.observed.scheduler.failure);
  }

  // Takes from those that may stay until only the wanted number is left.
  void choose() {
    std::vector<const Worker*> active;
    for (const Worker& worker : plan_.workers)
      if (!worker.ended && !worker.retiring()) active.push_back(&worker);
    const auto surplus = static_cast<std::int64_t>(active.size()) - plan_.wanted;
    if (surplus <= 0) return;
    if (nobody_remains_) {
      for (const Worker* worker : active) leave(*worker, "the cluster is scaled to no workers");
    } else if (draft_.view_is_fresh()) {
      choose_by_state(active, surplus);
    } else if (scheduler_never_ran_ || scheduler_is_lost()) {
      // Nobody can say who is cheapest to lose: those that have not run, then the newest.
      std::stable_sort(active.begin(), active.end(), [](const Worker* a, const Worker* b) {
        return std::tuple(a->started || a->ready, -a->meta->created_ms, -a->ordinal) <
               std::tuple(b->started || b->ready, -b->meta->created_ms, -b->ordinal);
      });
      for (std::int64_t i = 0; i < surplus; ++i) leave_unasked(*active[static_cast<std::size_t>(i)]);
    } else {
      wants_poll_ = true;
      return;  // said when it is known who
    }
    draft_.event(ref_of(Kind::kDaskWorkerGroup, plan_.group->meta), false, "ScalingDown", "Scale",
                 fmt::format("Taking {} workers away to leave {}", surplus, plan_.wanted));
  }

  // Those that the scheduler does not know, then those that are cheapest to empty.
  void choose_by_state(std::vector<const Worker*>& active, std::int64_t surplus) {
    struct Candidate {
      const Worker* worker;
      std::vector<const SchedulerWorker*> processes;
      std::tuple<bool, std::int64_t, std::int64_t, std::int64_t> cost;
    };
    std::vector<Candidate> candidates;
    for (const Worker* worker : active) {
      Candidate c{worker, registered(draft_, *worker), {}};
      std::int64_t stored = 0, processing = 0;
      for (const SchedulerWorker* process : c.processes) {
        stored += process->stored_bytes;
        processing += process->processing;
      }
      c.cost = {!c.processes.empty(), stored, processing, -worker->ordinal};
      candidates.push_back(std::move(c));
    }
    std::stable_sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) { return a.cost < b.cost; });
    for (std::size_t i = 0; i < candidates.size() && surplus > 0; ++i, --surplus) {
      const Candidate& c = candidates[i];
      if (c.processes.empty()) {
        leave(*c.worker, "too many workers, and the scheduler does not know it");
        continue;
      }
      mark(*c.worker);
      for (const SchedulerWorker* process : c.processes) farewells_.first.push_back(process->address);
    }
  }

  void mark(const Worker& worker) {
    Value annotations = Value::map();
    annotations.set(kRetiringAnnotation, rfc3339(draft_.now_ms));
    Value body = body_of(worker.ref());
    Value metadata = body["metadata"];
    metadata.set("annotations", std::move(annotations));
    body.set("metadata", std::move(metadata));
    draft_.add(kStageWorkers, PatchObject{worker.ref(), std::move(body)});
  }

  // Lets a marked worker leave if it may; else does what brings it nearer and says false.
  bool drained(const Worker& worker) {
    if (nobody_remains_) return leave(worker, "the cluster is scaled to no workers"), true;
    if (scheduler_never_ran_ || scheduler_is_lost()) return leave_unasked(worker), true;
    const SchedulerView& view = draft_.observed.scheduler;
    const TimeMs timeout_ms = cluster_.drain.timeout_ms > 0 ? cluster_.drain.timeout_ms : kDrainTimeoutMs;
    const bool late = draft_.now_ms - worker.retiring_since_ms >= timeout_ms;
    if (late && cluster_.drain.on_timeout == DrainTimeoutPolicy::kDelete)
      return give_up(worker, fmt::format("its data did not move within {} s", timeout_ms / kSecondMs)), true;
    if (!late) draft_.look_again(worker.retiring_since_ms + timeout_ms - draft_.now_ms);
    const auto processes = registered(draft_, worker);
    if (const TimeMs wait_ms = stuck_for_ms(processes); wait_ms > 0) return draft_.look_again(wait_ms), false;
    if (!draft_.view_is_fresh()) {
      wants_poll_ = true;
      if (view.failed_ms != 0) plan_.drain_problem = fmt::format("The scheduler cannot be reached: {}", view.failure);
      return false;
    }
    bool done = true;
    for (const SchedulerWorker* process : processes) done &= emptied(*process);
    farewells_.some_leave |= done;
    if (done) leave(worker, processes.empty() ? "drained: the scheduler does not know it any more" : "drained");
    if (!done && late && plan_.drain_problem.empty())
      plan_.drain_problem = fmt::format("Worker {} has not been drained for more than {} s", worker.name(), timeout_ms / kSecondMs);
    return done;
  }

  // How long nothing need be asked about a worker whose data could not be moved just now; 0 when that is not so.
  TimeMs stuck_for_ms(const std::vector<const SchedulerWorker*>& processes) {
    TimeMs wait_ms = 0;
    for (const SchedulerWorker* process : processes) {
      const auto it = draft_.observed.scheduler.retirements.find(process->address);
      if (it == draft_.observed.scheduler.retirements.end() || it->second.outcome != Retirement::Outcome::kStays) continue;
      plan_.drain_problem = fmt::format("{} {} cannot be moved: no other worker can take it", kDataOf, process->name);
      wait_ms = std::max(wait_ms, it->second.answered_ms + kAskAgainMs - draft_.now_ms);
    }
    return wait_ms;
  }

  // Whether the scheduler has promised that nothing is only here; asks it what must be asked next.
  bool emptied(const SchedulerWorker& process) {
    const SchedulerView& view = draft_.observed.scheduler;
    const bool quiet = process.status == kClosing && process.processing == 0;
    auto& ask = quiet ? farewells_.quiet : farewells_.first;
    const auto it = view.retirements.find(process.address);
    if (it == view.retirements.end()) return ask.push_back(process.address), false;
    const Retirement& last = it->second;
    switch (last.outcome) {
      case Retirement::Outcome::kAsked: farewells_.quiet_under_way |= last.quiet; return false;
      case Retirement::Outcome::kRetired:
        // Final, once it has been seen closing after that: a request of an operator that died may end later, and let it work again.
        if (last.quiet && quiet) {
          if (view.polled_ms >= last.answered_ms) return true;
          wants_poll_now_ = true;
          farewells_.some_leave = true;
          return false;
        }
        // Tasks that it ran when it was asked may have left results: it must be seen idle after that, and be asked once more. One that is
        // not even closing is another process at the same address.
        if (quiet || (view.polled_ms > last.answered_ms && process.status != kClosing))
          ask.push_back(process.address);
        else if (view.polled_ms <= last.answered_ms)
          wants_poll_now_ = true;
        else
          wants_poll_ = true;
        return false;
      case Retirement::Outcome::kStays:
      case Retirement::Outcome::kFailed: break;
    }
    if (const TimeMs wait_ms = last.answered_ms + kAskAgainMs - draft_.now_ms; wait_ms > 0)
      draft_.look_again(wait_ms);
    else
      ask.push_back(process.address);
    return false;
  }

  Draft& draft_;
  const DaskCluster& cluster_;
  GroupPlan& plan_;
  Farewells& farewells_;
  const bool nobody_remains_;
  bool wants_poll_ = false;
  bool wants_poll_now_ = false;
  const bool scheduler_never_ran_;
  std::size_t left_ = 0;
  std::size_t gave_up_ = 0;
  std::string gave_up_why_;
};

}  // namespace

void plan_departures(Draft& draft, const DaskCluster& cluster, GroupPlan& plan, bool nobody_remains, Farewells& farewells) {
  Departures(draft, cluster, plan, nobody_remains, farewells).run();
}

void plan_farewells(Draft& draft, const Farewells& farewells) {
  const auto ask = [&](const std::vector<std::string>& addresses, bool quiet) {
    AskSchedulerToRetire request{draft.endpoint(), addresses, quiet, {}};
    const auto& retirements = draft.observed.scheduler.retirements;
    for (const SchedulerWorker& process : draft.observed.scheduler.workers) {
      if (process.status != kClosing || std::find(addresses.begin(), addresses.end(), process.address) != addresses.end()) continue;
      // Those that are being emptied for the first time may take long; they are asked for again anyway.
      const auto it = retirements.find(process.address);
      if (it == retirements.end() || it->second.outcome != Retirement::Outcome::kAsked) request.also.push_back(process.address);
    }
    draft.add(kStageAsk, std::move(request));
  };
  // A copy on one that this plan deletes, or has promised to be empty, must not make the only other one superfluous: it is named, too.
  if (!farewells.first.empty()) ask(farewells.first, false);
  if (farewells.quiet.empty() || farewells.quiet_under_way) return;
  if (farewells.some_leave) return draft.look_again(kLookAgainMs);
  ask(farewells.quiet, true);
}

}  // namespace dask::kube
