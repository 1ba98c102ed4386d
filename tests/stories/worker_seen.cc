// Instructions as words.
#include "worker_seen.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dask::stories {

using namespace worker;

namespace {

struct Renderer {
  std::vector<WorkerSeen>& out;

  WorkerSeen& seen(std::string kind, const std::vector<Key>& keys = {}) {
    WorkerSeen& s = out.emplace_back();
    s.kind = std::move(kind);
    for (const Key& key : keys) s.keys.push_back(key.str());
    return s;
  }
  void operator()(const GatherDep& i) { seen("gather", i.to_gather).peer = name_of_peer(i.worker); }
  void operator()(const Execute& i) { seen("execute", {i.key}).run_id = i.run_id; }
  void operator()(const RetryBusyWorkerLater& i) { seen("later").peer = name_of_peer(i.worker); }
  void operator()(const DropData& i) { seen("drop", {i.key}).text = i.actor ? "actor" : ""; }
  void operator()(const RefuseData& i) { seen("refuse", {i.key}).text = i.reason; }
  void operator()(const CloseWorker& i) { seen("close").text = i.reason; }
  void operator()(const Warn& i) { seen("warning").text = i.text; }
  void operator()(const NotifyTransition&) {}
  void operator()(const TaskFinishedMsg& i) { seen("finished", {i.key}).run_id = i.run_id; }
  void operator()(const TaskErredMsg& i) { seen("erred", {i.key}).text = i.exception_text; }
  void operator()(const ReleaseWorkerDataMsg& i) { seen("release", {i.key}); }
  void operator()(const AddKeysMsg& i) { seen("add", i.keys); }
  void operator()(const LongRunningMsg& i) { seen("long-running", {i.key}).run_id = i.run_id; }
  void operator()(const RescheduleMsg& i) { seen("reschedule", {i.key}); }
  void operator()(const RequestRefreshWhoHasMsg& i) { seen("ask", i.keys); }
  void operator()(const StealResponseMsg& i) { seen("stolen", {i.key}).text = i.state.empty() ? "none" : i.state; }
  void operator()(const NativeTaskFinishedMsg& i) {
    WorkerSeen& s = seen("finished", {i.key});
    s.run_id = i.run_id;
    s.text = fmt::format("native handle {}", i.handle);
  }
  void operator()(const NativeTaskErredMsg& i) {
    seen("erred", {i.key}).text = fmt::format("native handle {}: {}", i.handle, i.failure ? i.failure->exception_text : "");
  }
};

}  // namespace

std::string WorkerSeen::str() const {
  std::string line = kind;
  if (!keys.empty()) line += fmt::format(" {}", fmt::join(keys, " "));
  if (!peer.empty()) line += " from " + peer;
  if (run_id >= 0) line += fmt::format(" run={}", run_id);
  if (!text.empty()) line += ": " + text;
  return line;
}

std::vector<WorkerSeen> render(const Instructions& instructions) {
  std::vector<WorkerSeen> out;
  for (const Instruction& instruction : instructions) std::visit(Renderer{out}, instruction);
  return out;
}

std::string address_of(std::string_view name) {
  const auto dot = name.find('.');
  return fmt::format("tcp://{}:{}", name.substr(0, dot), dot == name.npos ? "1" : name.substr(dot + 1));
}

std::string name_of_peer(std::string_view address) {
  address.remove_prefix(std::string_view("tcp://").size());
  const auto colon = address.find(':');
  const std::string host(address.substr(0, colon)), port(address.substr(colon + 1));
  return port == "1" ? host : host + "." + port;
}

}  // namespace dask::stories
