#include "client/child_report.h"

#include "client/child_pipe.h"
#include "core/wire/message.h"

namespace dask::client {

void report_to_parent(int socket, const Value& report) {
  ChildPipe pipe{FileDescriptor(socket)};
  // A parent that is gone takes us along.
  (void)pipe.send(wire::encode_message(report));
}

bool be_quiet(Config& config) {
  if (config.find("logging") || config.find("distributed.logging")) return false;
  config.set("logging", Value(Value::Map{{"distributed", "warning"}}));
  return true;
}

}  // namespace dask::client
