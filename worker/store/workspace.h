// Workspace: the folder for one life of a worker's files, `<base>/dask-scratch-space/worker-…`, removed at its end. A lock file beside it
// tells the living from what a killed worker left behind, which the next one removes. Source: distributed/diskutils.py.
#pragma once

#include <string>

#include "core/base/result.h"
#include "core/runtime/process.h"

namespace dask::worker {

class Workspace {
 public:
  // `base`: --local-directory; created when it is not there. kUnavailable says why no folder can be made.
  static Result<Workspace> create(const std::string& base);
  Workspace() = default;
  ~Workspace();
  Workspace(Workspace&&) noexcept = default;
  Workspace& operator=(Workspace&&) noexcept = default;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  FileDescriptor lock_;
};

}  // namespace dask::worker
