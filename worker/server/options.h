// What a worker is started with: the command line and the configuration, read once (worker_main.cc) and handed on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/value.h"
#include "core/runtime/config.h"
#include "worker/memory/thresholds.h"

namespace dask::worker {

struct WorkerOptions {
  std::string scheduler_address;               // tcp://1.2.3.4:8786
  std::string host;                            // where we listen; empty: all interfaces
  std::string contact_address;                 // what we tell the scheduler instead of the address we listen at; empty: that
  std::vector<std::uint16_t> worker_ports{0};  // the first free one is taken; 0: any
  std::vector<std::uint16_t> nanny_ports{0};
  std::string dashboard_host;
  std::uint16_t dashboard_port = 0;  // 0: any
  bool dashboard = true;
  Value name;  // a string or an int; nil: the address
  int nthreads = 1;
  std::optional<std::uint64_t> memory_limit_bytes;
  MemoryFractions memory_fractions;
  std::map<std::string, double> resources;
  std::string local_directory;
  std::optional<double> death_timeout_seconds;  // without a scheduler for so long, the worker gives up
  bool nanny = true;                            // restart what dies, and serve the nanny's operations
  std::optional<double> lifetime_seconds;
  bool lifetime_restart = false;
  std::string python;                              // runs Python tasks
  bool lazy_python = false;                        // start the executor with the first Python task, not with the worker
  std::string python_path;                         // where it finds dask_native; empty: it finds it itself
  std::map<std::string, std::string> environment;  // of the executor
  std::vector<std::string> preload;                // modules or files that the executor loads first
  std::string worker_file;                         // written when the worker has registered
  bool validate = false;
  Config config;
};

}  // namespace dask::worker
