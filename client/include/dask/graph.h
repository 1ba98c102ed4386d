// The graph behind lazy expressions: nodes that share their inputs. Delayed<T>, dataframes and futures are handles to nodes;
// whoever builds a collection makes nodes with graph::task() and computes them with graph::compute().
//
// Invariants: (1) a node never changes once it is made; (2) nodes form no cycle, since a node is made after its inputs; (3) one node
// is computed once per call of compute(), however many others use it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/native/function.h"

namespace dask {

namespace detail {
class FutureState;
}

struct Node;
using NodePtr = std::shared_ptr<const Node>;

// One of: a task (function), a value that is here (value), a result on a cluster (future).
struct Node {
  std::string key;
  const native::NativeFunction* function = nullptr;
  std::string args;                   // as core/native/function.h says; dependency i is dependencies[i]
  std::vector<NodePtr> dependencies;  // each at most once
  native::NativeValue value;
  std::shared_ptr<detail::FutureState> future;

  Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  ~Node();  // takes long chains apart without recursion
};

// How something is computed; what is not said comes from the configuration.
struct ComputeOptions {
  // "threads" ("threading", "threaded"), "processes" ("multiprocessing"), "sync" ("synchronous", "single-threaded"),
  // "distributed" ("dask.distributed"). Empty: the configuration's "scheduler", else the current client, else threads.
  std::string scheduler = {};
  int num_workers = 0;  // threads or processes; 0: the configuration's "num_workers", else one per core
};

namespace graph {

// A task. `name` is what the key begins with (the function's short name when empty); the rest of the key is random.
NodePtr task(const native::NativeFunction& function, std::string args, std::vector<NodePtr> dependencies, std::string_view name = {});
// A value that is here already.
NodePtr value(native::NativeValue value, std::string_view name = "value");

// The values of `wanted`, in order. Throws what errors.h says.
std::vector<native::NativeValue> compute(std::span<const NodePtr> wanted, const ComputeOptions& options = {});
// The same as nodes that hold their result: here for local schedulers, at once and on the cluster with a client.
std::vector<NodePtr> persist(std::span<const NodePtr> wanted, const ComputeOptions& options = {});

struct VisualizeOptions {
  bool left_to_right = false;  // Dask's rankdir="LR"; otherwise inputs are at the bottom
};
// Draws the graph into a file: .dot (Graphviz text), .svg (with Graphviz's `dot` when it is installed, else a simple layout of our own),
// .png and .pdf (only with `dot`). Gives the file's name. Throws std::invalid_argument for other endings, std::runtime_error when the
// file cannot be written.
std::string visualize(std::span<const NodePtr> wanted, const std::string& filename = "mydask.svg", const VisualizeOptions& options = {});

}  // namespace graph
}  // namespace dask
