// Values are written as Python's str() has them.
#include "worker/execute/nanny_environment.h"

#include <fmt/format.h>

#include <cstdlib>

namespace dask::worker {

Result<std::map<std::string, std::string>> nanny_environment(const Config& config) {
  std::map<std::string, std::string> out;
  for (const char* key : {"distributed.nanny.pre-spawn-environ", "distributed.nanny.environ"}) {
    const Value* variables = config.find(key);
    if (variables == nullptr || variables->is_nil()) continue;
    if (!variables->is_map()) {
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("{} (from {}) must be a map of variables and values, not {}", key, config.source(key), variables->repr()));
    }
    for (const auto& [name, value] : *variables->map_if()) {
      if (value.is_nil()) continue;
      std::string variable = name.is_string() ? *name.string() : name.repr();
      const char* own = std::getenv(variable.c_str());
      out[variable] = own != nullptr ? own : value.is_string() ? *value.string() : value.repr();
    }
  }
  return out;
}

}  // namespace dask::worker
