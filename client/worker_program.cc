// The child of LocalCluster that is a worker.
#include "client/child_report.h"
#include "client/internal_programs.h"

#include <cstdlib>

namespace dask::client {

// argv: the flag, the socket, the scheduler's address, threads, memory limit, name, number of workers.
int run_worker(int argc, char** argv) {
  if (argc < 7) return 2;
  report_to_parent(std::atoi(argv[1]), Value(Value::Map{{"error", "this program was built without the worker"}}));
  return 1;
}

}  // namespace dask::client
