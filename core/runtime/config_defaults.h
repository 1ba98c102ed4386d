// Dask's default configuration, as far as our programs read it. Names and values are those of distributed.yaml and dask.yaml.
#pragma once

#include <string_view>

namespace dask {

std::string_view config_defaults_yaml();

}  // namespace dask
