// The small steps that keep a worker's state consistent: tasks and their counts, peers and what they hold, resources.
#include "worker/state/state.h"

#include <utility>

#include <algorithm>
#include <cmath>

namespace dask::worker {
namespace {

// distributed.comm.get_address_host: what identifies the machine in tcp://10.0.0.1:80, tls://[::1]:80, inproc://10.0.0.1/123/1.
std::string_view host_of(std::string_view address) {
  if (std::size_t scheme = address.find("://"); scheme != std::string_view::npos) address.remove_prefix(scheme + 3);
  if (!address.empty() && address.front() == '[') {
    const std::size_t end = address.find(']');
    return end == std::string_view::npos ? address : address.substr(1, end - 1);
  }
  address = address.substr(0, address.find('/'));
  return address.substr(0, address.rfind(':'));
}

}  // namespace

State::State(Settings settings) : settings_(std::move(settings)), log_(settings_.story_length_max) {
  host_ = host_of(settings_.address);
  total_resources_ = settings_.resources;
  available_resources_ = settings_.resources;
}

void State::set_address(std::string address) {
  settings_.address = std::move(address);
  host_ = host_of(settings_.address);
  for (auto& [name, peer] : peers_) peer->same_host = host_of(name) == host_;
}

// ---- tasks ----

const Task* State::find(const Key& key) const {
  auto found = tasks_.find(key);
  return found == tasks_.end() ? nullptr : found->second.get();
}

Task* State::find_task(const Key& key) {
  auto found = tasks_.find(key);
  return found == tasks_.end() ? nullptr : found->second.get();
}

std::vector<const Task*> State::tasks() const {
  std::vector<const Task*> out;
  out.reserve(tasks_.size());
  for (const auto& [key, task] : tasks_) out.push_back(task.get());
  std::sort(out.begin(), out.end(), ByAge());
  return out;
}

Task& State::find_or_new_task(const Key& key) {
  const auto [place, added] = tasks_.try_emplace(key);
  std::unique_ptr<Task>& task = place.value();
  if (!added) return *task;
  if (spare_.empty()) {
    task = std::make_unique<Task>();
  } else {
    task = std::move(spare_.back());
    spare_.pop_back();
  }
  Task& ts = *task;
  ts.seq = next_seq_++;
  ts.key = key;
  ++counts_[static_cast<std::size_t>(ts.state)];
  return ts;
}

void State::reap_forgotten() {
  for (std::unique_ptr<Task>& task : forgotten_) {
    if (spare_.size() >= kSpareTasksMax) break;
    std::destroy_at(task.get());
    std::construct_at(task.get());
    spare_.push_back(std::move(task));
  }
  forgotten_.clear();
}

void State::erase_task(Task& ts) {
  set_state(ts, TaskState::kForgotten);
  --counts_[static_cast<std::size_t>(TaskState::kForgotten)];
  auto found = tasks_.find(ts.key);
  forgotten_.push_back(std::move(found.value()));
  tasks_.erase(found);
}

void State::set_state(Task& ts, TaskState state) {
  --counts_[static_cast<std::size_t>(ts.state)];
  ts.state = state;
  ++counts_[static_cast<std::size_t>(state)];
}

// ---- peers ----

Peer* State::find_peer(std::string_view address) {
  auto found = peers_.find(address);
  return found == peers_.end() ? nullptr : found->second.get();
}

Peer& State::peer(const std::string& address) {
  std::unique_ptr<Peer>& slot = peers_[address];
  if (!slot) {
    slot = std::make_unique<Peer>();
    slot->seq = next_seq_++;
    slot->address = address;
    slot->same_host = host_of(address) == host_;
  }
  return *slot;
}

void State::forget_idle_peers() {
  for (Peer* peer : maybe_idle_)
    if (peer->has_what.empty() && !peer->in_flight && !peer->busy) peers_.erase(peers_.find(peer->address));
  maybe_idle_.clear();
}

void State::add_holder(Task& ts, Peer& peer) {
  if (!ts.who_has.insert(&peer)) return;
  peer.has_what.insert(&ts);
  if (ts.state == TaskState::kFetch) need(ts, peer);
}

void State::remove_holder(Task& ts, Peer& peer) {
  if (ts.who_has.erase(&peer) == 0) return;
  peer.has_what.erase(&ts);
  unneed(ts, peer);
  maybe_idle_.insert(&peer);
}

void State::need(Task& ts, Peer& peer) {
  peer.data_needed.add(&ts, ts.priority);
  needed_peers_.insert(&peer);
}

void State::unneed(Task& ts, Peer& peer) {
  if (peer.data_needed.remove(&ts) && peer.data_needed.empty()) needed_peers_.erase(&peer);
}

// ---- resources ----

void State::enter_executing(Task& ts) {
  if (!executing_.insert(&ts) || !ts.is_native()) return;
  const auto known = native_durations_.find(std::get<NativeRunSpec>(ts.run_spec).function);
  ts.native_counted = true;
  ts.native_expected = known == native_durations_.end() ? 0 : known->second;
  ++native_executing_;
  native_executing_seconds_ += ts.native_expected;
}

bool State::leave_executing(Task& ts) {
  if (executing_.erase(&ts) == 0) return false;
  if (std::exchange(ts.native_counted, false)) {
    native_executing_seconds_ = --native_executing_ == 0 ? 0 : native_executing_seconds_ - ts.native_expected;
    ts.native_expected = 0;
  }
  return true;
}

bool State::may_run_ahead(const Task& ts) const {
  const auto* native = std::get_if<NativeRunSpec>(&ts.run_spec);
  // Python's tasks occupy the threads that they have been given; only native ones make room in no time.
  if (!native || native_executing_ == 0 || native_executing_ < executing_.size()) return false;
  if (native_executing_ >= settings_.native_ahead_tasks * settings_.nthreads) return false;
  const auto known = native_durations_.find(native->function);
  return known != native_durations_.end() &&
         native_executing_seconds_ + known->second <= settings_.native_ahead_seconds * static_cast<double>(settings_.nthreads);
}

void State::note_native_duration(const std::string& function, double seconds) {
  const auto known = native_durations_.find(function);
  if (known != native_durations_.end()) {
    known->second = (known->second + seconds) / 2;
  } else if (native_durations_.size() < settings_.native_functions_max) {
    native_durations_.emplace(function, seconds);
  } else {
    ++native_functions_over_limit_;
  }
}

bool State::resources_satisfied(const Task& ts) const {
  return std::all_of(ts.resource_restrictions.begin(), ts.resource_restrictions.end(), [this](const auto& restriction) {
    auto found = available_resources_.find(restriction.first);
    return found != available_resources_.end() && found->second >= restriction.second;
  });
}

void State::acquire_resources(const Task& ts) {
  for (const auto& [name, needed] : ts.resource_restrictions) available_resources_[name] -= needed;
}

void State::release_resources(const Task& ts) {
  for (const auto& [name, needed] : ts.resource_restrictions) {
    double& available = available_resources_[name];
    available += needed;
    // What rounding takes away must not keep the last task from running.
    if (const double total = total_resources_[name]; std::abs(available - total) < 1e-9) available = total;
  }
}

std::string State::story_text(const Key& key) const {
  std::string out;
  for (const Value& record : story({key})) out += "  " + record.repr() + "\n";
  return out;
}

}  // namespace dask::worker
