#include "dask/init.h"

#include <csignal>

#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "client/internal_programs.h"
#include "core/native/function_table.h"

namespace dask {
namespace client {
namespace {

std::atomic<bool> is_initialised{false};

}  // namespace

bool initialised() { return is_initialised.load(); }

void require_initialised(std::string_view what) {
  if (initialised()) return;
  throw std::logic_error(std::string(what) + " starts this program again for its workers: call dask::init(argc, argv) first in main()");
}

std::string own_program() { return "/proc/self/exe"; }

}  // namespace client

void init(int argc, char** argv) {
  const std::string_view flag = argc > 1 ? argv[1] : "";
  if (flag == client::kProcessWorkerFlag) {
    // Ctrl-C is for the parent, which then ends its children.
    signal(SIGINT, SIG_IGN);
    const int code = client::run_process_worker(argc > 2 ? std::atoi(argv[2]) : -1);
    std::fflush(nullptr);
    _exit(code);
  }
  if (flag == client::kSchedulerFlag) std::exit(client::run_scheduler(argc - 1, argv + 1));
  if (flag == client::kWorkerFlag) std::exit(client::run_worker(argc - 1, argv + 1));
  if (const auto table = native::FunctionTable::of_registered(); !table) {
    std::fprintf(stderr, "dask::init: %s\n", table.error().message.c_str());
    std::exit(1);
  }
  client::is_initialised.store(true);
}

}  // namespace dask
