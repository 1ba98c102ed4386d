// What may be changed about tasks and workers while they are here: restrictions, resources.
// Source: distributed/scheduler.py, set_restrictions, add_resources; unlike there, tasks that can run now do.
#include "scheduler/machine/machine.h"

namespace dask::scheduler {

void Machine::restrict_to(Task& ts, std::vector<std::string> workers) {
  auto annotations = ts.annotations ? std::make_shared<Annotations>(*ts.annotations) : std::make_shared<Annotations>();
  annotations->workers = std::move(workers);
  ts.annotations = std::move(annotations);
  if (ts.state == TaskState::kNoWorker) recommend(ts, TaskState::kProcessing);
}

void Machine::on(RestrictionsSet& e) {
  for (auto& [key, workers] : e.workers)
    if (Task* ts = find(key)) restrict_to(*ts, std::move(workers));
  run_recommendations();
}

void Machine::on(ResourcesSet& e) {
  if (!present(e.worker)) return;
  Worker& ws = state_.worker(e.worker);
  for (const auto& [resource, quantity] : e.resources) {
    ws.resources[resource] = quantity;
    ws.used_resources.emplace(resource, 0);
  }
  if (ws.status == WorkerStatus::kRunning) schedule_unrunnable_on(ws);
}

}  // namespace dask::scheduler
