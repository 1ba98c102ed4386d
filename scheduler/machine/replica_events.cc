// The active memory manager's turn: superfluous replicas are dropped. The scheduler forgets a replica at once; a worker that
// still needs it says add-keys. Source: distributed/active_memory_manager.py, Scheduler.request_remove_replicas.
#include <algorithm>

#include "scheduler/machine/machine.h"
#include "scheduler/policy/reduce_replicas.h"

namespace dask::scheduler {

void Machine::on(ReplicaReviewDue& e) {
  std::vector<Drop> drops = propose_drops(state_, state_.replicated_tasks(), e.measure);
  std::stable_sort(drops.begin(), drops.end(), [](const Drop& a, const Drop& b) { return a.worker < b.worker; });
  for (const Drop& drop : drops) {
    Task& ts = state_.task(drop.task);
    state_.remove_replica(ts, state_.worker(drop.worker));
    act(SendRemoveReplica{drop.worker, ts.key});
  }
}

}  // namespace dask::scheduler
