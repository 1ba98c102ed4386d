// Decoding never trusts a number; culling, cycles and ranks then work on what was checked.
#include "scheduler/graph/columns_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>
#include <unordered_map>

#include "core/base/msgpack.h"
#include "core/wire/message.h"
#include "scheduler/graph/order.h"

namespace dask::scheduler {
namespace {

// Blobs of "lowered", in this order; the frames of the annotation rows follow, then the shuffles' specs.
enum Blob : std::size_t { kKeys, kDepCounts, kDeps, kFlags, kWanted, kAnnotation, kDescription, kRowFrames };
constexpr std::uint8_t kDataNode = 4;  // in the flags, beside GraphColumns' own
constexpr std::size_t kTasksMax = 200'000'000;
constexpr std::int64_t kPartitionsMax = 200'000'000;  // of one shuffle

tl::unexpected<Error> malformed(std::string text) { return fail(ErrorCode::kMalformed, std::move(text)); }

Result<std::vector<Key>> decode_keys(const Bytes& blob, std::size_t n) {
  msgpack::Reader reader(blob.view());
  std::size_t announced = 0;
  if (!reader.array(announced) || announced != n) return malformed(fmt::format("expected {} keys", n));
  std::vector<Key> keys;
  keys.reserve(n);
  for (std::size_t i = 0; i < n; ++i) {
    const char* start = reader.at();
    if (!reader.skip()) return malformed(fmt::format("key {} is no msgpack", i));
    DASK_TRY(Key key, Key::from_msgpack({start, static_cast<std::size_t>(reader.at() - start)}));
    keys.push_back(std::move(key));
  }
  if (!reader.done()) return malformed("bytes after the last key");
  return keys;
}

Result<AnnotationsPtr> decode_row(const Value& row, const std::vector<Bytes>& blobs, std::size_t& next_blob) {
  auto annotations = std::make_shared<Annotations>();
  auto frames = row["frames"].as_uint64();
  if (!frames || *frames == 0 || *frames > blobs.size() - next_blob) return malformed("an annotation row has no frames");
  DASK_TRY(annotations->wire, wire::decode_message({blobs.begin() + static_cast<std::ptrdiff_t>(next_blob),
                                                    blobs.begin() + static_cast<std::ptrdiff_t>(next_blob + *frames)}));
  next_blob += *frames;
  annotations->user_priority = row["priority"].as_double(0);
  annotations->retries = static_cast<int>(std::clamp<std::int64_t>(row["retries"].as_int(0), INT32_MIN, INT32_MAX));
  annotations->allow_other_workers = row["allow_other_workers"].as_bool(false);
  if (const Value::Array* workers = row["workers"].array_if()) {
    for (const Value& worker : *workers) annotations->workers.emplace_back(worker.as_string());
  }
  if (const Value::Array* resources = row["resources"].array_if()) {
    for (const Value& resource : *resources) {
      const Value::Array* pair = resource.array_if();
      if (pair == nullptr || pair->size() != 2) return malformed("a resource is no pair of name and amount");
      annotations->resources.emplace_back((*pair)[0].as_string(), (*pair)[1].as_double(0));
    }
  }
  return annotations;
}

// What a barrier says of its shuffle. The pickle is copied: it outlives the message by far.
Result<ShuffleSpecPtr> decode_shuffle(const Value& row, const Bytes& pickle) {
  auto spec = std::make_shared<ShuffleSpec>();
  spec->id = row["id"].as_string();
  spec->pickle = Bytes::copy(pickle.view());
  spec->unsupported = row["unsupported"].as_string();
  if (!spec->unsupported.empty()) return spec;
  if (const Value::Array* chunks = row["chunks"].array_if()) {
    spec->chunks.emplace();
    spec->n = 1;
    for (const Value& chunk : *chunks) {
      const std::int64_t count = spec->chunks->emplace_back(chunk.as_int());
      if (count < 0 || (spec->n > 0 && count > kPartitionsMax / spec->n)) return malformed("a shuffle's chunks");
      spec->n *= count;
    }
    return spec;
  }
  spec->n = row["n"].as_int();
  if (const Value::Array* partitions = row["partitions"].array_if()) {
    for (const Value& partition : *partitions) spec->partitions.push_back(partition.as_int());
  } else {
    const std::int64_t count = row["partitions"].as_int();
    if (count < 0 || count > kPartitionsMax) return malformed("a shuffle's number of partitions");
    spec->partitions.resize(static_cast<std::size_t>(count));
    std::iota(spec->partitions.begin(), spec->partitions.end(), 0);
  }
  return spec;
}

OrderGraph view_of(const RawGraph& graph) {
  return {graph.columns.n_tasks, graph.columns.keys.size(), graph.columns.dep_begin, graph.columns.deps, graph.data, graph.columns.keys};
}

std::string cycle_text(const GraphColumns& columns, const std::vector<std::uint32_t>& cycle) {
  constexpr std::size_t kKeysShownMax = 20;
  std::string text = "Cycle detected between the following keys:";
  for (std::size_t i = 0; i < std::min(cycle.size(), kKeysShownMax); ++i) text += "\n  -> " + columns.keys[cycle[i]].str();
  if (cycle.size() > kKeysShownMax) text += fmt::format("\n  -> ... {} more", cycle.size() - kKeysShownMax);
  return text + "\n  -> " + columns.keys[cycle[0]].str();
}

// The client's priority of every task. One that it does not name runs just before the first that needs it.
std::vector<double> given_order(const RawGraph& graph, const std::vector<std::pair<Key, double>>& priority) {
  const GraphColumns& columns = graph.columns;
  constexpr double kUnknown = std::numeric_limits<double>::infinity();
  std::vector<double> order(columns.n_tasks, kUnknown);
  std::size_t matched = 0;
  while (matched < std::min(columns.n_tasks, priority.size()) && priority[matched].first.msgpack() == columns.keys[matched].msgpack()) {
    order[matched] = priority[matched].second;
    ++matched;
  }
  if (matched < columns.n_tasks) {
    struct Hash {
      std::size_t operator()(const Key* key) const { return Key::hash(key->msgpack()); }
    };
    struct Equal {
      bool operator()(const Key* a, const Key* b) const { return *a == *b; }
    };
    std::unordered_map<const Key*, double, Hash, Equal> by_key(priority.size());
    for (const auto& [key, value] : priority) by_key.emplace(&key, value);
    for (std::size_t i = matched; i < columns.n_tasks; ++i) {
      auto found = by_key.find(&columns.keys[i]);
      if (found != by_key.end()) order[i] = found->second;
    }
  }
  std::vector<bool> unnamed(columns.n_tasks);
  for (std::size_t i = 0; i < columns.n_tasks; ++i) unnamed[i] = order[i] == kUnknown;
  std::vector<std::uint32_t> topological = topological_order(view_of(graph));
  for (std::size_t at = topological.size(); at-- > 0;) {
    std::uint32_t task = topological[at];
    if (task >= columns.n_tasks) continue;
    for (std::size_t d = columns.dep_begin[task]; d < columns.dep_begin[task + 1]; ++d) {
      std::uint32_t dep = columns.deps[d];
      if (dep < columns.n_tasks && unnamed[dep]) order[dep] = std::min(order[dep], order[task]);
    }
  }
  double last = 0;
  for (double value : order) {
    if (value != kUnknown) last = std::max(last, value);
  }
  for (double& value : order) {
    if (value == kUnknown) value = last + 1;
  }
  return order;
}

}  // namespace

Result<RawGraph> decode_columns(const HelperMessage& message) {
  if (message.blobs.size() < kRowFrames) return malformed(fmt::format("{} columns", message.blobs.size()));
  auto n_tasks = message.head["n"].as_uint64();
  auto n_keys = message.head["keys"].as_uint64();
  if (!n_tasks || !n_keys || *n_keys < *n_tasks || *n_keys > kTasksMax) return malformed("no sizes");
  RawGraph graph;
  GraphColumns& columns = graph.columns;
  columns.n_tasks = *n_tasks;
  DASK_TRY(columns.keys, decode_keys(message.blobs[kKeys], *n_keys));

  DASK_TRY(auto counts, column<std::uint32_t>(message.blobs[kDepCounts]));
  DASK_TRY(columns.deps, column<std::uint32_t>(message.blobs[kDeps]));
  if (counts.size() != *n_tasks) return malformed(fmt::format("{} dependency counts for {} tasks", counts.size(), *n_tasks));
  columns.dep_begin.reserve(*n_tasks + 1);
  columns.dep_begin.push_back(0);
  std::uint64_t total = 0;
  for (std::uint32_t count : counts) {
    total += count;
    if (total > columns.deps.size()) break;
    columns.dep_begin.push_back(static_cast<std::uint32_t>(total));
  }
  if (total != columns.deps.size()) return malformed(fmt::format("{} dependencies where the tasks count {}", columns.deps.size(), total));
  for (std::size_t i = 0; i < *n_tasks; ++i) {
    auto first = columns.deps.begin() + columns.dep_begin[i];
    auto last = columns.deps.begin() + columns.dep_begin[i + 1];
    std::sort(first, last);
    if (first != last && (*(last - 1) >= *n_keys || std::adjacent_find(first, last) != last)) {
      return malformed(fmt::format("task {} has a dependency twice or out of range", i));
    }
  }

  DASK_TRY(columns.flags, column<std::uint8_t>(message.blobs[kFlags]));
  if (columns.flags.size() != *n_tasks) return malformed("the flags do not fit the tasks");
  graph.data.resize(*n_tasks);
  for (std::size_t i = 0; i < *n_tasks; ++i) {
    graph.data[i] = (columns.flags[i] & kDataNode) != 0;
    columns.flags[i] &= GraphColumns::kDataProducer | GraphColumns::kP2PBarrier;
  }

  DASK_TRY(graph.wanted, column<std::uint32_t>(message.blobs[kWanted]));
  for (std::uint32_t wanted : graph.wanted) {
    if (wanted != UINT32_MAX && wanted >= *n_tasks) return malformed("a wanted task is out of range");
  }

  std::size_t next_blob = kRowFrames;
  if (const Value::Array* rows = message.head["annotations"].array_if()) {
    for (const Value& row : *rows) {
      DASK_TRY(AnnotationsPtr annotations, decode_row(row, message.blobs, next_blob));
      columns.annotations.push_back(std::move(annotations));
    }
  }
  if (const Value::Array* shuffles = message.head["shuffles"].array_if()) {
    for (const Value& row : *shuffles) {
      auto task = row["task"].as_uint64();
      if (!task || *task >= *n_tasks || next_blob == message.blobs.size()) return malformed("a shuffle has no task or no spec");
      DASK_TRY(ShuffleSpecPtr spec, decode_shuffle(row, message.blobs[next_blob++]));
      columns.shuffles.emplace_back(static_cast<std::uint32_t>(*task), std::move(spec));
    }
  }
  if (next_blob != message.blobs.size()) return malformed("blobs that no annotation row names, and no shuffle");
  DASK_TRY(columns.annotation, column<std::int32_t>(message.blobs[kAnnotation]));
  if (!columns.annotation.empty() && columns.annotation.size() != *n_tasks) return malformed("the annotations do not fit the tasks");
  for (std::int32_t row : columns.annotation) {
    if (row < -1 || row >= static_cast<std::int64_t>(columns.annotations.size())) return malformed("an annotation row is out of range");
  }
  return graph;
}

std::vector<std::uint32_t> cull(RawGraph& graph) {
  GraphColumns& columns = graph.columns;
  std::vector<std::uint32_t> new_index(columns.keys.size(), UINT32_MAX);
  std::vector<std::uint32_t> stack;
  std::size_t kept = 0;
  auto keep = [&](std::uint32_t i) {
    if (new_index[i] != UINT32_MAX) return;
    new_index[i] = 0;
    if (i >= columns.n_tasks) return;
    ++kept;
    stack.push_back(i);
  };
  for (std::uint32_t wanted : graph.wanted) {
    if (wanted != UINT32_MAX) keep(wanted);
  }
  while (!stack.empty()) {
    std::uint32_t i = stack.back();
    stack.pop_back();
    for (std::size_t d = columns.dep_begin[i]; d < columns.dep_begin[i + 1]; ++d) keep(columns.deps[d]);
  }
  if (kept == columns.n_tasks) {  // then every external key is used, too
    std::iota(new_index.begin(), new_index.end(), 0);
    new_index.resize(columns.n_tasks);
    return new_index;
  }

  std::uint32_t next = 0;
  for (std::uint32_t& index : new_index) {
    if (index != UINT32_MAX) index = next++;
  }
  GraphColumns culled;
  culled.n_tasks = kept;
  culled.annotations = std::move(columns.annotations);
  for (auto& [task, spec] : columns.shuffles)
    if (new_index[task] != UINT32_MAX) culled.shuffles.emplace_back(new_index[task], std::move(spec));
  culled.dep_begin.push_back(0);
  std::vector<std::uint8_t> data;
  for (std::uint32_t i = 0; i < columns.keys.size(); ++i) {
    if (new_index[i] == UINT32_MAX) continue;
    culled.keys.push_back(std::move(columns.keys[i]));
    if (i >= columns.n_tasks) continue;
    for (std::size_t d = columns.dep_begin[i]; d < columns.dep_begin[i + 1]; ++d) culled.deps.push_back(new_index[columns.deps[d]]);
    culled.dep_begin.push_back(static_cast<std::uint32_t>(culled.deps.size()));
    culled.flags.push_back(columns.flags[i]);
    data.push_back(graph.data[i]);
    if (!columns.annotation.empty()) culled.annotation.push_back(columns.annotation[i]);
  }
  for (std::uint32_t& wanted : graph.wanted) {
    if (wanted != UINT32_MAX) wanted = new_index[wanted];
  }
  new_index.resize(columns.n_tasks);
  columns = std::move(culled);
  graph.data = std::move(data);
  return new_index;
}

Result<void> give_order(RawGraph& graph, std::vector<std::pair<Key, double>> internal_priority) {
  OrderGraph view = view_of(graph);
  std::vector<std::uint32_t> cycle = find_cycle(view);
  if (!cycle.empty()) return fail(ErrorCode::kUserCode, cycle_text(graph.columns, cycle));
  if (!internal_priority.empty()) {
    graph.columns.order = given_order(graph, internal_priority);
    return {};
  }
  std::vector<std::uint32_t> rank = order_tasks(view);
  graph.columns.order.assign(rank.begin(), rank.end());
  return {};
}

}  // namespace dask::scheduler
