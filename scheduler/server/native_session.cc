// Native graphs and tasks on the streams of clients and workers (docs/native-protocol.md).
#include "core/runtime/log.h"
#include "scheduler/graph/native_graph.h"
#include "scheduler/server/sessions.h"

namespace dask::scheduler {
namespace {

std::string_view bytes_of(const Value& value) { return value.bytes() ? value.bytes()->view() : std::string_view(); }

}  // namespace

void ClientSession::update_graph_native(const Value& fields) {
  auto graph = decode_native_graph(bytes_of(fields["graph"]));
  if (!graph) {
    log_warning("Refusing a native graph of client {}: {}", name_, graph.error().message);
    return server_.send(id_, Value(Value::Map{{"op", "graph-refused-native"}, {"id", fields["id"]}, {"message", graph.error().message}}));
  }
  GraphSubmitted submitted;
  submitted.client = client_in(fields);
  submitted.graph = server_.next_graph();
  submitted.columns = std::move(graph->columns);
  submitted.wanted = std::move(graph->wanted);
  submitted.spec = SpecKind::kNative;
  takes_values_ = takes_values_ || graph->rows->inline_bytes_max() > 0;
  submitted.native_rows = std::move(graph->rows);
  submitted.received = server_.now();
  server_.apply(std::move(submitted), server_.stimulus("update-graph-native"));
}

void WorkerSession::native_finished(const Value& fields) {
  auto batch = decode_native_finished(bytes_of(fields["batch"]));
  if (!batch) return log_warning("Skipping a batch of worker {}: {}", server_.state().worker(id_).address, batch.error().message);
  NativeTasksFinished finished{id_, {}, std::move(batch->types)};
  finished.rows.reserve(batch->rows.size());
  for (const NativeFinishedRow& row : batch->rows)
    finished.rows.push_back({row.task, row.run_id, row.nbytes, row.start, row.stop, row.type, row.value});
  server_.apply(std::move(finished), "tasks-finished-native");
}

void WorkerSession::native_erred(const Value& fields) {
  auto batch = decode_native_erred(bytes_of(fields["batch"]));
  if (!batch) return log_warning("Skipping a batch of worker {}: {}", server_.state().worker(id_).address, batch.error().message);
  std::vector<FailurePtr> failures;
  for (const NativeErred::Text& text : batch->errors) {
    auto failure = std::make_shared<Failure>();
    failure->error_class = "builtins.RuntimeError";
    failure->error_arguments = {Value(text.message)};
    failure->exception_text = text.message;
    failure->traceback_text = text.traceback;
    failures.push_back(std::move(failure));
  }
  NativeTasksErred erred{id_, {}};
  for (const NativeErredRow& row : batch->rows)
    if (row.error < failures.size()) erred.rows.push_back({row.task, row.run_id, row.start, row.stop, failures[row.error]});
  server_.apply(std::move(erred), "tasks-erred-native");
}

}  // namespace dask::scheduler
