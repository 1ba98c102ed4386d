// Nodes: how they are made, named and taken apart.
#include "dask/graph.h"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "dask/arguments.h"

namespace dask {
namespace {

// More dependencies than this are looked up in a set instead of one after the other.
constexpr std::size_t kLinearSearchMax = 16;

std::string random_hex() {
  static thread_local std::mt19937_64 random([] {
    std::random_device device;
    std::seed_seq seed{device(), device(), device(), device()};
    return std::mt19937_64(seed);
  }());
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(32, '0');
  for (std::size_t half = 0; half < 2; ++half) {
    std::uint64_t bits = random();
    for (std::size_t i = 0; i < 16; ++i, bits >>= 4) text[half * 16 + i] = kDigits[bits & 15];
  }
  return text;
}

}  // namespace

Node::~Node() {
  // A chain of a million nodes would otherwise need a million stack frames.
  static thread_local std::vector<NodePtr>* ending = nullptr;
  if (dependencies.empty()) return;
  if (ending) {
    for (NodePtr& node : dependencies) ending->push_back(std::move(node));
    return;
  }
  std::vector<NodePtr> list = std::move(dependencies);
  ending = &list;
  while (!list.empty()) {
    const NodePtr node = std::move(list.back());
    list.pop_back();
  }
  ending = nullptr;
}

namespace graph {

NodePtr task(const native::NativeFunction& function, std::string args, std::vector<NodePtr> dependencies, std::string_view name) {
  auto node = std::make_shared<Node>();
  node->key.reserve(64);
  node->key += name.empty() ? std::string_view(function.short_name()) : name;
  node->key += '-';
  node->key += random_hex();
  node->function = &function;
  node->args = std::move(args);
  node->dependencies = std::move(dependencies);
  return node;
}

NodePtr value(native::NativeValue value, std::string_view name) {
  auto node = std::make_shared<Node>();
  node->key = std::string(name) + "-" + random_hex();
  node->value = std::move(value);
  return node;
}

}  // namespace graph

namespace detail {

void Arguments::depend_on(const NodePtr& node) {
  if (!node) throw std::invalid_argument("a lazy argument is empty (it was moved from)");
  std::uint32_t index = 0;
  if (dependencies_.size() <= kLinearSearchMax) {
    while (index < dependencies_.size() && dependencies_[index] != node) ++index;
  } else {
    if (positions_.empty())
      for (std::uint32_t i = 0; i < dependencies_.size(); ++i) positions_.emplace(dependencies_[i].get(), i);
    index = positions_.emplace(node.get(), static_cast<std::uint32_t>(dependencies_.size())).first->second;
  }
  if (index == dependencies_.size()) dependencies_.push_back(node);
  writer_.dependency(index);
}

}  // namespace detail
}  // namespace dask
