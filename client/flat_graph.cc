#include "client/flat_graph.h"

#include <stdexcept>
#include <unordered_map>

namespace dask::client {

FlatGraph flatten(std::span<const NodePtr> wanted) {
  constexpr std::uint32_t kEntered = UINT32_MAX;
  struct Step {
    const Node* node;
    std::size_t next = 0;
  };
  FlatGraph graph;
  std::unordered_map<const Node*, std::uint32_t> rows;
  std::vector<Step> path;
  graph.dependency_offsets.push_back(0);
  for (const NodePtr& root : wanted) {
    if (!root) throw std::invalid_argument("a lazy value is empty (it was moved from)");
    if (rows.emplace(root.get(), kEntered).second) path.push_back({root.get()});
    while (!path.empty()) {
      Step& step = path.back();
      if (step.next < step.node->dependencies.size()) {
        const Node* input = step.node->dependencies[step.next++].get();
        if (rows.emplace(input, kEntered).second) path.push_back({input});
        continue;
      }
      for (const NodePtr& input : step.node->dependencies) graph.dependencies.push_back(rows.find(input.get())->second);
      graph.dependency_offsets.push_back(static_cast<std::uint32_t>(graph.dependencies.size()));
      rows[step.node] = static_cast<std::uint32_t>(graph.nodes.size());
      graph.nodes.push_back(step.node);
      path.pop_back();
    }
    graph.wanted.push_back(rows.find(root.get())->second);
  }
  return graph;
}

Dependents::Dependents(const FlatGraph& graph) : offsets(graph.size() + 1, 0), users(graph.dependencies.size()) {
  for (const std::uint32_t input : graph.dependencies) ++offsets[input + 1];
  for (std::size_t i = 1; i < offsets.size(); ++i) offsets[i] += offsets[i - 1];
  std::vector<std::uint32_t> at(offsets.begin(), offsets.end() - 1);
  for (std::uint32_t node = 0; node < graph.size(); ++node)
    for (const std::uint32_t input : graph.dependencies_of(node)) users[at[input]++] = node;
}

}  // namespace dask::client
