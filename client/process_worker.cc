// The child of the scheduler "processes": answers calls until its socket ends.
#include <cstdio>

#include "client/child_pipe.h"
#include "client/internal_programs.h"
#include "client/process_protocol.h"
#include "core/native/function_table.h"

namespace dask::client {

int run_process_worker(int socket) {
  ChildPipe pipe{FileDescriptor(socket)};
  const auto table = native::FunctionTable::of_registered();
  if (!table) {
    std::fprintf(stderr, "%s\n", table.error().message.c_str());
    return 1;
  }
  for (;;) {
    auto frames = pipe.receive();
    if (!frames) return 0;
    auto request = decode_request(*frames);
    if (!request) return 1;
    native::CallResult result;
    if (auto function = table->require(request->function))
      result = (*function)->call(request->args, request->inputs);
    else
      result = tl::unexpected(native::CallFailure{function.error().code, "", function.error().message, nullptr});
    if (!pipe.send(encode_answer(result))) return 0;
  }
}

}  // namespace dask::client
