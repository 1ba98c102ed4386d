// "sync": in the calling thread, inputs before users. For debugging, and the least overhead there is.
#include "client/graph_run.h"
#include "client/local_schedulers.h"

namespace dask::client {

std::vector<native::NativeValue> run_sync(const FlatGraph& graph, Progress& progress) {
  GraphRun run(graph, progress);
  std::vector<native::NativeValue> scratch;
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    if (!graph.nodes[i]->function) continue;
    if (!run.call(i, scratch)) break;
    run.finish_stored(i, [](std::uint32_t) {});
  }
  return run.take();
}

}  // namespace dask::client
