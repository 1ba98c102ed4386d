// LocalCluster: a scheduler and workers on this machine, for as long as the object lives. They are this same program, started again
// (dask::init comes first in main), so that every task function of the program is there.
#pragma once

#include <memory>
#include <string>

namespace dask {

struct LocalClusterOptions {
  int n_workers = 0;                  // 0: one, with all threads: native tasks share memory and need no processes to run at the same time
  int threads_per_worker = 0;         // 0: the machine's cores divided by the workers
  std::string memory_limit = "auto";  // per worker: "4 GiB", "0.5" (of the machine's memory), "auto": this worker's share
  int scheduler_port = 0;             // 0: any free one
  std::string dashboard_address = ":8787";  // ":0": any free port
  double start_timeout_s = 30;
};

class LocalCluster {
 public:
  // Returns when all workers have joined. Throws std::logic_error without dask::init, std::runtime_error when a part does not start,
  // TimeoutError.
  explicit LocalCluster(const LocalClusterOptions& options = {});
  ~LocalCluster();  // close()
  LocalCluster(LocalCluster&&) noexcept;
  LocalCluster& operator=(LocalCluster&&) noexcept;

  // Ends workers and scheduler, politely first.
  void close();

  const std::string& scheduler_address() const;
  const std::string& dashboard_link() const;
  int workers() const;
  // LocalCluster('tcp://127.0.0.1:41234', workers=1, threads=8)
  std::string repr() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dask
