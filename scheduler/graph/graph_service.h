// The scheduler's graph path: clients' expressions go to Python helper processes and come back as columns, ordered, with
// their pickled run specs after them. What the client's code does in a helper (hang, crash) ends that graph only.
// scheduler/graph/PROTOCOL.md describes the pipe; python/dask_native/graph_helper.py is the other side.
// Thread ownership: the loop's thread. Decoding and ordering run on a thread per helper.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/net/loop.h"
#include "scheduler/graph/lowered_graph.h"

namespace dask::scheduler {

class GraphService {
 public:
  using Seconds = std::chrono::duration<double>;
  struct Options {
    std::string python;              // interpreter with dask and distributed; empty: default_python()
    std::string python_path;         // folder that holds the package dask_native; empty: default_python_path()
    bool lazy = false;               // helpers start with the first graph or file, not with the service
    int helpers = 1;                 // processes; clients share them, each client's graphs stay in order
    Seconds start_timeout{120};      // until a helper has imported distributed
    Seconds lower_timeout{1800};     // without a word from the helper about a graph; zero: no limit
    Seconds restart_delay_min{0.1};  // before a helper is started again; doubles up to the maximum
    Seconds restart_delay_max{30};
  };
  // For the helpers of the metrics and the log.
  struct Counters {
    std::uint64_t graphs = 0;  // lowered
    std::uint64_t tasks = 0;
    std::uint64_t failures = 0;      // graphs that failed
    std::uint64_t restarts = 0;      // helpers that were started again
    double unpickle_seconds = 0;     // in Python
    double materialize_seconds = 0;  // in Python
    double pickle_seconds = 0;       // in Python
    double decode_seconds = 0;       // in C++, ordering included
    double order_seconds = 0;        // in C++
  };
  // Called on the loop's thread, never from inside submit(). First `lowered`, once. When that is a graph: `specs` any number
  // of times, then `done` once; its failure is that of the tasks whose run specs never came. After a failed `lowered` nothing.
  struct Callbacks {
    std::function<void(tl::expected<LoweredGraph, FailurePtr>)> lowered;
    std::function<void(SpecBatch)> specs;
    std::function<void(FailurePtr)> done;
  };

  GraphService(net::Loop& loop, Options options);
  // Kills the helpers; no callback is called any more.
  ~GraphService();
  GraphService(const GraphService&) = delete;
  GraphService& operator=(const GraphService&) = delete;

  // Starts the helpers. `ready` is called once, when the first of them is (with distributed's get_versions()), or when it
  // cannot be started: the error names the interpreter. Starting is tried again either way.
  void start(std::function<void(Result<Value>)> ready);
  // The program is about to end: a helper that ends from now on, perhaps by the same signal, is neither reported nor started again.
  void stop();
  bool ready() const;             // graphs can be taken in; a lazy service that sleeps is ready as well
  const Value& versions() const;  // nil before a helper was ready

  // Graphs of one client are lowered one after the other; those of several clients in parallel on several helpers.
  std::uint64_t submit(GraphRequest request, Callbacks callbacks);
  // Takes a file that a client uploaded (the pickle of distributed's SchedulerUploadFile) into every helper, before its next graph
  // and again after it was started again. `done`, once and not from inside: no failure when a helper has taken it; else it is forgotten.
  void upload(Bytes plugin, std::function<void(FailurePtr)> done);
  // The client is gone: its graphs that wait are dropped without a callback, the one at work stops calling back.
  void forget_client(const std::string& client);

  std::vector<int> pids() const;
  const Counters& counters() const;
  std::size_t graphs_waiting() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// DASK_NATIVE_PYTHON; else the interpreter of the environment that this program is installed in, or of the checkout's .venv;
// else python3.
std::string default_python();
// DASK_NATIVE_PYTHONPATH; else the folder near this program that holds dask_native/graph_helper.py; else empty: whatever the
// interpreter finds itself.
std::string default_python_path();

}  // namespace dask::scheduler
