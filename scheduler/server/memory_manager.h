// MemoryManager: Dask's active memory manager (client.amm): every two seconds, superfluous copies of results are dropped.
// The decision is the machine's (ReplicaReviewDue); here are its configuration, its timer and its operation.
// Thread ownership: the loop's thread.
#pragma once

#include <optional>
#include <string>

#include "core/net/loop.h"
#include "core/runtime/config.h"

namespace dask::scheduler {

class Server;

class MemoryManager {
 public:
  explicit MemoryManager(Server& server);

  // As distributed.scheduler.active-memory-manager.start says.
  void start_as_configured();
  void start();
  void stop() { timer_.reset(); }
  void run_once();
  bool running() const { return timer_.has_value(); }

 private:
  Server& server_;
  double interval_s_ = 2;
  std::string measure_ = "optimistic";
  bool starts_ = true;
  bool reduces_replicas_ = true;
  std::optional<net::Loop::Timer> timer_;
};

// Names a value of the manager's configuration that is wrong.
Result<void> check_memory_manager_config(const Config& config);

}  // namespace dask::scheduler
