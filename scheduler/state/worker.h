// A worker and a client as the scheduler knows them: Dask's WorkerState and ClientState. Plain data that only State changes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/ids.h"
#include "core/base/value.h"

namespace dask::scheduler {

enum class WorkerStatus : std::uint8_t { kInit, kRunning, kPaused, kClosingGracefully, kClosing, kClosed };
std::string_view name_of(WorkerStatus status);
// The status with Dask's name; kInit for names that the scheduler does not tell apart.
WorkerStatus worker_status(std::string_view name);

struct Worker {
  // Said at registration.
  std::string address;  // tcp://1.2.3.4:5678
  std::string host;     // 1.2.3.4
  Value name;           // str or int
  std::string server_id;
  std::string local_directory;
  std::int64_t nthreads = 1;
  std::int64_t memory_limit = 0;  // bytes; 0: none
  std::int64_t pid = 0;
  Value services;  // map
  Value nanny;     // address or nil
  Value versions;
  Value extra;
  std::map<std::string, double> resources;
  bool native = false;  // takes native tasks in batches

  // Said in heartbeats.
  Value metrics;
  double last_seen = 0;   // seconds of the scheduler's clock
  double time_delay = 0;  // scheduler's clock minus worker's
  std::int64_t memory_process = 0;
  std::int64_t memory_spilled = 0;
  std::int64_t disk_spilled = 0;
  std::deque<std::pair<double, std::int64_t>> memory_unmanaged_history;
  std::int64_t memory_unmanaged_old = 0;
  std::vector<std::pair<TaskId, double>> executing;

  // What it has and does.
  WorkerId id;
  WorkerStatus status = WorkerStatus::kInit;
  bool present = true;                    // false once removed
  std::vector<std::uint32_t> processing;  // slots of tasks
  std::vector<std::uint32_t> has_what;    // slots of tasks
  std::int64_t long_running = 0;          // of `processing`
  std::set<std::uint32_t> actors;
  std::vector<std::pair<PrefixId, std::int64_t>> task_prefix_count;  // processing and not long-running, by prefix
  struct Needed {
    std::int64_t tasks = 0;
    std::int64_t nbytes = 0;
  };
  std::unordered_map<TaskId, Needed> needs_what;  // replicas that processing tasks will fetch; no decision iterates it
  std::int64_t network_occ = 0;                   // bytes of needs_what
  std::int64_t nbytes = 0;                        // bytes of has_what
  std::map<std::string, double> used_resources;
};

struct Client {
  std::string name;
  ClientId id;
  bool connected = false;                 // false: a pseudo client (fire-and-forget, published-…, queue-…)
  std::vector<std::uint32_t> wants_what;  // slots of tasks
  Value versions;
  double last_seen = 0;
};

}  // namespace dask::scheduler
