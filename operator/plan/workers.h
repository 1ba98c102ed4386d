// The workers of one group: which there are, which are missing, which are too many, and how those leave (drain.cc).
#pragma once

#include <string>
#include <vector>

#include "operator/plan/draft.h"
#include "operator/plan/ordinals.h"

namespace dask::kube {

// A worker as the caches have it: its Deployment or bare Pod, with its pods.
struct Worker {
  Kind kind = Kind::kDeployment;
  const ObjectMeta* meta = nullptr;
  const Deployment* deployment = nullptr;  // null for a bare pod
  std::int64_t ordinal = -1;               // -1: made by another operator
  TimeMs retiring_since_ms = 0;            // 0: it may stay
  bool ready = false;
  bool started = false;  // some pod of it has run: it may hold data
  bool ended = false;    // a bare pod that has run to its end
  std::vector<const Pod*> pods;

  ObjectRef ref() const { return ref_of(kind, *meta); }
  bool retiring() const { return retiring_since_ms != 0; }
  std::string_view name() const { return meta->name; }
};

struct GroupPlan {
  const DaskWorkerGroup* group = nullptr;
  std::int64_t wanted = 0;
  bool in_motion = false;  // this plan rewrites it: its workers come later, by what it is then
  bool makes_workers = false;
  std::vector<Worker> workers;  // all that are not being deleted, by name
  Ordinals retired;             // as the status will have them
  WorkerCounts counts;
  std::string drain_problem;  // why retiring workers cannot leave; empty when nothing is in the way
};

// What there is of a group, without a plan yet. `in_use`: also names of what is being deleted are not free.
GroupPlan look_at(const Draft& draft, const DaskWorkerGroup& group);

// Creates what is missing and restores what was changed by hand.
void plan_creations(Draft& draft, const DaskCluster& cluster, GroupPlan& plan);
// What a cluster's groups want to ask its scheduler about those who leave.
struct Farewells {
  std::vector<std::string> first;  // addresses of those that are asked for the first time, or still have tasks
  std::vector<std::string> quiet;  // of those that have no task any more
  bool quiet_under_way = false;    // they have been asked for, and the answer is still to come
  bool some_leave = false;         // a drained worker leaves with this plan, or will with the next answer
};

// Chooses who leaves, and lets them: mark, ask the scheduler, delete. `nobody_remains`: the whole cluster is scaled to nothing.
void plan_departures(Draft& draft, const DaskCluster& cluster, GroupPlan& plan, bool nobody_remains, Farewells& farewells);
// Asks for all groups at once, at the end.
void plan_farewells(Draft& draft, const Farewells& farewells);

}  // namespace dask::kube
