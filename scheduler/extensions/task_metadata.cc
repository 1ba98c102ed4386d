#include "scheduler/extensions/task_metadata.h"

namespace dask::scheduler {

void TaskMetadata::submitted(const std::vector<Key>& keys) {
  for (auto& [name, collector] : collectors_)
    for (const Key& key : keys) collector.keys.emplace(name_of(key), key);
}

void TaskMetadata::note(Collector& collector, const Key& key, const Ended& task) {
  // A task that ran well has metadata, if empty; one that erred may have none.
  collector.metadata.emplace_back(key.value(), task.metadata.is_nil() && task.state == "memory" ? Value::map() : task.metadata);
  collector.state.emplace_back(key.value(), Value(task.state));
}

void TaskMetadata::ended(const Key& key, const Ended& task) {
  for (auto& [name, collector] : collectors_)
    if (collector.keys.erase(name_of(key)) > 0) note(collector, key, task);
}

std::optional<Value> TaskMetadata::stop(const std::string& name, const std::function<std::optional<Ended>(const Key&)>& look_up) {
  auto found = collectors_.extract(name);
  if (!found) return std::nullopt;
  Collector& collector = found.mapped();
  for (const auto& [canonical, key] : collector.keys)
    if (const auto task = look_up(key)) note(collector, key, *task);
  return Value(Value::Map{{"metadata", Value(std::move(collector.metadata))}, {"state", Value(std::move(collector.state))}});
}

}  // namespace dask::scheduler
