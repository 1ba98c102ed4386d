#include "scheduler_seen.h"

#include <fmt/format.h>

#include <algorithm>

namespace dask::stories {

using namespace scheduler;

std::string Seen::str() const {
  static const std::vector<std::string> to_clients{"in-memory", "lost", "erred", "retried", "cancelled"};
  const bool client = std::find(to_clients.begin(), to_clients.end(), kind) != to_clients.end();
  std::string s = kind;
  if (!key.empty()) s += " " + key;
  if (!target.empty()) s += (client ? " for " : " on ") + target;
  if (!where.empty()) s += " where " + where;
  if (!text.empty()) s += ": " + text;
  return s;
}

namespace {

struct Renderer {
  const Machine& machine;
  const Actions& actions;
  const std::map<WorkerId, std::string>& names;
  std::vector<Seen> seen;

  std::string worker(WorkerId id) const {
    auto it = names.find(id);
    return it == names.end() ? "?" : it->second;
  }
  std::string client(ClientId id) const {
    if (!id.valid()) return "all";
    return machine.state().has_client(id) ? machine.state().client(id).name : "gone";
  }
  std::string key(TaskId id) const {
    const Task* ts = machine.state().get(id);
    return ts ? ts->key.str() : "?";
  }
  std::string key(TaskId id, const Key& otherwise) const { return id.valid() ? key(id) : otherwise.str(); }
  std::string holders(const DependencyLocation& location) const {
    std::string s;
    for (auto i = location.holders_begin; i < location.holders_end; ++i)
      s += fmt::format("{}{}", s.empty() ? "" : ",", worker(actions.holders[i]));
    return s;
  }
  void each_dependency(const char* kind, WorkerId to, std::uint32_t begin, std::uint32_t end) {
    for (auto d = begin; d < end; ++d) {
      const DependencyLocation& location = actions.dependencies[d];
      seen.push_back({kind, key(location.task), worker(to), "", fmt::format("{}={}", key(location.task), holders(location))});
    }
  }

  void operator()(const SendComputeTask& a) {
    Seen s{"compute", key(a.task), worker(a.worker)};
    for (auto d = a.dependencies_begin; d < a.dependencies_end; ++d) {
      const DependencyLocation& location = actions.dependencies[d];
      s.where += fmt::format("{}{}={}", s.where.empty() ? "" : " ", key(location.task), holders(location));
    }
    s.run_id = a.run_id;
    seen.push_back(std::move(s));
  }
  void operator()(const SendFreeKey& a) { seen.push_back({"free", key(a.task, a.key), worker(a.worker)}); }
  void operator()(const SendRemoveReplica& a) { seen.push_back({"remove-replica", a.key.str(), worker(a.worker)}); }
  void operator()(const SendAcquireReplicas& a) { each_dependency("acquire", a.worker, a.dependencies_begin, a.dependencies_end); }
  void operator()(const SendRefreshWhoHas& a) { each_dependency("refresh", a.worker, a.dependencies_begin, a.dependencies_end); }
  void operator()(const SendStealRequest& a) { seen.push_back({"steal", key(a.task), worker(a.worker), a.stimulus_id}); }
  void operator()(const CloseWorker& a) { seen.push_back({"close", "", worker(a.worker), a.reason}); }
  void operator()(const ReportKeyInMemory& a) { seen.push_back({"in-memory", key(a.task), client(a.client)}); }
  void operator()(const ReportLostData& a) { seen.push_back({"lost", key(a.task), client(a.client)}); }
  void operator()(const ReportTaskErred& a) {
    std::string text = a.failure ? a.failure->error_class : "no failure";
    if (a.failure) text += (text.empty() ? "" : ": ") + a.failure->exception_text;
    seen.push_back({"erred", key(a.task, a.key), client(a.client), text});
  }
  void operator()(const ReportTaskRetried& a) { seen.push_back({"retried", key(a.task), client(a.client)}); }
  void operator()(const ReportCancelledKeys& a) {
    for (const Key& k : a.keys) seen.push_back({"cancelled", k.str(), client(a.client), a.reason});
  }
  void operator()(const Say& a) {
    if (a.severity == Severity::kWarning || a.severity == Severity::kError)
      seen.push_back({a.severity == Severity::kWarning ? "warning" : "error", "", "", a.text});
  }
  void operator()(const BarrierStopped& a) { seen.push_back({"barrier-stopped", key(a.barrier)}); }
  void operator()(const ShuffleTaskErred& a) { seen.push_back({"shuffle-failed", key(a.barrier)}); }
  void operator()(const auto&) {}  // what nobody outside waits for: events, the task stream
};

}  // namespace

std::vector<Seen> render(const Machine& machine, const Actions& actions, const std::map<WorkerId, std::string>& names) {
  Renderer renderer{machine, actions, names, {}};
  for (const Action& action : actions.list) std::visit(renderer, action);
  return std::move(renderer.seen);
}

}  // namespace dask::stories
