// Tasks, their names, prefixes, groups and clients. Workers and replicas: workers.cc; edges and queues: links.cc.
#include "scheduler/state/state.h"

#include <algorithm>
#include <cmath>

namespace dask::scheduler {

std::string_view name_of(TaskState state) {
  static constexpr std::string_view names[] = {"released", "waiting", "no-worker", "queued", "processing", "memory", "erred", "forgotten"};
  return names[static_cast<std::size_t>(state)];
}

State::State(Settings settings) : settings_(std::move(settings)), bandwidth_(settings_.bandwidth) { add_client("fire-and-forget", false); }

Task* State::find(std::string_view key) {
  const std::uint32_t slot = index_.find(
      key, Key::hash(key), [this](std::uint32_t s) { return task(s).key.msgpack(); }, &Key::equal);
  return slot == KeyIndex::kNone ? nullptr : &task(slot);
}

Task* State::get(TaskId id) {
  if (id.index >= slots_used_) return nullptr;
  Task& ts = task(id.index);
  return ts.alive && ts.generation == id.generation ? &ts : nullptr;
}

Task& State::new_task(const Key& key, TaskState state) {
  std::uint32_t slot;
  if (!free_slots_.empty()) {
    slot = free_slots_.back();
    free_slots_.pop_back();
  } else {
    slot = slots_used_++;
    if ((slot >> kChunkBits) == chunks_.size()) chunks_.push_back(std::make_unique<Task[]>(kChunkMask + 1));
  }
  Task& ts = task(slot);
  ts.slot = slot;
  ts.key = key;
  ts.alive = true;
  ts.state = state;
  ts.group = group_of(key);
  TaskGroup& tg = group(ts.group);
  ts.prefix = tg.prefix;
  ++tg.references;
  for (TaskCollection* c : {static_cast<TaskCollection*>(&tg), static_cast<TaskCollection*>(&prefix(ts.prefix))}) {
    ++c->states[static_cast<std::size_t>(state)];
    ++c->size;
  }
  index_.insert(ts.key.hash(), slot);
  return ts;
}

void State::forget(Task& ts) {
  DASK_CHECK(
      ts.state == TaskState::kForgotten && ts.dependencies.empty() && ts.dependents.empty() && ts.who_wants.empty() && ts.who_has.empty(),
      "{} is forgotten with links", ts.key.str());
  index_.erase(ts.key.hash(), ts.slot);
  forgotten_slots_.push_back(ts.slot);
  ++tasks_forgotten;
  if (record_forgotten) forgotten.push_back(ts.key);
  TaskGroup& tg = group(ts.group);
  const bool all_forgotten = tg.states[static_cast<std::size_t>(TaskState::kForgotten)] == tg.size;
  if (all_forgotten && tg.indexed) {
    // Dask's TaskPrefix.remove_group: the group's counts leave the prefix.
    TaskPrefix& tp = prefix(tg.prefix);
    for (std::size_t i = 0; i < kTaskStates; ++i) tp.states[i] -= tg.states[i];
    tp.size -= tg.size;
    tp.duration_us -= tg.duration_us;
    tp.nbytes_total -= tg.nbytes_total;
    for (const auto& [type, n] : tg.types)
      if ((tp.types[type] -= n) == 0) tp.types.erase(type);
    group_keys_.erase(tg.key);
    tg.indexed = false;
    // Groups may depend on each other in a circle: a group without tasks lets go of the others.
    const std::set<GroupId> dependencies = std::exchange(tg.dependencies, {});
    for (GroupId dependency : dependencies)
      if (dependency != ts.group) release_group(dependency);
  }
}

void State::reap() {
  for (std::uint32_t slot : forgotten_slots_) {
    Task& ts = task(slot);
    release_group(ts.group);
    const std::uint32_t generation = ts.generation + 1;
    const std::uint32_t ticket = ts.queue_ticket + 1;
    ts = Task{};
    ts.slot = slot;
    ts.generation = generation;
    ts.queue_ticket = ticket;
    free_slots_.push_back(slot);
  }
  forgotten_slots_.clear();
}

GroupId State::group_of(const Key& key) {
  std::string group_key = key_split_group(key.msgpack());
  if (auto it = group_keys_.find(group_key); it != group_keys_.end()) return it->second;
  std::string prefix_name = key_split(key.msgpack());
  PrefixId prefix_id;
  if (auto it = prefix_names_.find(prefix_name); it != prefix_names_.end()) {
    prefix_id = it->second;
  } else {
    prefix_id = PrefixId{static_cast<std::uint32_t>(prefixes_.size())};
    auto tp = std::make_unique<TaskPrefix>();
    tp->name = prefix_name;
    if (auto known = settings_.default_task_durations_s.find(prefix_name); known != settings_.default_task_durations_s.end())
      tp->duration_average = known->second;
    prefixes_.push_back(std::move(tp));
    prefix_names_.emplace(prefix_name, prefix_id);
  }
  GroupId id;
  if (!free_groups_.empty()) {
    id = GroupId{free_groups_.back()};
    free_groups_.pop_back();
  } else {
    id = GroupId{static_cast<std::uint32_t>(groups_.size())};
    groups_.emplace_back();
  }
  auto tg = std::make_unique<TaskGroup>();
  tg->name = group_key;
  tg->key = group_key;
  tg->prefix = prefix_id;
  groups_[id.value] = std::move(tg);
  group_keys_.emplace(std::move(group_key), id);
  return id;
}

void State::release_group(GroupId id) {
  TaskGroup& tg = group(id);
  if (--tg.references > 0 || tg.indexed) return;
  const std::set<GroupId> dependencies = std::move(tg.dependencies);
  groups_[id.value].reset();
  free_groups_.push_back(id.value);
  for (GroupId dependency : dependencies)
    if (dependency != id) release_group(dependency);
}

void State::set_state(Task& ts, TaskState state) {
  const auto from = static_cast<std::size_t>(ts.state), to = static_cast<std::size_t>(state);
  TaskGroup& tg = group(ts.group);
  TaskPrefix& tp = prefix(ts.prefix);
  --tg.states[from];
  ++tg.states[to];
  --tp.states[from];
  ++tp.states[to];
  ++tp.state_counts[to];
  ts.state = state;
}

void State::set_nbytes(Task& ts, std::int64_t nbytes) {
  const std::int64_t in_workers = nbytes - nbytes_of(ts);  // what workers counted was never negative
  const std::int64_t in_groups = nbytes - std::max<std::int64_t>(ts.nbytes, 0);
  group(ts.group).nbytes_total += in_groups;
  prefix(ts.prefix).nbytes_total += in_groups;
  for (const Holder& holder : ts.who_has) worker(holder.worker).nbytes += in_workers;
  ts.nbytes = nbytes;
}

TaskExtra& State::extra(Task& ts) {
  if (!ts.extra) ts.extra = std::make_unique<TaskExtra>();
  return *ts.extra;
}

void State::add_duration(Task& ts, const std::string& action, double start, double stop) {
  const auto us = std::max<std::int64_t>(std::llround((stop - start) * 1e6), 0);
  TaskGroup& tg = group(ts.group);
  TaskPrefix& tp = prefix(ts.prefix);
  tg.duration_us += us;
  tp.duration_us += us;
  tg.all_durations_us[action] += us;
  tp.all_durations_us[action] += us;
  if (action != "compute") return;
  tg.stop = std::max(tg.stop, stop);
  if (tg.start == 0 || tg.start > start) tg.start = start;
  const double seconds = static_cast<double>(us) / 1e6;
  tp.duration_average = tp.duration_average < 0 ? seconds : 0.5 * seconds + 0.5 * tp.duration_average;
}

void State::set_typename(Task& ts, const std::string& name) {
  auto [it, added] = typename_ids_.try_emplace(name, static_cast<std::uint32_t>(typenames_.size()));
  if (added) typenames_.push_back(name);
  ts.typename_id = it->second;
  ++group(ts.group).types[it->second];
  ++prefix(ts.prefix).types[it->second];
}

const std::string& State::typename_of(const Task& ts) const {
  static const std::string unknown;
  return ts.typename_id == UINT32_MAX ? unknown : typenames_[ts.typename_id];
}

Client& State::add_client(const std::string& name, bool connected) {
  const ClientId id{static_cast<std::uint32_t>(clients_.size())};
  auto client = std::make_unique<Client>();
  client->name = name;
  client->id = id;
  client->connected = connected;
  clients_.push_back(std::move(client));
  client_names_[name] = id;
  return *clients_.back();
}

Client* State::find_client(std::string_view name) {
  auto it = client_names_.find(name);
  return it == client_names_.end() ? nullptr : clients_[it->second.value].get();
}

void State::remove_client(ClientId id) {
  Client& cs = client(id);
  DASK_CHECK(cs.wants_what.empty(), "client {} leaves with wishes", cs.name);
  if (auto it = client_names_.find(cs.name); it != client_names_.end() && it->second == id) client_names_.erase(it);
  clients_[id.value].reset();
}

bool State::wants(const Task& ts, ClientId id) const {
  return std::any_of(ts.who_wants.begin(), ts.who_wants.end(), [&](const Want& want) { return want.client == id; });
}

void State::add_want(Task& ts, ClientId id) {
  if (wants(ts, id)) return;
  Client& cs = client(id);
  ts.who_wants.push_back(Want{id, static_cast<std::uint32_t>(cs.wants_what.size())});
  cs.wants_what.push_back(ts.slot);
}

bool State::remove_want(Task& ts, ClientId id) {
  auto it = std::find_if(ts.who_wants.begin(), ts.who_wants.end(), [&](const Want& want) { return want.client == id; });
  if (it == ts.who_wants.end()) return false;
  Client& cs = client(id);
  const std::uint32_t position = it->position;
  const std::uint32_t moved = cs.wants_what.back();
  cs.wants_what[position] = moved;
  cs.wants_what.pop_back();
  if (moved != ts.slot)
    for (Want& want : task(moved).who_wants)
      if (want.client == id) want.position = position;
  ts.who_wants.erase(it);
  return true;
}

void State::log_transition(const Task& ts, TaskState start, TaskState finish, const std::string& stimulus_id, double now) {
  if (settings_.transition_log_length == 0) return;
  if (transition_log_.size() < settings_.transition_log_length) transition_log_.emplace_back();
  TransitionRecord& record = transition_log_[transition_log_next_ % transition_log_.size()];
  transition_log_next_ = (transition_log_next_ + 1) % settings_.transition_log_length;
  record.key.assign(ts.key.msgpack());
  record.start = start;
  record.finish = finish;
  record.stimulus_id.assign(stimulus_id);
  record.time = now;
}

std::vector<const TransitionRecord*> State::transition_log() const {
  std::vector<const TransitionRecord*> records;
  const std::size_t n = transition_log_.size();
  const std::size_t first = n < settings_.transition_log_length ? 0 : transition_log_next_;
  for (std::size_t i = 0; i < n; ++i) records.push_back(&transition_log_[(first + i) % n]);
  return records;
}

}  // namespace dask::scheduler
