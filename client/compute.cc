// Which scheduler computes a graph, and computing it there. Names and their precedence are Dask's (dask/base.py, get_scheduler).
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>
#include <thread>

#include "client/cluster_compute.h"
#include "client/flat_graph.h"
#include "client/local_schedulers.h"
#include "client/settings.h"
#include "dask/config.h"
#include "dask/graph.h"

namespace dask {
namespace client {
namespace {

enum class Kind { kSync, kThreads, kProcesses, kDistributed };

constexpr std::pair<std::string_view, Kind> kNames[] = {
    {"sync", Kind::kSync},
    {"synchronous", Kind::kSync},
    {"single-threaded", Kind::kSync},
    {"threads", Kind::kThreads},
    {"threading", Kind::kThreads},
    {"threaded", Kind::kThreads},
    {"processes", Kind::kProcesses},
    {"multiprocessing", Kind::kProcesses},
    {"distributed", Kind::kDistributed},
    {"dask.distributed", Kind::kDistributed},
};

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

Kind choose(const ComputeOptions& options) {
  const std::string name = lower(!options.scheduler.empty() ? options.scheduler : config::get("scheduler", ""));
  if (name.empty()) return has_current_client() ? Kind::kDistributed : Kind::kThreads;
  for (const auto& [known, kind] : kNames)
    if (name == known) return kind;
  std::string expected;
  for (const auto& [known, kind] : kNames) expected += (expected.empty() ? "" : ", ") + std::string(known);
  throw std::invalid_argument(fmt::format("unknown scheduler \"{}\": expected one of {}", name, expected));
}

unsigned workers(const ComputeOptions& options) {
  if (options.num_workers < 0) throw std::invalid_argument(fmt::format("num_workers is {}: it must be positive", options.num_workers));
  if (options.num_workers > 0) return static_cast<unsigned>(options.num_workers);
  if (const auto configured = config::find("num_workers"); configured && configured->as_int() > 0)
    return static_cast<unsigned>(configured->as_int());
  return std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace
}  // namespace client

namespace graph {

std::vector<native::NativeValue> compute(std::span<const NodePtr> wanted, const ComputeOptions& options) {
  using client::Kind;
  const Kind kind = client::choose(options);
  if (kind == Kind::kDistributed) return client::compute_on_cluster(wanted);
  const client::FlatGraph flat = client::flatten(wanted);
  client::Progress progress(flat.size());
  if (kind == Kind::kSync) return client::run_sync(flat, progress);
  if (kind == Kind::kThreads) return client::run_threads(flat, progress, client::workers(options));
  return client::run_processes(flat, progress, client::workers(options));
}

std::vector<NodePtr> persist(std::span<const NodePtr> wanted, const ComputeOptions& options) {
  if (client::choose(options) == client::Kind::kDistributed) return client::persist_on_cluster(wanted);
  const std::vector<native::NativeValue> values = compute(wanted, options);
  std::vector<NodePtr> nodes;
  for (std::size_t i = 0; i < values.size(); ++i) {
    auto node = std::make_shared<Node>();
    node->key = wanted[i]->key;
    node->value = values[i];
    nodes.push_back(std::move(node));
  }
  return nodes;
}

}  // namespace graph
}  // namespace dask
