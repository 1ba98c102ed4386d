// Native tasks of this worker: batches of the scheduler become events, Execute becomes a call on the pool, what the pool gives back is
// stored and told to the machine.
#include <dlfcn.h>

#include <optional>

#include "core/runtime/log.h"
#include "worker/native/native_stream.h"
#include "worker/server/worker.h"

namespace dask::worker {
namespace {

constexpr std::string_view kLibrarySuffix = ".so";

FailurePtr failure_of(const native::CallFailure& failure) {
  auto out = std::make_shared<Failure>();
  out->exception_text = failure.text();
  return out;
}

}  // namespace

bool is_native_library(std::string_view preload) {
  return preload.ends_with(kLibrarySuffix) || preload.find(std::string(kLibrarySuffix) + ".") != std::string_view::npos;
}

// Loads the libraries among --preload, which register their functions, and starts the pool.
Result<void> Worker::start_native() {
  for (const std::string& library : options_.preload) {
    if (!is_native_library(library)) continue;
    if (::dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL)) {
      log_info("Loaded native library {}", library);
      continue;
    }
    const char* why = ::dlerror();
    return fail(ErrorCode::kInvalidArgument,
                "cannot load the native library " + library + " (--preload): " + (why ? why : "unknown error"));
  }
  auto table = native::FunctionTable::of_registered();
  if (!table) return fail(table.error());
  for (const std::string& warning : table->warnings()) log_warning("{}", warning);
  if (table->size() > 0) log_info("Native functions: {}", table->size());
  native_pool_ = std::make_unique<NativePool>(loop_, clock_, static_cast<std::size_t>(options_.nthreads),
                                              std::make_shared<const native::FunctionTable>(*std::move(table)),
                                              [this](std::vector<NativeExecuted> batch) { native_executed(std::move(batch)); });
  return {};
}

void Worker::compute_native(const Value& fields) {
  const Bytes* batch = fields["batch"].bytes();
  auto tasks = decode_compute_batch(batch ? batch->view() : std::string_view());
  // What the message held is lost; the scheduler gives it to others when this worker has gone.
  if (!tasks) return close("the scheduler sent a broken batch of native tasks: " + tasks.error().message, true);
  apply(*std::move(tasks), "compute-tasks-native");
}

void Worker::execute_native(const Task& ts, const NativeRunSpec& spec, std::int64_t run_id) {
  NativeTask task;
  task.key = ts.key;
  task.run_id = run_id;
  task.function = spec.function;
  task.args = spec.args;
  task.input_keys = spec.inputs;
  task.inputs.reserve(spec.inputs.size());
  std::vector<Key> missing;
  std::vector<std::size_t> missing_at;
  for (const Key& key : spec.inputs) {
    NativeInput input = store_->native_input(key);
    if (input.value.empty() && !input.node) {
      missing_at.push_back(task.inputs.size());
      missing.push_back(key);
    }
    task.inputs.push_back(std::move(input));
  }
  if (missing.empty()) return native_pool_->execute(std::move(task));
  // On disk, or in Python only.
  store_->frames(std::move(missing), {},
                 [this, alive = alive_, task = std::move(task), missing_at](std::vector<PythonSerialised> got) mutable {
                   if (!*alive) return;
                   for (std::size_t i = 0; i < got.size(); ++i) {
                     if (!got[i].data) {
                       const std::string why = got[i].failure ? got[i].failure->exception_text : "it is not on this worker any more";
                       return execute_failed(task.key, task.run_id, "builtins.RuntimeError", "input " + got[i].key.repr() + ": " + why);
                     }
                     task.inputs[missing_at[i]].node = std::move(got[i].data);
                   }
                   native_pool_->execute(std::move(task));
                 });
}

void Worker::native_executed(std::vector<NativeExecuted> batch) {
  const std::string erred = stimulus("task-erred");
  ExecuteSuccesses successes;
  successes.executed.reserve(batch.size());
  const auto apply_successes = [&] {
    if (!successes.executed.empty()) apply(std::exchange(successes, {}), stimulus("task-finished"));
  };
  for (NativeExecuted& one : batch) {
    const double start = one.start == 0 ? 0 : one.start + scheduler_delay_, stop = one.stop == 0 ? 0 : one.stop + scheduler_delay_;
    if (!one.result) {
      ExecuteFailure failed;
      failed.key = std::move(one.key);
      failed.run_id = one.run_id;
      failed.start = start;
      failed.stop = stop;
      failed.failure = failure_of(one.result.error());
      apply_successes();
      log_error("Compute Failed\nKey:       {}\nException: {}\n", failed.key.str(), failed.failure->exception_text);
      apply(std::move(failed), erred);
      continue;
    }
    ExecuteSuccess success;
    success.typename_ = std::string(one.result->type_name());
    store_->add_native(one.key, *std::move(one.result), one.nbytes);
    success.key = std::move(one.key);
    success.run_id = one.run_id;
    success.start = start;
    success.stop = stop;
    success.nbytes = one.nbytes;
    successes.executed.push_back(std::move(success));
  }
  apply_successes();
}

}  // namespace dask::worker
