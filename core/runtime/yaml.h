// YAML and JSON text to Values, with PyYAML's reading of plain scalars. The only door to yaml-cpp in core/.
#pragma once

#include <string_view>

#include "core/base/result.h"
#include "core/base/value.h"

namespace dask {

// Named limit: nodes of one document, aliases counted each time they are used.
inline constexpr int kYamlNodesMax = 200'000;

// The first document; nil for an empty text. kMalformed says line and column.
Result<Value> parse_yaml(std::string_view text);
// What json.dumps of Python writes: JSON, and Infinity and NaN, which core/base/json.h refuses.
Result<Value> parse_python_json(std::string_view text);

}  // namespace dask
