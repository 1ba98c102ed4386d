// Every column is checked against the others before anything reads through it; then columns are copied whole.
#include "scheduler/graph/native_graph.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <unordered_map>
#include <utility>

#include "proto/dask_native.pb.h"
#include "scheduler/graph/order.h"

namespace dask::scheduler {
namespace {

namespace v1 = dask_native::v1;

constexpr std::size_t kMessageBytesMax = std::numeric_limits<std::int32_t>::max();  // of Protobuf itself
constexpr std::uint32_t kNone = UINT32_MAX;
constexpr std::size_t kCycleKeysShownMax = 20;

tl::unexpected<Error> malformed(std::string_view message, std::string_view text) {
  return fail(ErrorCode::kMalformed, fmt::format("{}: {}", message, text));
}

template <class Message>
Result<void> parse(Message& message, std::string_view bytes, std::string_view name) {
  if (bytes.size() > kMessageBytesMax)
    return fail(ErrorCode::kLimit, fmt::format("{}: {} bytes are more than one Protobuf message may have ({}); send it in parts", name,
                                               bytes.size(), kMessageBytesMax));
  // Protobuf would write its own lines about bad text to stderr; the error that we return is enough.
  static const auto silenced = google::protobuf::SetLogHandler(nullptr);
  (void)silenced;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return malformed(name, "this is no such Protobuf message");
  return {};
}

// A numeric column as a vector, checked to have `rows` elements.
template <class To, class Field>
Result<std::vector<To>> column(const Field& field, std::size_t rows, std::string_view message, std::string_view name) {
  if (static_cast<std::size_t>(field.size()) != rows)
    return malformed(message, fmt::format("column {} has {} elements where {} are needed", name, field.size(), rows));
  return std::vector<To>(field.begin(), field.end());
}

Result<void> check_below(std::span<const std::uint32_t> indices, std::size_t limit, std::string_view message, std::string_view name) {
  const auto found = std::find_if(indices.begin(), indices.end(), [&](std::uint32_t i) { return i >= limit; });
  if (found == indices.end()) return {};
  return malformed(message, fmt::format("{}[{}] is {}, but must be below {}", name, found - indices.begin(), *found, limit));
}

// Offsets of `rows` rows that cover exactly `size` elements.
template <class Field>
Result<std::vector<std::uint32_t>> offsets(const Field& field, std::size_t rows, std::size_t size, std::string_view message,
                                           std::string_view name) {
  if (rows == 0 && size == 0 && field.empty()) return std::vector<std::uint32_t>{0};
  DASK_TRY(std::vector<std::uint32_t> begin, column<std::uint32_t>(field, rows + 1, message, name));
  if (begin.front() != 0 || begin.back() != size)
    return malformed(message, fmt::format("{} must lead from 0 to {}, but leads from {} to {}", name, size, begin.front(), begin.back()));
  const auto down = std::adjacent_find(begin.begin(), begin.end(), std::greater<>());
  if (down != begin.end())
    return malformed(message, fmt::format("{} falls from {} to {} at {}", name, down[0], down[1], down - begin.begin()));
  return begin;
}

Result<std::vector<Key>> keys(const v1::BytesColumn& field, std::string_view message) {
  const std::size_t rows = field.offsets_size() == 0 ? 0 : static_cast<std::size_t>(field.offsets_size()) - 1;
  DASK_TRY(const std::vector<std::uint32_t> begin, offsets(field.offsets(), rows, field.data().size(), message, "keys.offsets"));
  std::vector<Key> out;
  out.reserve(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    auto key = Key::from_msgpack(std::string_view(field.data()).substr(begin[i], begin[i + 1] - begin[i]));
    if (!key) return malformed(message, fmt::format("key {}: {}", i, key.error().message));
    out.push_back(*std::move(key));
  }
  return out;
}

Result<AnnotationsPtr> annotations(const v1::Annotations& from) {
  auto out = std::make_shared<Annotations>();
  out->wire = Value::map();
  if (!std::isfinite(from.priority())) return malformed("NativeGraph", "an annotation's priority is no finite number");
  out->user_priority = from.priority();
  out->retries = static_cast<int>(std::min<std::uint32_t>(from.retries(), std::numeric_limits<int>::max()));
  out->allow_other_workers = from.allow_other_workers();
  if (from.priority() != 0) out->wire.set("priority", from.priority());
  if (from.retries() != 0) out->wire.set("retries", out->retries);
  if (from.workers_size() > 0) {
    Value& workers = out->wire.set("workers", Value::array());
    for (const std::string& worker : from.workers()) {
      out->workers.push_back(worker);
      workers.push_back(worker);
    }
    if (from.allow_other_workers()) out->wire.set("allow_other_workers", true);
  }
  for (const auto& [name, amount] : from.resources()) {
    if (!std::isfinite(amount) || amount < 0)
      return malformed("NativeGraph", fmt::format("a task needs {} of resource \"{}\"; give a number that is not negative", amount, name));
    out->resources.emplace_back(name, amount);
  }
  std::sort(out->resources.begin(), out->resources.end());
  if (!out->resources.empty()) {
    Value resources = Value::map();
    for (const auto& [name, amount] : out->resources) resources.set(name, amount);
    out->wire.set("resources", std::move(resources));
  }
  return out;
}

// Rows of annotations for the tasks; those without any of their own share the graph's.
Result<void> take_annotations(const v1::NativeGraph& from, GraphColumns& columns) {
  for (const v1::Annotations& row : from.annotations()) {
    DASK_TRY(AnnotationsPtr taken, annotations(row));
    columns.annotations.push_back(std::move(taken));
  }
  if (!from.annotation().empty()) {
    DASK_TRY(columns.annotation, column<std::int32_t>(from.annotation(), columns.n_tasks, "NativeGraph", "annotation"));
    for (std::int32_t row : columns.annotation)
      if (row < -1 || row >= from.annotations_size())
        return malformed("NativeGraph",
                         fmt::format("annotation has the row {}, but there are {} annotations", row, from.annotations_size()));
  }
  if (from.user_priority() == 0 && from.retries() == 0) return {};
  v1::Annotations common;
  common.set_priority(from.user_priority());
  common.set_retries(from.retries());
  DASK_TRY(AnnotationsPtr shared, annotations(common));
  const auto row = static_cast<std::int32_t>(columns.annotations.size());
  columns.annotations.push_back(std::move(shared));
  columns.annotation.resize(columns.n_tasks, -1);
  std::replace(columns.annotation.begin(), columns.annotation.end(), -1, row);
  return {};
}

std::string cycle_text(const GraphColumns& columns, const std::vector<std::uint32_t>& cycle) {
  std::string text = "Cycle detected between the following keys:";
  for (std::size_t i = 0; i < std::min(cycle.size(), kCycleKeysShownMax); ++i) text += "\n  -> " + columns.keys[cycle[i]].str();
  if (cycle.size() > kCycleKeysShownMax) text += fmt::format("\n  -> ... {} more", cycle.size() - kCycleKeysShownMax);
  return text + "\n  -> " + columns.keys[cycle[0]].str();
}

Result<void> take_order(const v1::NativeGraph& from, GraphColumns& columns) {
  const OrderGraph view{columns.n_tasks, columns.keys.size(), columns.dep_begin, columns.deps, {}, columns.keys};
  if (topological_order(view).size() < columns.keys.size()) return fail(ErrorCode::kInvalidArgument, cycle_text(columns, find_cycle(view)));
  if (!from.order().empty()) {
    DASK_TRY(columns.order, column<double>(from.order(), columns.n_tasks, "NativeGraph", "order"));
    return {};
  }
  const std::vector<std::uint32_t> rank = order_tasks(view);
  columns.order.assign(rank.begin(), rank.end());
  return {};
}

// order_tasks wants each dependency at most once per task.
Result<void> check_once(const GraphColumns& columns) {
  std::vector<std::uint32_t> seen(columns.keys.size(), kNone);
  for (std::uint32_t task = 0; task < columns.n_tasks; ++task)
    for (std::uint32_t d = columns.dep_begin[task]; d < columns.dep_begin[task + 1]; ++d)
      if (std::exchange(seen[columns.deps[d]], task) == task)
        return malformed("NativeGraph", fmt::format("task {} names its dependency {} twice", task, columns.deps[d]));
  return {};
}

TaskId task_id(std::uint64_t handle) { return {static_cast<std::uint32_t>(handle), static_cast<std::uint32_t>(handle >> 32)}; }

}  // namespace

Result<NativeGraph> decode_native_graph(std::string_view bytes) {
  constexpr std::string_view kName = "NativeGraph";
  v1::NativeGraph from;
  DASK_TRY_VOID(parse(from, bytes, kName));
  NativeGraph out;
  GraphColumns& columns = out.columns;
  columns.n_tasks = from.n_tasks();
  DASK_TRY(columns.keys, keys(from.keys(), kName));
  if (columns.n_tasks > columns.keys.size())
    return malformed(kName, fmt::format("{} tasks, but only {} keys", columns.n_tasks, columns.keys.size()));
  DASK_TRY(columns.deps,
           column<std::uint32_t>(from.dependencies(), static_cast<std::size_t>(from.dependencies_size()), kName, "dependencies"));
  DASK_TRY_VOID(check_below(columns.deps, columns.keys.size(), kName, "dependencies"));
  DASK_TRY(columns.dep_begin, offsets(from.dependency_offsets(), columns.n_tasks, columns.deps.size(), kName, "dependency_offsets"));
  DASK_TRY_VOID(check_once(columns));

  NativeRows::Columns rows;
  DASK_TRY(rows.function, column<std::uint32_t>(from.function(), columns.n_tasks, kName, "function"));
  DASK_TRY_VOID(check_below(rows.function, static_cast<std::size_t>(from.functions_size()), kName, "function"));
  for (const std::string& name : from.functions())
    if (name.empty()) return malformed(kName, "a function has no name");
  DASK_TRY(rows.args_begin, offsets(from.args().offsets(), columns.n_tasks, from.args().data().size(), kName, "args.offsets"));
  rows.args = std::move(*from.mutable_args()->mutable_data());
  rows.functions.assign(std::move_iterator(from.mutable_functions()->begin()), std::move_iterator(from.mutable_functions()->end()));
  rows.inline_bytes_max = from.inline_bytes_max();
  out.rows = std::make_shared<NativeRows>(std::move(rows));

  DASK_TRY(const auto wanted, column<std::uint32_t>(from.wanted(), static_cast<std::size_t>(from.wanted_size()), kName, "wanted"));
  DASK_TRY_VOID(check_below(wanted, columns.keys.size(), kName, "wanted"));
  out.wanted.reserve(wanted.size());
  for (std::uint32_t i : wanted) out.wanted.push_back(columns.keys[i]);
  if (!std::isfinite(from.user_priority())) return malformed(kName, "user_priority is no finite number");
  DASK_TRY_VOID(take_annotations(from, columns));
  DASK_TRY_VOID(take_order(from, columns));
  return out;
}

// ---- ComputeBatch ---------------------------------------------------------------------------------------------------------

struct ComputeBatchWriter::Impl {
  v1::ComputeBatch batch;
  std::vector<std::pair<const NativeRows*, std::uint32_t>> functions;  // by place in the batch's dictionary
  std::unordered_map<std::uint32_t, std::uint32_t> addresses;          // WorkerId -> place in the batch's dictionary

  // Named limit: how far back a function's name is looked for. One that is further back is named again, which is legal.
  static constexpr std::size_t kLookBack = 16;
  std::uint32_t function(const NativeRows& rows, std::uint32_t row) {
    const std::pair wanted(&rows, rows.function_index(row));
    const std::size_t oldest = functions.size() > kLookBack ? functions.size() - kLookBack : 0;
    for (std::size_t i = functions.size(); i-- > oldest;)
      if (functions[i] == wanted) return static_cast<std::uint32_t>(i);
    functions.push_back(wanted);
    const std::string_view name = rows.function(row);
    batch.add_functions(name.data(), name.size());
    return static_cast<std::uint32_t>(functions.size() - 1);
  }
  static void append(v1::BytesColumn& column, std::string_view bytes) {
    if (column.offsets().empty()) column.add_offsets(0);
    column.mutable_data()->append(bytes);
    column.add_offsets(static_cast<std::uint32_t>(column.data().size()));
  }
};

ComputeBatchWriter::ComputeBatchWriter() : impl_(std::make_unique<Impl>()) {}
ComputeBatchWriter::~ComputeBatchWriter() = default;
ComputeBatchWriter::ComputeBatchWriter(ComputeBatchWriter&&) noexcept = default;
ComputeBatchWriter& ComputeBatchWriter::operator=(ComputeBatchWriter&&) noexcept = default;

void ComputeBatchWriter::task(TaskId task, std::int64_t run_id, const Key& key, const Priority& priority, const NativeRows& rows,
                              std::uint32_t row, bool wants_value) {
  v1::ComputeBatch& batch = impl_->batch;
  batch.add_tasks(std::uint64_t{task.generation} << 32 | task.index);
  batch.add_run_ids(run_id);
  Impl::append(*batch.mutable_keys(), key.msgpack());
  batch.add_function(impl_->function(rows, row));
  Impl::append(*batch.mutable_args(), rows.args(row));
  batch.add_priority(priority.user);
  batch.add_priority(priority.generation);
  batch.add_priority(priority.order);
  if (batch.dependency_offsets().empty()) batch.add_dependency_offsets(0);
  batch.add_dependency_offsets(static_cast<std::uint32_t>(batch.dep_nbytes_size()));
  wants_value = wants_value && rows.inline_bytes_max() > 0;
  if (!wants_value && batch.inline_bytes_max().empty()) return;
  batch.mutable_inline_bytes_max()->Resize(batch.tasks_size(), 0);
  if (wants_value) batch.set_inline_bytes_max(batch.tasks_size() - 1, rows.inline_bytes_max());
}

void ComputeBatchWriter::dependency(const Key& key, std::int64_t nbytes) {
  v1::ComputeBatch& batch = impl_->batch;
  Impl::append(*batch.mutable_dep_keys(), key.msgpack());
  batch.add_dep_nbytes(nbytes);
  if (batch.dep_holder_offsets().empty()) batch.add_dep_holder_offsets(0);
  batch.add_dep_holder_offsets(static_cast<std::uint32_t>(batch.dep_holders_size()));
  batch.set_dependency_offsets(batch.dependency_offsets_size() - 1, static_cast<std::uint32_t>(batch.dep_nbytes_size()));
}

void ComputeBatchWriter::holder(WorkerId worker, std::string_view address) {
  v1::ComputeBatch& batch = impl_->batch;
  const auto [place, added] = impl_->addresses.try_emplace(worker.value, static_cast<std::uint32_t>(batch.addresses_size()));
  if (added) batch.add_addresses(address.data(), address.size());
  batch.add_dep_holders(place->second);
  batch.set_dep_holder_offsets(batch.dep_holder_offsets_size() - 1, static_cast<std::uint32_t>(batch.dep_holders_size()));
}

std::size_t ComputeBatchWriter::count() const { return static_cast<std::size_t>(impl_->batch.tasks_size()); }

std::size_t ComputeBatchWriter::bytes_pending() const {
  const v1::ComputeBatch& batch = impl_->batch;
  return batch.keys().data().size() + batch.args().data().size() + batch.dep_keys().data().size() + 64 * count();
}

std::string ComputeBatchWriter::take() {
  std::string bytes;
  impl_->batch.SerializeToString(&bytes);
  impl_->batch.Clear();
  impl_->functions.clear();
  impl_->addresses.clear();
  return bytes;
}

// ---- answers --------------------------------------------------------------------------------------------------------------

namespace {

// The columns that both answers have.
template <class Row, class Message>
Result<std::vector<Row>> answer_rows(const Message& from, std::string_view name) {
  const auto n = static_cast<std::size_t>(from.tasks_size());
  for (auto [size, what] : {std::pair(from.run_ids_size(), "run_ids"), {from.start_size(), "start"}, {from.stop_size(), "stop"}})
    if (static_cast<std::size_t>(size) != n)
      return malformed(name, fmt::format("column {} has {} elements where {} are needed", what, size, n));
  std::vector<Row> rows(n);
  for (int i = 0; i < from.tasks_size(); ++i) {
    Row& row = rows[static_cast<std::size_t>(i)];
    row.task = task_id(from.tasks(i));
    row.run_id = from.run_ids(i);
    row.start = from.start(i);
    row.stop = from.stop(i);
    if (!std::isfinite(row.start) || !std::isfinite(row.stop))
      return malformed(name, fmt::format("the times of task {} are no finite numbers", i));
  }
  return rows;
}

Result<void> take_values(v1::FinishedBatch& from, NativeFinished& out) {
  constexpr std::string_view kName = "FinishedBatch";
  if (from.valued().empty()) return {};
  const auto n = static_cast<std::size_t>(from.valued_size());
  DASK_TRY(const auto begin, offsets(from.values().offsets(), n, from.values().data().size(), kName, "values.offsets"));
  DASK_TRY(const auto valued, column<std::uint32_t>(from.valued(), n, kName, "valued"));
  DASK_TRY_VOID(check_below(valued, out.rows.size(), kName, "valued"));
  const Bytes all = Bytes::own(std::move(*from.mutable_values()->mutable_data()));
  for (std::size_t i = 0; i < n; ++i) out.rows[valued[i]].value = all.slice(begin[i], begin[i + 1] - begin[i]);
  return {};
}

}  // namespace

Result<NativeFinished> decode_native_finished(std::string_view bytes) {
  constexpr std::string_view kName = "FinishedBatch";
  v1::FinishedBatch from;
  DASK_TRY_VOID(parse(from, bytes, kName));
  NativeFinished out;
  DASK_TRY(out.rows, answer_rows<NativeFinishedRow>(from, kName));
  DASK_TRY(const auto nbytes, column<std::int64_t>(from.nbytes(), out.rows.size(), kName, "nbytes"));
  for (std::size_t i = 0; i < nbytes.size(); ++i) {
    if (nbytes[i] < 0) return malformed(kName, fmt::format("task {} has {} bytes", i, nbytes[i]));
    out.rows[i].nbytes = nbytes[i];
  }
  out.types.assign(from.types().begin(), from.types().end());
  DASK_TRY_VOID(take_values(from, out));
  if (from.type().empty()) return out;
  DASK_TRY(const auto type, column<std::uint32_t>(from.type(), out.rows.size(), kName, "type"));
  DASK_TRY_VOID(check_below(type, out.types.size(), kName, "type"));
  for (std::size_t i = 0; i < type.size(); ++i) out.rows[i].type = type[i];
  return out;
}

Result<NativeErred> decode_native_erred(std::string_view bytes) {
  constexpr std::string_view kName = "ErredBatch";
  v1::ErredBatch from;
  DASK_TRY_VOID(parse(from, bytes, kName));
  NativeErred out;
  DASK_TRY(out.rows, answer_rows<NativeErredRow>(from, kName));
  DASK_TRY(const auto error, column<std::uint32_t>(from.error(), out.rows.size(), kName, "error"));
  DASK_TRY_VOID(check_below(error, static_cast<std::size_t>(from.errors_size()), kName, "error"));
  for (std::size_t i = 0; i < error.size(); ++i) out.rows[i].error = error[i];
  for (v1::NativeError& text : *from.mutable_errors())
    out.errors.push_back({std::move(*text.mutable_message()), std::move(*text.mutable_traceback())});
  return out;
}

}  // namespace dask::scheduler
