// Native graphs and tasks on the streams of clients and workers (docs/native-protocol.md).
#include "core/runtime/log.h"
#include "scheduler/server/sessions.h"

namespace dask::scheduler {

void ClientSession::update_graph_native(const Value&) { log_warning("native graphs are not wired in yet"); }
void WorkerSession::native_finished(const Value&) {}
void WorkerSession::native_erred(const Value&) {}

}  // namespace dask::scheduler
