#include "scheduler/server/memory_manager.h"

#include <chrono>

#include "core/runtime/log.h"
#include "scheduler/policy/memory.h"
#include "scheduler/server/server.h"

namespace dask::scheduler {
namespace {

constexpr std::string_view kStart = "distributed.scheduler.active-memory-manager.start";
constexpr std::string_view kInterval = "distributed.scheduler.active-memory-manager.interval";
constexpr std::string_view kMeasure = "distributed.scheduler.active-memory-manager.measure";
constexpr std::string_view kPolicies = "distributed.scheduler.active-memory-manager.policies";
constexpr std::string_view kReduceReplicas = "distributed.active_memory_manager.ReduceReplicas";
constexpr double kIntervalMin_s = 0.001;

}  // namespace

MemoryManager::MemoryManager(Server& server) : server_(server) {
  const Config& config = server.config();
  if (auto start = config.get_bool(kStart)) starts_ = *start;
  if (auto interval = config.get_seconds(kInterval); interval && *interval) interval_s_ = std::max(**interval, kIntervalMin_s);
  if (auto measure = config.get_string(kMeasure)) measure_ = *measure;
  if (const Value* policies = config.find(kPolicies); policies && policies->array_if()) {
    reduces_replicas_ = false;
    for (const Value& policy : *policies->array_if()) {
      const std::string_view name = policy["class"].as_string();
      if (name == kReduceReplicas)
        reduces_replicas_ = true;
      else
        log_warning("{}: the policy '{}' is Python code and is not run by this scheduler; only {} is", kPolicies, name, kReduceReplicas);
    }
  }
}

void MemoryManager::start_as_configured() {
  if (starts_) start();
}

void MemoryManager::start() {
  if (running()) return;
  timer_ = server_.loop().every(std::chrono::ceil<net::Loop::Duration>(std::chrono::duration<double>(interval_s_)), [this] { run_once(); });
}

void MemoryManager::run_once() {
  if (reduces_replicas_) server_.apply(ReplicaReviewDue{measure_}, server_.stimulus("active_memory_manager"));
}

Result<void> check_memory_manager_config(const Config& config) {
  const auto measure = config.get_string(kMeasure);
  if (measure && !MemoryState{}.measure(*measure))
    return fail(ErrorCode::kInvalidArgument, fmt::format("{} is '{}'; it must be one of managed, managed_total, optimistic, process, "
                                                         "spilled, unmanaged, unmanaged_old, unmanaged_recent",
                                                         kMeasure, *measure));
  return {};
}

void add_memory_manager_operations(RpcTable& table) {
  table["amm_handler"] = [](Server& server, RpcCallPtr call) {
    MemoryManager& manager = server.memory_manager();
    const std::string_view method = call->msg["method"].as_string();
    if (method == "running") return call->reply(Value(manager.running()));
    if (method == "start")
      manager.start();
    else if (method == "stop")
      manager.stop();
    else if (method == "run_once")
      manager.run_once();
    else
      return call->raise("builtins.ValueError",
                         "amm_handler: the method must be start, stop, run_once or running, not " + call->msg["method"].repr());
    call->reply(Value());
  };
}

}  // namespace dask::scheduler
