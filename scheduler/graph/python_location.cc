// Where the Python side is: an installed wheel has this program in site-packages/dask_native/bin, a build tree in build/bin.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "scheduler/graph/graph_service.h"

namespace dask::scheduler {
namespace {

namespace fs = std::filesystem;

fs::path folder_of_program() {
  std::error_code error;
  fs::path program = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path() : program.parent_path();
}

}  // namespace

std::string default_python() {
  if (const char* named = std::getenv("DASK_NATIVE_PYTHON"); named != nullptr && *named != '\0') return named;
  fs::path folder = folder_of_program();
  if (!folder.empty()) {
    // <environment>/lib/python3.x/site-packages/dask_native/bin, <checkout>/build/bin
    for (const char* candidate : {"../../../../../bin/python", "../../.venv/bin/python"}) {
      fs::path python = (folder / candidate).lexically_normal();
      if (::access(python.c_str(), X_OK) == 0) return python;
    }
  }
  return "python3";
}

std::string default_python_path() {
  if (const char* named = std::getenv("DASK_NATIVE_PYTHONPATH"); named != nullptr && *named != '\0') return named;
  fs::path folder = folder_of_program();
  if (folder.empty()) return {};
  for (const char* candidate : {"../..", "../../python"}) {
    fs::path place = (folder / candidate).lexically_normal();
    std::error_code error;
    if (fs::exists(place / "dask_native" / "graph_helper.py", error)) return place;
  }
  return {};
}

}  // namespace dask::scheduler
