// Clients come, want, cancel, retry and leave; data enters from outside. Source: distributed/scheduler.py, add_client,
// client_desires_keys, client_releases_keys, stimulus_cancel, stimulus_retry, update_data.
#include <algorithm>
#include <set>

#include "scheduler/machine/machine.h"

namespace dask::scheduler {

void Machine::on(ClientConnected& e) {
  Client* cs = state_.find_client(e.name);
  if (!cs) cs = &state_.add_client(e.name, true);
  cs->connected = true;
  cs->versions = std::move(e.versions);
  cs->last_seen = now_;
  last_client_ = cs->id;
  ++state_.clients_added;
  say(Severity::kInfo, fmt::format("Receive client connection: {}", e.name));
  act(LogEvent{{"all", e.name}, Value(Value::Map{{"action", "add-client"}, {"client", e.name}})});
}

void Machine::on(ClientLeft& e) {
  if (!state_.has_client(e.client)) return;
  Client& cs = state_.client(e.client);
  cs.connected = false;
  say(Severity::kInfo, fmt::format("Remove client {}", cs.name));
  act(LogEvent{{"all", cs.name}, Value(Value::Map{{"action", "remove-client"}, {"client", cs.name}})});
  const std::vector<std::uint32_t> wanted = cs.wants_what;
  release_wants(e.client, wanted);
  queue_slots_maybe_opened();
  state_.remove_client(e.client);
  ++state_.clients_removed;
}

void Machine::on(KeysDesired& e) {
  if (!state_.has_client(e.client)) return;
  for (const Key& key : e.keys) {
    Task* ts = find(key);
    if (!ts) {
      say(Severity::kWarning, fmt::format("Client '{}' desires key {} but key is unknown.", state_.client(e.client).name, key.repr()));
      continue;
    }
    const bool settled = ts->state == TaskState::kMemory || ts->state == TaskState::kErred;
    if (e.client == fire_and_forget_ && settled) continue;  // it has run already
    state_.add_want(*ts, e.client);
    report_on(*ts, e.client);
    if (ts->state == TaskState::kReleased) recommend(*ts, TaskState::kWaiting);  // Dask would let it wait for ever
  }
}

void Machine::on(KeysReleased& e) {
  if (!state_.has_client(e.client)) return;
  std::vector<std::uint32_t> slots;
  for (const Key& key : e.keys)
    if (const Task* ts = find(key)) slots.push_back(ts->slot);
  release_wants(e.client, slots);
  queue_slots_maybe_opened();
}

void Machine::on(KeysCancelled& e) {
  if (!state_.has_client(e.client)) return;
  // The keys and everything that depends on them, as far as nobody else wants it.
  std::vector<Task*> stack;
  std::set<std::uint32_t> asked;
  for (const Key& key : e.keys)
    if (Task* ts = find(key)) {
      stack.push_back(ts);
      asked.insert(ts->slot);
    }
  std::set<std::uint32_t> seen;
  std::vector<std::uint32_t> cancelled;
  std::vector<std::uint32_t> shared;  // others want them, too: only our wish ends, and nobody else is told
  std::set<ClientId> clients;
  while (!stack.empty()) {
    Task* ts = stack.back();
    stack.pop_back();
    if (!seen.insert(ts->slot).second) continue;
    const bool only_ours = ts->who_wants.size() == 1 && ts->who_wants.front().client == e.client;
    if (!e.force && !only_ours) {
      if (asked.contains(ts->slot)) shared.push_back(ts->slot);
      continue;
    }
    for (const Edge& edge : ts->dependents) stack.push_back(&state_.task(edge.task));
    cancelled.push_back(ts->slot);
    clients.insert(e.client);
    if (e.force)
      for (const Want& want : ts->who_wants) clients.insert(want.client);
  }
  ReportCancelledKeys report;
  for (std::uint32_t slot : cancelled) report.keys.push_back(state_.task(slot).key);
  report.reason = e.reason;
  report.msg = e.msg;
  say(Severity::kInfo, fmt::format("Client {} requests to cancel {} keys", state_.client(e.client).name, e.keys.size()));
  act(LogEvent{{state_.client(e.client).name}, Value(Value::Map{{"action", "cancel"}, {"count", e.keys.size()}, {"force", e.force}})});
  release_wants(e.client, shared);
  for (ClientId client : clients) release_wants(client, cancelled);
  if (!report.keys.empty()) act(std::move(report));
  queue_slots_maybe_opened();
}

void Machine::on(RetryRequested& e) {
  std::vector<Task*> stack, roots;
  std::set<std::uint32_t> seen;
  for (const Key& key : e.keys)
    if (Task* ts = find(key)) stack.push_back(ts);
  while (!stack.empty()) {
    Task* ts = stack.back();
    stack.pop_back();
    if (!seen.insert(ts->slot).second) continue;
    bool erred_dependency = false;
    for (const Edge& edge : ts->dependencies)
      if (Task& dependency = state_.task(edge.task); dependency.state == TaskState::kErred) {
        stack.push_back(&dependency);
        erred_dependency = true;
      }
    if (!erred_dependency && ts->state == TaskState::kErred) roots.push_back(ts);
  }
  retry(std::move(roots));
  queue_slots_maybe_opened();
}

// Gives failed tasks another chance, and what failed because of them, unless it would fail because of another one again.
// All are released first: then those that are wanted start, and what they need with them.
void Machine::retry(std::vector<Task*> erred) {
  const auto has_erred_dependency = [this](const Task& ts) {
    return std::any_of(ts.dependencies.begin(), ts.dependencies.end(),
                       [&](const Edge& edge) { return state_.task(edge.task).state == TaskState::kErred; });
  };
  SmallVector<std::uint32_t, 8> wanted;
  while (!erred.empty()) {
    Task& ts = *erred.back();
    erred.pop_back();
    if (ts.state != TaskState::kErred) continue;
    transition(ts, TaskState::kReleased);
    if (!ts.who_wants.empty()) wanted.push_back(ts.slot);
    for (const Edge& edge : ts.dependents)
      if (Task& dependent = state_.task(edge.task); dependent.state == TaskState::kErred && !has_erred_dependency(dependent))
        erred.push_back(&dependent);
  }
  recommend_by_priority(wanted, TaskState::kWaiting);
}

void Machine::on(KeyReportRequested& e) {
  if (const Task* ts = find(e.key))
    report_on(*ts, e.client);
  else if (state_.has_client(e.client))
    act(ReportCancelledKeys{e.client, {std::move(e.key)}, "", ""});
}

void Machine::on(DataUpdated& e) {
  for (DataUpdated::Item& item : e.items) {
    Task* ts = find(item.key);
    if (!ts) {
      ts = &state_.new_task(item.key, TaskState::kReleased);
      state_.set_state(*ts, TaskState::kMemory);
    } else if (ts->state != TaskState::kMemory) {
      // A key that is being computed has its value now: what computes it is told to stop, and what it needs is not needed.
      if (ts->state == TaskState::kErred)
        retry({ts});
      else if (ts->state != TaskState::kReleased)
        transition(*ts, TaskState::kReleased);
      take_recommendation(*ts, TaskState::kReleased);
      if (ts->state != TaskState::kReleased) continue;
      let_go_of_dependencies(*ts);
      state_.set_state(*ts, TaskState::kMemory);
    }
    if (item.nbytes >= 0) state_.set_nbytes(*ts, item.nbytes);
    for (WorkerId worker : item.workers)
      if (present(worker)) state_.add_replica(*ts, state_.worker(worker));
    if (e.client.valid() && state_.has_client(e.client)) state_.add_want(*ts, e.client);
    const bool orphan = e.client.valid() && !state_.has_client(e.client) && !is_wanted(*ts);  // its client has left meanwhile
    if (ts->who_has.empty() || orphan) {  // or the worker left before its data was known
      recommend(*ts, TaskState::kReleased);
      continue;
    }
    for (const Edge& edge : ts->dependents) {
      Edge& mate = state_.mate_of_dependent(edge);
      Task& dependent = state_.task(edge.task);
      if (!mate.flag) continue;
      state_.set_waiting_on(dependent, mate, false);
      if (dependent.waiting_on == 0) recommend(dependent, TaskState::kProcessing);
    }
    for (const Want& want : ts->who_wants)
      if (state_.client(want.client).connected) act(ReportKeyInMemory{want.client, State::id_of(*ts), {}, item.workers, {}});
  }
  queue_slots_maybe_opened();
}

}  // namespace dask::scheduler
