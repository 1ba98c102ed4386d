#include "worker/store/workspace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/runtime/log.h"

namespace dask::worker {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kLockSuffix = ".native-lock";  // Dask's own workspaces look for .dirlock and leave ours alone

// Removes what workers left that are no more: their locks are free.
void purge_leftovers(const fs::path& folder) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string path = entry.path().string();
    if (!path.ends_with(kLockSuffix)) continue;
    const FileDescriptor lock(::open(path.c_str(), O_RDWR | O_CLOEXEC));
    if (!lock.valid() || ::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) continue;
    const std::string left = path.substr(0, path.size() - kLockSuffix.size());
    log_info("Removing the files of a worker that is no more: {}", left);
    std::error_code ignored;
    fs::remove_all(left, ignored);
    ::unlink(path.c_str());
  }
}

}  // namespace

Result<Workspace> Workspace::create(const std::string& base) {
  fs::path folder = fs::absolute(fs::path(base)) / "dask-scratch-space";
  std::error_code error;
  fs::create_directories(folder, error);
  if (::access(folder.c_str(), W_OK) != 0) {  // another user's
    folder += fmt::format("-{}", ::getuid());
    fs::create_directories(folder, error);
  }
  std::string path = (folder / "worker-XXXXXX").string();
  if (::mkdtemp(path.data()) == nullptr)
    return fail(ErrorCode::kUnavailable, fmt::format("cannot make a folder for this worker in {}: {}; pass --local-directory with one that "
                                                     "can be written to",
                                                     folder.string(), std::strerror(errno)));
  Workspace workspace;
  workspace.path_ = path;
  // Locked before it has the name that purge_leftovers() looks for.
  const std::string lock = path + std::string(kLockSuffix), aside = lock + "-new";
  workspace.lock_ = FileDescriptor(::open(aside.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (workspace.lock_.valid()) (void)::flock(workspace.lock_.get(), LOCK_EX | LOCK_NB);
  ::rename(aside.c_str(), lock.c_str());
  purge_leftovers(folder);
  return workspace;
}

Workspace::~Workspace() {
  if (!lock_.valid()) return;
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  ::unlink((path_ + std::string(kLockSuffix)).c_str());
}

}  // namespace dask::worker
