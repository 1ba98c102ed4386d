#include "client/native_graph.h"

#include <unordered_map>

#include "client/local_schedulers.h"
#include "core/base/msgpack.h"
#include "core/native/value_function.h"
#include "proto/dask_native.pb.h"

namespace dask::client {
namespace {

constexpr std::size_t kGraphBytesMax = 2'000'000'000;  // a Protobuf message has at most 2 GiB

class Column {
 public:
  explicit Column(dask_native::v1::BytesColumn* column) : column_(column) { column_->add_offsets(0); }
  void end_row() { column_->add_offsets(static_cast<std::uint32_t>(column_->data().size())); }
  std::string& data() { return *column_->mutable_data(); }

 private:
  dask_native::v1::BytesColumn* column_;
};

}  // namespace

Result<std::string> encode_graph(const FlatGraph& graph, const std::function<bool(const Node&)>& is_there, std::uint32_t inline_bytes_max) {
  dask_native::v1::NativeGraph message;
  Column keys(message.mutable_keys()), args(message.mutable_args());
  std::unordered_map<const native::NativeFunction*, std::uint32_t> functions;
  const auto function_index = [&](const native::NativeFunction& function) {
    const auto [it, is_new] = functions.emplace(&function, static_cast<std::uint32_t>(functions.size()));
    if (is_new) message.add_functions(function.name());
    return it->second;
  };
  // Tasks come first; what is on the cluster already has the rows behind them.
  std::vector<std::uint32_t> rows(graph.size());
  std::vector<std::uint32_t> tasks, external;
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    const Node& node = *graph.nodes[i];
    (node.function || !is_there(node) ? tasks : external).push_back(i);
  }
  message.set_n_tasks(static_cast<std::uint32_t>(tasks.size()));
  for (const auto* part : {&tasks, &external})
    for (const std::uint32_t i : *part) {
      rows[i] = static_cast<std::uint32_t>(message.keys().offsets_size() - 1);
      msgpack::append_string(keys.data(), graph.nodes[i]->key);
      keys.end_row();
    }
  message.add_dependency_offsets(0);
  for (const std::uint32_t i : tasks) {
    const Node& node = *graph.nodes[i];
    if (node.function) {
      message.add_function(function_index(*node.function));
      args.data() += node.args;
    } else {
      DASK_TRY(const std::string bytes, native::value_arguments(leaf_value(node)));
      message.add_function(function_index(native::value_function()));
      args.data() += bytes;
    }
    args.end_row();
    for (const std::uint32_t input : graph.dependencies_of(i)) message.add_dependencies(rows[input]);
    message.add_dependency_offsets(static_cast<std::uint32_t>(message.dependencies_size()));
    if (args.data().size() + keys.data().size() > kGraphBytesMax)
      return fail(ErrorCode::kLimit, "the graph has more than 2 GB of arguments: scatter large values and use the futures");
  }
  message.set_inline_bytes_max(inline_bytes_max);
  std::vector<bool> is_wanted(graph.size());
  for (const std::uint32_t i : graph.wanted) {
    if (!is_wanted[i]) message.add_wanted(rows[i]);
    is_wanted[i] = true;
  }
  std::string bytes;
  if (message.ByteSizeLong() > kGraphBytesMax || !message.SerializeToString(&bytes))
    return fail(ErrorCode::kLimit, "the graph has more than 2 GB: compute it in parts");
  return bytes;
}

}  // namespace dask::client
