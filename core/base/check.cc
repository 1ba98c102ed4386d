#include "core/base/check.h"

#include <cstdio>

namespace dask {
namespace {
std::function<std::string()>& context_slot() {
  static std::function<std::string()> slot;
  return slot;
}
}  // namespace

void set_check_context(std::function<std::string()> context) { context_slot() = std::move(context); }

void check_failed(const char* file, int line, const std::string& what) {
  auto context = std::exchange(context_slot(), {});
  if (context) std::fprintf(stderr, "%s\n", context().c_str());
  std::fprintf(stderr, "%s:%d: %s\nThis is a bug in dask-native; please report it with the lines above.\n", file, line, what.c_str());
  std::abort();
}

}  // namespace dask
