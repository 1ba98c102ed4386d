#include "benchmarks/native_shapes.h"

#include <fmt/format.h>

#include <initializer_list>

#include "core/base/msgpack.h"
#include "proto/dask_native.pb.h"

namespace dask::benchmarks {
namespace {

// Keys look as Dask's collections name theirs, ("inc-<32 hex digits>", 17): what short names would save is not measured.
class Builder {
 public:
  explicit Builder(std::uint32_t seed) : seed_(seed) {
    graph_.add_functions("inc");
    graph_.add_functions("add");
    graph_.mutable_keys()->add_offsets(0);
    graph_.mutable_args()->add_offsets(0);
    graph_.add_dependency_offsets(0);
  }

  void begin_layer(const char* prefix) {
    name_.clear();
    msgpack::append_string(name_, fmt::format("{}-{:08x}{:024x}", prefix, seed_, layers_++));
    index_ = 0;
  }
  void task(std::uint32_t function) {
    std::string& keys = *graph_.mutable_keys()->mutable_data();
    last_key_ = keys.size();
    msgpack::append_array(keys, 2);
    keys.append(name_);
    msgpack::append_uint(keys, index_++);
    graph_.mutable_keys()->add_offsets(static_cast<std::uint32_t>(keys.size()));
    std::string& args = *graph_.mutable_args()->mutable_data();
    msgpack::append_uint(args, tasks_);
    graph_.mutable_args()->add_offsets(static_cast<std::uint32_t>(args.size()));
    graph_.add_function(function);
    graph_.add_order(tasks_);
    graph_.add_dependency_offsets(static_cast<std::uint32_t>(graph_.dependencies_size()));
    ++tasks_;
  }
  void needs(std::uint32_t task) {
    graph_.add_dependencies(task);
    graph_.set_dependency_offsets(graph_.dependency_offsets_size() - 1, static_cast<std::uint32_t>(graph_.dependencies_size()));
  }
  // Ranks for which a result is used soon after it was made; `rank[i]` is task i's.
  void order(std::uint32_t task, std::uint32_t rank) { graph_.set_order(static_cast<int>(task), rank); }
  std::uint32_t tasks() const { return tasks_; }

  NativeShape finish() {
    graph_.set_n_tasks(tasks_);
    graph_.add_wanted(tasks_ - 1);
    NativeShape shape;
    shape.wanted = graph_.keys().data().substr(last_key_);
    shape.tasks = tasks_;
    shape.edges = static_cast<std::uint64_t>(graph_.dependencies_size());
    graph_.SerializeToString(&shape.graph);
    return shape;
  }

 private:
  dask_native::v1::NativeGraph graph_;
  std::uint32_t seed_;
  std::uint32_t layers_ = 0;
  std::uint32_t index_ = 0;
  std::uint32_t tasks_ = 0;
  std::size_t last_key_ = 0;
  std::string name_;
};

}  // namespace

NativeShape merge_shape(std::uint32_t n, std::uint32_t seed) {
  Builder builder(seed);
  builder.begin_layer("inc");
  for (std::uint32_t i = 0; i < n; ++i) builder.task(0);
  builder.begin_layer("sum");
  builder.task(1);
  for (std::uint32_t i = 0; i < n; ++i) builder.needs(i);
  return builder.finish();
}

NativeShape tree_shape(std::uint32_t leaves, std::uint32_t seed) {
  Builder builder(seed);
  builder.begin_layer("inc");
  for (std::uint32_t i = 0; i < leaves; ++i) builder.task(0);
  for (std::uint32_t begin = 0, width = leaves; width > 1; begin += width, width /= 2) {
    builder.begin_layer("add");
    for (std::uint32_t i = 0; i < width / 2; ++i) {
      builder.task(1);
      builder.needs(begin + 2 * i);
      builder.needs(begin + 2 * i + 1);
    }
  }
  // Depth first, as an orderer would: a pair's sum comes right after the pair. The sum of a subtree whose last leaf is number l
  // follows that leaf, after the l - ones(l) sums that were complete before it.
  std::uint32_t first = 0, level = 0;
  for (std::uint32_t width = leaves; width >= 1; first += width, width /= 2, ++level)
    for (std::uint32_t i = 0; i < width; ++i) {
      const std::uint32_t last_leaf = ((i + 1) << level) - 1;
      builder.order(first + i, last_leaf + (last_leaf - static_cast<std::uint32_t>(__builtin_popcount(last_leaf))) + level);
    }
  return builder.finish();
}

}  // namespace dask::benchmarks
