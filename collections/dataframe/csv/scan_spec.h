// What a task needs to read its part of the CSV files: the layout that all files share, and one block of one file.
// Both travel inside tasks, so they are plain data (dask_fields: see core/native/codec.h).
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "collections/dataframe/base/types.h"

namespace dask::dataframe::csv {

// One column of the dataframe. Usually it is one field; a date may be joined from several.
struct Column {
  std::string name;
  Type type = Type::kUtf8;
  bool inferred = true;               // from the sample, not given by the user: said in errors
  std::vector<std::uint32_t> fields;  // positions in the file
  auto dask_fields() { return std::tie(name, type, inferred, fields); }
  auto dask_fields() const { return std::tie(name, type, inferred, fields); }
};

struct Layout {
  std::string separator = ",";
  std::uint32_t fields = 0;  // in a row
  std::vector<Column> columns;
  std::string sampled_file;  // where the types were inferred
  std::int64_t sampled_bytes = 0;
  auto dask_fields() { return std::tie(separator, fields, columns, sampled_file, sampled_bytes); }
  auto dask_fields() const { return std::tie(separator, fields, columns, sampled_file, sampled_bytes); }
};

// The bytes [begin, end) of a file: whole rows, no header.
struct Block {
  std::string path;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  auto dask_fields() { return std::tie(path, begin, end); }
  auto dask_fields() const { return std::tie(path, begin, end); }
};

}  // namespace dask::dataframe::csv
