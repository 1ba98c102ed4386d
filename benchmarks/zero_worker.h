// A worker that computes nothing in no time: every task is finished when it arrives, every transfer is done when it is named.
// What a run of it costs is the scheduler's cost alone. After RSDS' zero worker (Böhm and Beránek 2020), spoken in Dask's protocol:
// to a scheduler it is a Dask worker like any other.
// Thread ownership: the loop's thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>

#include "benchmarks/stream_scan.h"
#include "core/net/comm.h"
#include "core/net/loop.h"
#include "core/net/rpc.h"
#include "core/wire/message.h"

namespace dask::benchmarks {

struct ZeroWorkerOptions {
  std::string scheduler;  // tcp://host:port
  std::string name;
  int nthreads = 1;
  std::uint64_t memory_limit_bytes = 10'000'000'000;
  bool native = false;  // offer native batches at registration
  Value versions;       // what the scheduler says of itself, so that nothing mismatches
};

struct Totals {
  std::uint64_t tasks = 0;
  std::uint64_t native_tasks = 0;
  std::uint64_t messages = 0;
  std::uint64_t transfers = 0;
};

class ZeroWorker {
 public:
  // `rpc` and `totals` are shared by the workers of the process. `registered` is called once, with nothing or with why not;
  // `gone` when the stream has ended afterwards.
  ZeroWorker(net::Loop& loop, net::RpcPool& rpc, Totals& totals, ZeroWorkerOptions options);
  void start(std::function<void(Result<void>)> registered, std::function<void(std::string)> gone);
  void close();

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  void connected(net::CommPtr comm);
  void on_registered(const wire::Frames& frames);
  void on_stream(const wire::Frames& frames);
  bool apply(const StreamOp& op);
  bool finish(const StreamOp& op);
  bool finish_native(const StreamOp& op);
  bool fetch(std::string_view who_has);
  bool drop(std::string_view keys);
  void serve(net::CommPtr comm);
  void answer(net::Comm& comm, const wire::Frames& frames);
  void heartbeat();
  void schedule_heartbeat(double seconds);
  void end(const std::string& why);

  net::Loop& loop_;
  net::RpcPool& rpc_;
  Totals& totals_;
  ZeroWorkerOptions options_;
  std::function<void(Result<void>)> registered_;
  std::function<void(std::string)> gone_;
  std::unique_ptr<net::Listener> listener_;
  std::string address_;
  net::CommPtr stream_;
  std::unordered_set<net::CommPtr> peers_;
  wire::BatchWriter out_;
  std::unordered_set<std::string, TextHash, std::equal_to<>> held_;  // keys as msgpack
  net::Loop::Timer heartbeat_timer_;
  double now_ = 0;
};

}  // namespace dask::benchmarks
