#include "benchmarks/native_batch.h"

#include "proto/dask_native.pb.h"

namespace dask::benchmarks {
namespace {

bool for_each_row(const dask_native::v1::BytesColumn& column, const std::function<void(std::string_view)>& visit) {
  const std::string_view data = column.data();
  for (int i = 0; i + 1 < column.offsets_size(); ++i) {
    const std::uint32_t begin = column.offsets(i), end = column.offsets(i + 1);
    if (begin > end || end > data.size()) return false;
    visit(data.substr(begin, end - begin));
  }
  return true;
}

}  // namespace

NativeAnswer finish_batch(std::string_view compute_batch, double now, const std::function<void(std::string_view)>& dependency,
                          const std::function<void(std::string_view)>& result) {
  // One message of each kind, reused: parsing then allocates nothing once they have grown.
  static thread_local dask_native::v1::ComputeBatch batch;
  static thread_local dask_native::v1::FinishedBatch finished;
  NativeAnswer answer;
  if (!batch.ParseFromArray(compute_batch.data(), static_cast<int>(compute_batch.size()))) return answer;
  if (batch.run_ids_size() != batch.tasks_size()) return answer;
  if (!for_each_row(batch.dep_keys(), dependency) || !for_each_row(batch.keys(), result)) return answer;
  finished.Clear();
  finished.mutable_tasks()->CopyFrom(batch.tasks());
  finished.mutable_run_ids()->CopyFrom(batch.run_ids());
  finished.mutable_nbytes()->Resize(batch.tasks_size(), 20);
  finished.mutable_start()->Resize(batch.tasks_size(), now - 10e-6);
  finished.mutable_stop()->Resize(batch.tasks_size(), now);
  answer.valid = finished.SerializeToString(&answer.finished);
  answer.tasks = static_cast<std::size_t>(batch.tasks_size());
  return answer;
}

}  // namespace dask::benchmarks
