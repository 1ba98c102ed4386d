// Found beside the running program, so that a copied or relocated installation works.
#include "core/runtime/python_location.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace dask {
namespace {

namespace fs = std::filesystem;

fs::path folder_of_program() {
  std::error_code error;
  fs::path program = fs::read_symlink("/proc/self/exe", error);
  return error ? fs::path() : program.parent_path();
}

}  // namespace

std::string find_python() {
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

std::string find_python_path(std::string_view file) {
  if (const char* named = std::getenv("DASK_NATIVE_PYTHONPATH"); named != nullptr && *named != '\0') return named;
  fs::path folder = folder_of_program();
  if (folder.empty()) return {};
  for (const char* candidate : {"../..", "../../python"}) {
    fs::path place = (folder / candidate).lexically_normal();
    std::error_code error;
    if (fs::exists(place / file, error)) return place;
  }
  return {};
}

std::string find_beside_program(std::string_view file, const char* variable) {
  if (const char* named = std::getenv(variable); named != nullptr && *named != '\0') return named;
  const fs::path place = folder_of_program() / file;
  std::error_code error;
  return fs::exists(place, error) ? place.string() : std::string();
}

}  // namespace dask
