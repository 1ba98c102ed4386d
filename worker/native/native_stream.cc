#include "worker/native/native_stream.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/python_text.h"
#include "proto/dask_native.pb.h"

namespace dask::worker {
namespace {

namespace v1 = dask_native::v1;

constexpr std::string_view kBatch = "ComputeBatch";
constexpr std::size_t kTypesLookBack = 16;  // how far back a result's type is looked for; one further back is named again

tl::unexpected<Error> malformed(std::string text) { return fail(ErrorCode::kMalformed, fmt::format("{}: {}", kBatch, text)); }

// Offsets of `rows` rows that cover exactly `size` elements.
template <class Field>
Result<void> check_offsets(const Field& field, std::size_t rows, std::size_t size, std::string_view name) {
  if (rows == 0 && size == 0 && field.empty()) return {};
  if (static_cast<std::size_t>(field.size()) != rows + 1)
    return malformed(fmt::format("column {} has {} elements where {} are needed", name, field.size(), rows + 1));
  if (field.Get(0) != 0 || field.Get(field.size() - 1) != size)
    return malformed(
        fmt::format("{} must lead from 0 to {}, but leads from {} to {}", name, size, field.Get(0), field.Get(field.size() - 1)));
  if (std::adjacent_find(field.begin(), field.end(), std::greater<>()) != field.end()) return malformed(fmt::format("{} falls", name));
  return {};
}

Result<void> check_size(int size, std::size_t wanted, std::string_view name) {
  if (static_cast<std::size_t>(size) == wanted) return {};
  return malformed(fmt::format("column {} has {} elements where {} are needed", name, size, wanted));
}

template <class Field>
Result<void> check_below(const Field& field, int limit, std::string_view name) {
  for (auto index : field)
    if (index >= static_cast<std::uint32_t>(limit)) return malformed(fmt::format("column {} names {} of {}", name, index, limit));
  return {};
}

Result<Key> key_at(const v1::BytesColumn& column, std::size_t row, std::string_view name) {
  const auto i = static_cast<int>(row);
  const std::string_view data(column.data());
  auto key = Key::from_msgpack(data.substr(column.offsets(i), column.offsets(i + 1) - column.offsets(i)));
  if (!key) return malformed(fmt::format("{} {}: {}", name, row, key.error().message));
  return key;
}

Result<void> check_columns(const v1::ComputeBatch& from) {
  const auto n = static_cast<std::size_t>(from.tasks_size());
  const auto n_deps = static_cast<std::size_t>(from.dep_nbytes_size());
  DASK_TRY_VOID(check_size(from.run_ids_size(), n, "run_ids"));
  DASK_TRY_VOID(check_size(from.function_size(), n, "function"));
  DASK_TRY_VOID(check_size(from.priority_size(), 3 * n, "priority"));
  DASK_TRY_VOID(check_below(from.function(), from.functions_size(), "function"));
  DASK_TRY_VOID(check_offsets(from.keys().offsets(), n, from.keys().data().size(), "keys.offsets"));
  DASK_TRY_VOID(check_offsets(from.args().offsets(), n, from.args().data().size(), "args.offsets"));
  DASK_TRY_VOID(check_offsets(from.dependency_offsets(), n, n_deps, "dependency_offsets"));
  DASK_TRY_VOID(check_offsets(from.dep_keys().offsets(), n_deps, from.dep_keys().data().size(), "dep_keys.offsets"));
  const auto n_holders = static_cast<std::size_t>(from.dep_holders_size());
  DASK_TRY_VOID(check_offsets(from.dep_holder_offsets(), n_deps, n_holders, "dep_holder_offsets"));
  DASK_TRY_VOID(check_below(from.dep_holders(), from.addresses_size(), "dep_holders"));
  if (!from.inline_bytes_max().empty()) DASK_TRY_VOID(check_size(from.inline_bytes_max_size(), n, "inline_bytes_max"));
  for (double number : from.priority())
    if (!std::isfinite(number)) return malformed("a priority is no finite number");
  return {};
}

}  // namespace

Value native_registration() {
  Value about = Value::map();
  about.set("version", 1);
  Value extra = Value::map();
  extra.set("dask-native", std::move(about));
  return extra;
}

Result<ComputeTasks> decode_compute_batch(std::string_view bytes) {
  static const auto silenced = google::protobuf::SetLogHandler(nullptr);  // the error that we return is enough
  (void)silenced;
  v1::ComputeBatch from;
  if (bytes.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max()) ||
      !from.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return malformed("this is no such Protobuf message");
  DASK_TRY_VOID(check_columns(from));
  const Bytes args = Bytes::own(std::move(*from.mutable_args()->mutable_data()));
  const auto& args_begin = from.args().offsets();
  ComputeTasks out;
  out.tasks.resize(static_cast<std::size_t>(from.tasks_size()));
  for (int i = 0; i < from.tasks_size(); ++i) {
    const auto row = static_cast<std::size_t>(i);
    ComputeTask& task = out.tasks[row];
    DASK_TRY(task.key, key_at(from.keys(), row, "key"));
    task.run_id = from.run_ids(i);
    task.priority = Priority{from.priority(3 * i), from.priority(3 * i + 1), from.priority(3 * i + 2)};
    NativeRunSpec spec;
    spec.function = from.functions(static_cast<int>(from.function(i)));
    if (!args_begin.empty()) spec.args = args.slice(args_begin.Get(i), args_begin.Get(i + 1) - args_begin.Get(i));
    spec.handle = from.tasks(i);
    if (!from.inline_bytes_max().empty()) spec.inline_bytes_max = from.inline_bytes_max(i);
    const std::uint32_t end = from.dependency_offsets_size() == 0 ? 0 : from.dependency_offsets(i + 1);
    for (std::uint32_t d = from.dependency_offsets_size() == 0 ? 0 : from.dependency_offsets(i); d < end; ++d) {
      Dependency& dependency = task.dependencies.emplace_back();
      DASK_TRY(dependency.key, key_at(from.dep_keys(), d, "dependency"));
      dependency.nbytes = from.dep_nbytes(static_cast<int>(d));
      const auto at = static_cast<int>(d);
      for (std::uint32_t h = from.dep_holder_offsets(at); h < from.dep_holder_offsets(at + 1); ++h)
        dependency.who_has.push_back(from.addresses(static_cast<int>(from.dep_holders(static_cast<int>(h)))));
    }
    spec.inputs.reserve(task.dependencies.size());
    for (const Dependency& dependency : task.dependencies) spec.inputs.push_back(dependency.key);
    task.run_spec = std::move(spec);
  }
  return out;
}

// ---- answers --------------------------------------------------------------------------------------------------------------

struct NativeAnswers::Impl {
  v1::FinishedBatch finished;
  v1::ErredBatch erred;
  std::vector<FailurePtr> failures;  // of erred.errors

  std::uint32_t type(const std::string& name) {
    const int n = finished.types_size();
    for (int i = n; i-- > std::max(0, n - static_cast<int>(kTypesLookBack));)
      if (finished.types(i) == name) return static_cast<std::uint32_t>(i);
    finished.add_types(python::to_utf8(name));
    return static_cast<std::uint32_t>(n);
  }
  std::uint32_t error(const FailurePtr& failure) {
    for (std::size_t i = failures.size(); i-- > 0;)
      if (failures[i] == failure) return static_cast<std::uint32_t>(i);
    failures.push_back(failure);
    v1::NativeError& out = *erred.add_errors();
    if (failure) {
      out.set_message(python::to_utf8(failure->exception_text));
      out.set_traceback(python::to_utf8(failure->traceback_text));
    }
    return static_cast<std::uint32_t>(failures.size() - 1);
  }
};

NativeAnswers::NativeAnswers() : impl_(std::make_unique<Impl>()) {}
NativeAnswers::~NativeAnswers() = default;
NativeAnswers::NativeAnswers(NativeAnswers&&) noexcept = default;
NativeAnswers& NativeAnswers::operator=(NativeAnswers&&) noexcept = default;

void NativeAnswers::finished(const NativeTaskFinishedMsg& msg, std::string_view value) {
  v1::FinishedBatch& batch = impl_->finished;
  batch.add_tasks(msg.handle);
  batch.add_run_ids(msg.run_id);
  batch.add_nbytes(std::max<std::int64_t>(msg.nbytes, 0));
  batch.add_start(msg.start);
  batch.add_stop(msg.stop);
  batch.add_type(impl_->type(msg.typename_));
  if (value.empty()) return;
  batch.add_valued(static_cast<std::uint32_t>(batch.tasks_size() - 1));
  v1::BytesColumn& values = *batch.mutable_values();
  if (values.offsets().empty()) values.add_offsets(0);
  values.mutable_data()->append(value);
  values.add_offsets(static_cast<std::uint32_t>(values.data().size()));
}

void NativeAnswers::erred(const NativeTaskErredMsg& msg) {
  v1::ErredBatch& batch = impl_->erred;
  batch.add_tasks(msg.handle);
  batch.add_run_ids(msg.run_id);
  batch.add_error(impl_->error(msg.failure));
  batch.add_start(msg.start);
  batch.add_stop(msg.stop);
}

bool NativeAnswers::empty() const { return impl_->finished.tasks_size() == 0 && impl_->erred.tasks_size() == 0; }

void NativeAnswers::write(wire::BatchWriter& stream) {
  const auto add = [&](std::string_view op, auto& message) {
    if (message.tasks_size() == 0) return;
    std::string bytes;
    message.SerializeToString(&bytes);
    message.Clear();
    wire::MessageWriter& w = stream.begin();
    w.map(2);
    w.string("op");
    w.string(op);
    w.string("batch");
    w.binary(bytes);
  };
  add("tasks-finished-native", impl_->finished);
  add("tasks-erred-native", impl_->erred);
  impl_->failures.clear();
}

}  // namespace dask::worker
