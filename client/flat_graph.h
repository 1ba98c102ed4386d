// FlatGraph: the nodes that some results need, each once, inputs before users, as columns. What every scheduler starts from.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "dask/graph.h"

namespace dask::client {

struct FlatGraph {
  std::vector<const Node*> nodes;                 // depth first: what a task needs stands close before it
  std::vector<std::uint32_t> dependency_offsets;  // nodes + 1, into dependencies
  std::vector<std::uint32_t> dependencies;
  std::vector<std::uint32_t> wanted;  // a node per wanted result, in order

  std::size_t size() const { return nodes.size(); }
  std::span<const std::uint32_t> dependencies_of(std::uint32_t node) const {
    return std::span(dependencies).subspan(dependency_offsets[node], dependency_offsets[node + 1] - dependency_offsets[node]);
  }
};

// Keeps no node alive: `wanted` must outlive it.
FlatGraph flatten(std::span<const NodePtr> wanted);

// Who uses each node, as columns.
struct Dependents {
  explicit Dependents(const FlatGraph& graph);
  std::span<const std::uint32_t> of(std::uint32_t node) const {
    return std::span(users).subspan(offsets[node], offsets[node + 1] - offsets[node]);
  }

  std::vector<std::uint32_t> offsets;
  std::vector<std::uint32_t> users;
};

}  // namespace dask::client
