// A lowered graph becomes tasks. Source: distributed/scheduler.py, update_graph and what it calls.
#include <algorithm>
#include <unordered_map>

#include "scheduler/machine/machine.h"

namespace dask::scheduler {
namespace {

constexpr std::uint32_t kNone = UINT32_MAX;

// The columns of the graph that the wanted keys need, and the wanted keys themselves as column indices.
struct Reach {
  std::vector<std::uint32_t> wanted;   // column indices
  std::vector<std::uint32_t> columns;  // reached tasks and extern dependencies, ascending
};

Reach reach(const GraphColumns& g, const std::vector<Key>& wanted_keys) {
  Reach r;
  KeyIndex index;
  const auto key_of = [&](std::uint32_t i) { return g.keys[i].msgpack(); };
  for (std::uint32_t i = 0; i < g.keys.size(); ++i) index.insert(Key::hash(g.keys[i].msgpack()), i);
  std::vector<std::uint8_t> seen(g.keys.size(), 0);
  std::vector<std::uint32_t> stack;
  for (const Key& key : wanted_keys) {
    const std::uint32_t i = index.find(key.msgpack(), Key::hash(key.msgpack()), key_of, &Key::equal);
    if (i == KeyIndex::kNone) continue;
    r.wanted.push_back(i);
    if (!std::exchange(seen[i], 1)) stack.push_back(i);
  }
  while (!stack.empty()) {
    const std::uint32_t i = stack.back();
    stack.pop_back();
    if (i >= g.n_tasks) continue;
    for (std::uint32_t d = g.dep_begin[i]; d < g.dep_begin[i + 1]; ++d)
      if (!std::exchange(seen[g.deps[d]], 1)) stack.push_back(g.deps[d]);
  }
  for (std::uint32_t i = 0; i < seen.size(); ++i)
    if (seen[i]) r.columns.push_back(i);
  return r;
}

}  // namespace

void Machine::on(GraphSubmitted& e) {
  if (!state_.has_client(e.client)) return;
  const GraphColumns& g = e.columns;
  const std::string client_name = state_.client(e.client).name;
  const Reach r = reach(g, e.wanted);

  // Anything that neither the graph defines nor the scheduler knows is lost.
  bool lost = false;
  for (std::uint32_t i : r.columns)
    if (i >= g.n_tasks && !find(g.keys[i])) {
      say(Severity::kInfo, fmt::format("User asked for computation on lost data: dependency {} is unknown", g.keys[i].repr()));
      lost = true;
    }
  if (r.wanted.size() != e.wanted.size())
    for (const Key& key : e.wanted)
      lost = lost || (!find(key) && std::none_of(r.wanted.begin(), r.wanted.end(), [&](std::uint32_t i) { return g.keys[i] == key; }));
  if (lost) {
    std::vector<std::uint32_t> slots;
    for (const Key& key : e.wanted)
      if (const Task* ts = find(key)) slots.push_back(ts->slot);
    act(ReportCancelledKeys{e.client, e.wanted, "lost dependencies", ""});
    release_wants(e.client, slots);
    act(LogEvent{{"scheduler", client_name},
                 Value(Value::Map{{"action", "update-graph"}, {"stimulus_id", *stimulus_id_}, {"status", "cancelled"}})});
    queue_slots_maybe_opened();
    return;
  }

  // Tasks. The first run spec that was seen under a key wins.
  std::vector<std::uint32_t> slots(g.keys.size(), kNone);
  std::vector<std::uint8_t> takes_edges(g.n_tasks, 0);
  PendingGraph pending;
  pending.tasks.resize(g.n_tasks);
  std::size_t new_tasks = 0, collisions = 0;
  for (std::uint32_t i : r.columns) {
    Task* ts = find(g.keys[i]);
    bool created = false;
    if (!ts) {
      ts = &state_.new_task(g.keys[i], TaskState::kReleased);
      created = true;
      ++new_tasks;
    }
    slots[i] = ts->slot;
    if (i >= g.n_tasks) continue;
    if (created || ts->spec == SpecKind::kNone) {
      takes_edges[i] = created || ts->dependencies.empty();
      ts->spec = e.spec;
      if (e.spec == SpecKind::kNative) {
        ts->run_spec = e.native_rows;
        ts->native_row = i;
      }
      if (!g.flags.empty()) ts->data_producer = g.flags[i] & GraphColumns::kDataProducer;
      pending.tasks[i] = State::id_of(*ts);
      ++pending.missing;
    }
    if (created && !g.annotation.empty() && g.annotation[i] >= 0) {
      ts->annotations = g.annotations[static_cast<std::size_t>(g.annotation[i])];
      ts->retries = ts->annotations->retries;
    }
  }
  for (const auto& [i, spec] : g.shuffles) {
    if (!pending.tasks[i].valid()) continue;
    Task& ts = state_.task(slots[i]);
    ts.p2p_barrier = true;
    state_.extra(ts).shuffle = spec;
  }
  for (std::uint32_t i : r.columns) {
    if (i >= g.n_tasks) continue;
    Task& ts = state_.task(slots[i]);
    if (takes_edges[i]) {
      for (std::uint32_t d = g.dep_begin[i]; d < g.dep_begin[i + 1]; ++d)
        if (g.deps[d] != i) state_.add_dependency(ts, state_.task(slots[g.deps[d]]));
      continue;
    }
    // Known already: another definition of the same key is a mistake of the user's that Dask only reports.
    std::vector<std::uint32_t> ours, theirs;
    for (const Edge& edge : ts.dependencies) ours.push_back(edge.task);
    for (std::uint32_t d = g.dep_begin[i]; d < g.dep_begin[i + 1]; ++d) theirs.push_back(slots[g.deps[d]]);
    std::sort(ours.begin(), ours.end());
    std::sort(theirs.begin(), theirs.end());
    if (ours == theirs) continue;
    if (ts.has_lost_dependencies && std::includes(theirs.begin(), theirs.end(), ours.begin(), ours.end())) {  // they are back
      for (std::uint32_t slot : theirs)
        if (!std::binary_search(ours.begin(), ours.end(), slot)) state_.add_dependency(ts, state_.task(slot));
      ts.has_lost_dependencies = false;
      continue;
    }
    if (collisions++ == 0)
      say(Severity::kWarning,
          fmt::format(
              "Detected different `run_spec` for key {} between two consecutive calls to `update_graph`. This can cause failures and "
              "deadlocks down the line. Please ensure unique key names.",
              ts.key.repr()));
  }

  // Priorities.
  double generation = generation_;
  const Task* submitting = e.submitting_task ? find(*e.submitting_task) : nullptr;
  if (submitting) {
    generation = submitting->priority.user - 0.01;  // sub-tasks run before what submitted them
  } else if (!e.submitting_task && last_graph_time_ + e.fifo_timeout_s < e.received) {
    generation = ++generation_;
    last_graph_time_ = e.received;
  }
  for (std::uint32_t i : r.columns) {
    if (i >= g.n_tasks) continue;
    Task& ts = state_.task(slots[i]);
    if (ts.p2p_barrier)
      for (const Edge& edge : ts.dependents) state_.task(edge.task).queueable = false;
    if (ts.has_priority) continue;
    ts.priority =
        Priority{ts.annotations ? -ts.annotations->user_priority : 0.0, generation, g.order.empty() ? static_cast<double>(i) : g.order[i]};
    ts.has_priority = true;
  }

  // Wishes, actors, and what can start.
  std::vector<Task*> wanted;
  for (const Key& key : e.wanted)
    if (Task* ts = find(key)) {
      state_.add_want(*ts, e.client);
      if (e.all_actors) ts->actor = true;
      wanted.push_back(ts);
    }
  for (const Key& key : e.actors)
    if (Task* ts = find(key)) ts->actor = true;
  std::vector<Task*> to_start;
  for (Task* ts : wanted)
    if (ts->state == TaskState::kReleased) to_start.push_back(ts);
  std::sort(to_start.begin(), to_start.end(),
            [](const Task* a, const Task* b) { return a->priority != b->priority ? a->priority > b->priority : a->slot > b->slot; });
  for (Task* ts : to_start) recommend(*ts, TaskState::kWaiting);
  for (std::uint32_t i : r.columns) {
    Task& ts = state_.task(slots[i]);
    if (ts.state == TaskState::kMemory || ts.state == TaskState::kErred) continue;
    for (const Edge& edge : ts.dependencies) {
      const Task& dependency = state_.task(edge.task);
      if (dependency.state != TaskState::kErred || !dependency.extra) continue;
      state_.extra(ts).exception_blame = dependency.extra->exception_blame;
      recommend(ts, TaskState::kErred);
      break;
    }
  }
  // What only a task needs that is known under another definition is not needed at all.
  for (std::uint32_t i : r.columns)
    if (Task& ts = state_.task(slots[i]); ts.state == TaskState::kReleased && ts.who_wants.empty() && ts.dependents.empty())
      recommend(ts, TaskState::kForgotten);
  if (e.spec == SpecKind::kPython && pending.missing > 0) pending_graphs_.emplace(e.graph, std::move(pending));
  // What is settled already is reported here, the rest by the transitions that settle it.
  for (const Task* ts : wanted) report_on(*ts, e.client);
  queue_slots_maybe_opened();
  act(LogEvent{
      {"scheduler", client_name},
      Value(Value::Map{{"action", "update-graph"},
                       {"stimulus_id", *stimulus_id_},
                       {"metrics", Value(Value::Map{{"tasks", g.n_tasks}, {"new_tasks", new_tasks}, {"key_collisions", collisions}})},
                       {"status", "OK"}})});
}

void Machine::on(RunSpecsArrived& e) {
  auto it = pending_graphs_.find(e.graph);
  if (it == pending_graphs_.end()) return;
  PendingGraph& pending = it->second;
  for (auto& [column, spec] : e.specs) {
    if (column >= pending.tasks.size()) continue;
    Task* ts = state_.get(pending.tasks[column]);
    pending.tasks[column] = TaskId{};
    if (!ts || ts->run_spec) continue;
    ts->run_spec = std::move(spec);
    if (!ts->compute_pending) continue;
    send_compute(*ts, ts->processing_on);
  }
}

void Machine::on(GraphCompleted& e) {
  auto it = pending_graphs_.find(e.graph);
  if (it == pending_graphs_.end()) return;
  const PendingGraph pending = std::move(it->second);
  pending_graphs_.erase(it);
  if (!e.failure) return;
  for (TaskId id : pending.tasks) {
    Task* ts = state_.get(id);
    if (!ts || ts->run_spec || ts->state == TaskState::kForgotten) continue;
    state_.extra(*ts).spec_failure = e.failure;  // should it have to run later
    if (ts->state == TaskState::kErred || ts->state == TaskState::kMemory) continue;
    fail(*ts, e.failure);
    run_recommendations();
  }
  queue_slots_maybe_opened();
}

void Machine::on(GraphRejected& e) {
  if (!state_.has_client(e.client)) return;
  act(LogEvent{{"scheduler", state_.client(e.client).name},
               Value(Value::Map{{"action", "update-graph"}, {"stimulus_id", *stimulus_id_}, {"status", "error"}})});
  for (const Key& key : e.wanted) {
    act(ReportTaskErred{e.client, TaskId{}, key, e.failure});
    if (const Task* ts = find(key))
      for (const Want& want : ts->who_wants)
        if (want.client != e.client && state_.client(want.client).connected)
          act(ReportTaskErred{want.client, State::id_of(*ts), {}, e.failure});
  }
}

}  // namespace dask::scheduler
