// What read_csv does before anything is computed: finds the files, reads the header, infers types from a sample of the first file as
// Dask does, and cuts the files into blocks of whole rows. Reads files; starts no threads.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "collections/dataframe/csv/scan_spec.h"
#include "core/base/result.h"

namespace dask::dataframe::csv {

struct PlanOptions {
  std::map<std::string, Type> dtype;
  // New column -> the columns (by position or name) that make its date, joined with blanks. They are no columns of their own then.
  std::vector<std::pair<std::string, std::vector<std::variant<std::int64_t, std::string>>>> parse_dates;
  std::optional<std::vector<std::string>> usecols;
  std::int64_t blocksize_bytes = 64 << 20;  // 0: one block a file
  std::int64_t sample_bytes = 256'000;
  bool assume_missing = false;
  char separator = ',';
};

struct ScanPlan {
  Layout layout;
  std::vector<Block> blocks;
};

inline constexpr std::size_t kFilesMax = 1'000'000;
inline constexpr std::int64_t kFieldsMax = 100'000;

// `patterns` are paths with * ? [ ] in them; each pattern's files in alphabetical order.
Result<ScanPlan> plan_scan(const std::vector<std::string>& patterns, const PlanOptions& options);

}  // namespace dask::dataframe::csv
