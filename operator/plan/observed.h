// What a plan sees of one cluster: its resources and children as the caches have them, and what its scheduler last said.
// Caches may be stale, each by itself: a plan must be right to repeat, never right only once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "operator/api/children.h"
#include "operator/api/dask.h"

namespace dask::kube {

// What the operator was started with.
struct Settings {
  std::string cluster_domain = "cluster.local";
  std::string field_manager = "dask-operator";
  // Workers of a group that are created together, and the wait between two such batches; 0: all at once.
  std::int64_t worker_batch_size = 0;
  TimeMs worker_batch_delay_ms = 0;
};

// A write that the API server refused for what was in it (400, 403, 422): the shell remembers it until a write of the same object goes
// through or the object is gone. Conflicts, throttling and lost connections are no refusals.
struct Refusal {
  ObjectRef object;
  int code = 0;         // of HTTP
  std::string message;  // the API server's words
};

// One worker that is registered with the scheduler.
struct SchedulerWorker {
  std::string address;  // tcp://10.1.2.3:40331
  std::string name;
  std::string status;  // running, paused, closing_gracefully, ...
  std::int64_t stored_bytes = 0;
  std::int64_t processing = 0;  // tasks that the scheduler has given it and that have not ended
};

// How the last request to retire a worker went, by its address.
struct Retirement {
  enum class Outcome {
    kAsked,    // the request is under way
    kRetired,  // nothing is left that only this worker holds; it takes no new tasks
    kStays,    // its data could not be moved: nobody can take it
    kFailed,   // no answer; asking again may help
  };
  Outcome outcome = Outcome::kAsked;
  TimeMs asked_ms = 0;
  TimeMs answered_ms = 0;  // 0 while it is under way
  bool quiet = false;      // the answer is final: as the request had it, until something happens that may undo it (scheduler_view.h)
};

// The shell's memory of one scheduler. It may be lost at any time (a restart of the operator): plans ask again then.
// When `id` changes, the shell forgets `retirements`: they were promises of another process.
struct SchedulerView {
  TimeMs polled_ms = 0;         // when the last answered poll was *sent*; 0: never answered
  bool polling = false;         // a poll is under way
  TimeMs failed_ms = 0;         // when the last poll failed; 0: the last one was answered, or none ended yet
  TimeMs failing_since_ms = 0;  // when the first of the polls failed that have failed without one answered in between; 0: none
  std::string failure;          // why, for people
  std::string id;               // the scheduler's own id: another one is another process
  std::vector<SchedulerWorker> workers;
  // When the scheduler became idle by its own clock; none: it is not idle, or does not say.
  std::optional<TimeMs> idle_since_ms;
  std::map<std::string, Retirement> retirements;  // by address

  bool reachable() const { return polled_ms != 0 && failed_ms == 0; }
};

// Everything that is labelled `dask.org/cluster-name: <name>` in one namespace, and groups with `spec.cluster: <name>`, with or without
// the label. `cluster` is null when there is none of that name (any more).
// Lists hold what the cache has, also what is being deleted and what belonged to an earlier cluster of the same name.
struct Observed {
  std::string ns;
  std::string name;
  std::shared_ptr<const DaskCluster> cluster;
  std::vector<std::shared_ptr<const DaskWorkerGroup>> groups;
  std::vector<std::shared_ptr<const Deployment>> deployments;
  std::vector<std::shared_ptr<const Service>> services;
  std::vector<std::shared_ptr<const Pod>> pods;
  std::vector<Refusal> refusals;  // of objects of this cluster
  SchedulerView scheduler;
};

}  // namespace dask::kube
