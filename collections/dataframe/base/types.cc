// The names of the types.
#include "collections/dataframe/base/types.h"

namespace dask::dataframe {

std::string_view dask_name(Type type) {
  switch (type) {
    case Type::kInt64: return "int64";
    case Type::kFloat64: return "float64";
    case Type::kBoolean: return "bool";
    case Type::kUtf8: return "string";
    case Type::kTimestamp: return "datetime64[ns]";
  }
  return "?";
}

std::string_view option_name(Type type) {
  switch (type) {
    case Type::kInt64: return "int64";
    case Type::kFloat64: return "float64";
    case Type::kBoolean: return "boolean";
    case Type::kUtf8: return "utf8";
    case Type::kTimestamp: return "timestamp";
  }
  return "?";
}

}  // namespace dask::dataframe
