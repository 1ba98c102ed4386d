// A scheduler and one small native worker, each on a thread of its own: enough for a client's tests. The worker runs what it is told, keeps
// results, and answers get_data and update_data; it fetches nothing from peers.
#pragma once

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <unordered_map>

#include "core/net/comm.h"
#include "core/net/loop.h"
#include "core/net/rpc.h"
#include "core/runtime/clock.h"
#include "scheduler/server/server.h"
#include "worker/execute/native_pool.h"
#include "worker/native/native_stream.h"

namespace dask::client_test {

class MiniScheduler {
 public:
  MiniScheduler();
  ~MiniScheduler();
  const std::string& address() const { return address_; }

 private:
  net::Loop loop_;
  SystemClock clock_;
  std::unique_ptr<scheduler::Server> server_;
  std::string address_;
  std::thread thread_;
};

class MiniWorker {
 public:
  // `small_results_come_along`: as our worker does; else a client fetches every result.
  MiniWorker(std::string scheduler, int nthreads, bool small_results_come_along = false);
  ~MiniWorker();
  // Results that the worker holds now.
  std::size_t held();
  // Values that were asked for with get_data so far.
  std::size_t fetched();

 private:
  void connected(net::CommPtr comm);
  void receive(const wire::Frames& frames);
  void operation(const Value& message);
  void compute(const Value& message);
  void executed(std::vector<worker::NativeExecuted> done);
  void answer(net::Comm& comm, const wire::Frames& frames);

  std::string scheduler_;
  int nthreads_;
  bool small_results_come_along_;
  net::Loop loop_;
  SystemClock clock_;
  net::CommPtr stream_;
  std::unique_ptr<net::Listener> listener_;
  std::vector<net::CommPtr> peers_;
  std::unique_ptr<worker::NativePool> pool_;
  std::unordered_map<std::string, native::NativeValue> store_;  // by the key's msgpack
  struct Asked {
    std::uint64_t handle = 0;
    std::uint32_t inline_bytes_max = 0;
  };
  std::unordered_map<std::string, Asked> asked_;
  std::size_t fetched_ = 0;
  net::Loop::Timer heartbeat_;
  bool registered_ = false;
  std::promise<void> running_;
  std::thread thread_;
};

}  // namespace dask::client_test
