// What this program can be besides itself: dask::init() turns a child that was started with one of these flags into a process worker, a
// scheduler or a worker, which ends instead of returning to main().
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dask::client {

inline constexpr std::string_view kProcessWorkerFlag = "--dask-internal-process-worker";
inline constexpr std::string_view kSchedulerFlag = "--dask-internal-scheduler";
inline constexpr std::string_view kWorkerFlag = "--dask-internal-worker";

// True once dask::init() has run in this process.
bool initialised();
// Throws std::logic_error that says what to do when it has not: `what` would run main() once more in a child.
void require_initialised(std::string_view what);
// This program's file.
std::string own_program();

// The child programs; each gives the exit code.
int run_process_worker(int socket);
int run_scheduler(int argc, char** argv);
int run_worker(int argc, char** argv);

}  // namespace dask::client
