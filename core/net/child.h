// Child: a child program watched by the loop: its end and the lines that it prints arrive as calls.
// Thread ownership: the loop's thread. Destroying a Child kills the program.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "core/base/result.h"
#include "core/net/loop.h"
#include "core/runtime/process.h"

namespace dask::net {

class Child {
 public:
  struct Handlers {
    // Called once when the program has ended, after its last line.
    std::function<void(ExitStatus)> exited;
    // Called for each line of stdout and stderr, without the line's end; needs ProcessOptions::capture_output.
    std::function<void(std::string_view)> line;
  };
  static Result<std::unique_ptr<Child>> start(Loop& loop, const ProcessOptions& options, Handlers handlers);
  ~Child();

  int pid() const;
  void kill(int signal);
  bool running() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace dask::net
