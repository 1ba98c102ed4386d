// The child of LocalCluster that is a worker: what worker_main does, for this machine only.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "client/child_report.h"
#include "client/internal_programs.h"

#if __has_include("worker/server/nanny.h")
#include <csignal>

#include "core/runtime/clock.h"
#include "core/runtime/log.h"
#include "worker/execute/native_pool.h"
#include "worker/execute/python_executor.h"
#include "worker/memory/limits.h"
#include "worker/server/nanny.h"
#endif

namespace dask::client {

// argv: the flag, the socket, the scheduler's address, threads, memory limit, name.
int run_worker(int argc, char** argv) {
  if (argc < 6) return 2;
  const int socket = std::atoi(argv[1]);
  const auto refuse = [&](const std::string& why) {
    report_to_parent(socket, Value(Value::Map{{"error", why}}));
    return 1;
  };
#if __has_include("worker/server/nanny.h")
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  auto config = Config::load_from_process();
  if (!config) return refuse("wrong configuration: " + config.error().message);
  const bool quiet = be_quiet(*config);
  if (auto configured = configure_log(*config); !configured) return refuse("wrong configuration: " + configured.error().message);
  set_log_name("distributed.worker");
  worker::WorkerOptions options;
  options.scheduler_address = argv[2];
  options.host = "127.0.0.1";
  options.nthreads = std::max(1, std::atoi(argv[3]));
  options.name = Value(std::atoi(argv[5]));
  std::string warning;
  auto limit = worker::parse_memory_limit(argv[4], options.nthreads, worker::cpu_count(), worker::system_memory_limit(), warning);
  if (!limit) return refuse("memory_limit: " + limit.error().message);
  options.memory_limit_bytes = *limit;
  if (!warning.empty()) log_warning("{}", warning);
  auto fractions = worker::memory_fractions(*config);
  if (!fractions) return refuse("wrong configuration: " + fractions.error().message);
  options.memory_fractions = *fractions;
  options.local_directory = config->get_string("temporary-directory").value_or("");
  if (options.local_directory.empty()) options.local_directory = std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp";
  options.python = worker::default_executor_python();
  options.python_path = worker::default_executor_python_path();
  options.lazy_python = true;
  if (quiet) options.environment["DASK_LOGGING__DISTRIBUTED"] = "warning";
  options.config = *std::move(config);

  net::Loop loop;
  SystemClock clock;
  int code = 0;
  worker::Nanny nanny(loop, clock, std::move(options), [&](int exit_code) {
    code = exit_code;
    loop.stop();
  });
  if (auto started = nanny.start(); !started) return refuse(started.error().message);
  // Ctrl-C reaches the whole group; the cluster's owner decides when it ends.
  loop.on_signals([&](int number) {
    if (number == SIGTERM) nanny.signal(number);
  });
  report_to_parent(socket, Value(Value::Map{{"pid", getpid()}}));
  loop.run();
  if (worker::native_functions_left_running() > 0) {
    std::fflush(nullptr);
    std::_Exit(code);
  }
  return code;
#else
  return refuse("this program was built without the worker");
#endif
}

}  // namespace dask::client
