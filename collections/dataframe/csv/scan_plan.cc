// From paths and options to a layout and blocks, with every complaint about files and options on the way.
#include "collections/dataframe/csv/scan_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <glob.h>

#include <algorithm>
#include <set>

#include "collections/dataframe/csv/block_reader.h"
#include "collections/dataframe/csv/inference.h"
#include "collections/dataframe/csv/parse.h"

namespace dask::dataframe::csv {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::size_t kHeaderBytesMax = 16 << 20;

Result<std::vector<std::string>> find_files(const std::vector<std::string>& patterns) {
  std::vector<std::string> paths;
  for (const std::string& pattern : patterns) {
    if (const std::size_t scheme = pattern.find("://"); scheme != std::string::npos) {
      if (pattern.compare(0, scheme, "file") != 0) {
        return fail(ErrorCode::kUnsupported,
                    fmt::format("cannot read {}: only files of this machine are supported, not {}://", pattern, pattern.substr(0, scheme)));
      }
    }
    const std::string local = pattern.compare(0, 7, "file://") == 0 ? pattern.substr(7) : pattern;
    glob_t found{};
    const int status = ::glob(local.c_str(), 0, nullptr, &found);
    for (std::size_t i = 0; status == 0 && i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
    if (status != 0) return fail(ErrorCode::kNotFound, fmt::format("no file matches {}", pattern));
  }
  if (paths.empty()) return fail(ErrorCode::kInvalidArgument, "read_csv needs at least one path");
  if (paths.size() > kFilesMax)
    return fail(ErrorCode::kLimit, fmt::format("{} files are more than the {} that one dataframe may have", paths.size(), kFilesMax));
  return paths;
}

struct Header {
  std::vector<std::string> names;
  std::int64_t end = 0;  // where the first row begins
};

// What the first bytes of a file say it is instead of CSV.
std::string_view other_format(std::string_view head) {
  if (head.substr(0, 2) == "\x1f\x8b") return "gzip-compressed";
  if (head.substr(0, 4) == "\x28\xb5\x2f\xfd") return "zstd-compressed";
  if (head.substr(0, 3) == "BZh") return "bzip2-compressed";
  if (head.substr(0, 4) == "PK\x03\x04") return "a zip archive";
  if (head.substr(0, 4) == "PAR1") return "a Parquet file";
  if (head.substr(0, 2) == "\xff\xfe" || head.substr(0, 2) == "\xfe\xff") return "UTF-16 text";
  return {};
}

// Splits the header row, quotes included. False when it does not end within `text`.
bool split_header(std::string_view text, char separator, std::vector<std::string>& names, std::size_t& consumed) {
  names.assign(1, "");
  bool quoted = false, at_start = true;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c != '"') {
        names.back() += c;
      } else if (i + 1 < text.size() && text[i + 1] == '"') {
        names.back() += text[i++];
      } else {
        quoted = false;
      }
    } else if (c == '"' && at_start) {
      quoted = true;
    } else if (c == separator) {
      names.emplace_back();
      at_start = true;
      continue;
    } else if (c == '\n') {
      if (!names.back().empty() && names.back().back() == '\r') names.back().pop_back();
      if (names.size() == 1 && names[0].find_first_not_of(" \t") == std::string::npos) {
        names.assign(1, "");  // a blank line before the header
        at_start = true;
        continue;
      }
      consumed = i + 1;
      return true;
    } else {
      names.back() += c;
    }
    at_start = false;
  }
  return false;
}

Result<Header> read_header(const File& file, char separator) {
  std::string text;
  for (std::size_t size = 64 * 1024;; size *= 4) {
    text.resize(size);
    DASK_TRY(const std::size_t got, file.read(0, text.data(), size));
    text.resize(got);
    if (const std::string_view format = other_format(text); !format.empty()) {
      return fail(ErrorCode::kUnsupported, fmt::format("{} is {}; read_csv reads plain UTF-8 text", file.path(), format));
    }
    const std::size_t begin = text.compare(0, kByteOrderMark.size(), kByteOrderMark) == 0 ? kByteOrderMark.size() : 0;
    if (got < size && (text.empty() || text.back() != '\n')) text += '\n';
    Header header;
    std::size_t consumed = 0;
    if (split_header(std::string_view(text).substr(begin), separator, header.names, consumed)) {
      header.end = static_cast<std::int64_t>(std::min(begin + consumed, got));
      for (const std::string& name : header.names) {
        if (!is_valid_utf8(name))
          return fail(ErrorCode::kMalformed, fmt::format("{}, line 1: the header is not UTF-8; convert the file", file.path()));
      }
      return header;
    }
    if (got < size)
      return fail(ErrorCode::kMalformed,
                  got == 0 ? fmt::format("{} is empty: there is no header", file.path())
                           : fmt::format("{} has no header line that ends (a quote is never closed, or all lines are blank)", file.path()));
    if (size > kHeaderBytesMax)
      return fail(ErrorCode::kMalformed, fmt::format("{}: the header line is longer than {} MB", file.path(), kHeaderBytesMax >> 20));
  }
}

// pandas' names: an empty one is "Unnamed: 3", a second "a" is "a.1".
void name_apart(std::vector<std::string>& names) {
  std::set<std::string> taken;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) names[i] = fmt::format("Unnamed: {}", i);
    const std::string base = names[i];
    for (int n = 1; !taken.insert(names[i]).second; ++n) names[i] = fmt::format("{}.{}", base, n);
  }
}

Result<std::uint32_t> position_of(const std::vector<std::string>& names, const std::string& name, std::string_view option) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    return fail(ErrorCode::kInvalidArgument,
                fmt::format("{} names column '{}', but the files have: {}", option, name, fmt::join(names, ", ")));
  return static_cast<std::uint32_t>(found - names.begin());
}

// The dataframe's columns, dates first as in pandas; types still to be inferred.
Result<std::vector<Column>> choose_columns(const std::vector<std::string>& names, const PlanOptions& options) {
  for (const auto& [name, type] : options.dtype) {
    DASK_TRY([[maybe_unused]] const std::uint32_t position, position_of(names, name, "dtype"));
  }
  std::vector<bool> used(names.size(), !options.usecols.has_value());
  if (options.usecols) {
    for (const std::string& name : *options.usecols) {
      DASK_TRY(const std::uint32_t position, position_of(names, name, "usecols"));
      used[position] = true;
    }
  }
  std::vector<Column> columns, in_place(names.size());
  std::vector<bool> joined(names.size(), false);
  for (const auto& [name, parts] : options.parse_dates) {
    Column date{name, Type::kTimestamp, false, {}};
    for (const auto& part : parts) {
      std::uint32_t position = 0;
      if (const auto* number = std::get_if<std::int64_t>(&part)) {
        if (*number < 0 || *number >= static_cast<std::int64_t>(names.size())) {
          return fail(ErrorCode::kInvalidArgument, fmt::format("parse_dates of '{}' names column {}, but the files have columns 0 to {}",
                                                               name, *number, names.size() - 1));
        }
        position = static_cast<std::uint32_t>(*number);
      } else {
        DASK_TRY(position, position_of(names, std::get<std::string>(part), "parse_dates"));
      }
      if (!used[position])
        return fail(ErrorCode::kInvalidArgument,
                    fmt::format("parse_dates of '{}' needs column '{}': add it to usecols", name, names[position]));
      joined[position] = true;
      date.fields.push_back(position);
    }
    if (date.fields.empty()) return fail(ErrorCode::kInvalidArgument, fmt::format("parse_dates of '{}' names no columns", name));
    if (date.fields.size() == 1 && names[date.fields[0]] == name) {
      in_place[date.fields[0]] = std::move(date);
    } else {
      columns.push_back(std::move(date));
    }
  }
  for (std::uint32_t i = 0; i < names.size(); ++i) {
    if (!in_place[i].fields.empty()) {
      columns.push_back(std::move(in_place[i]));
    } else if (used[i] && !joined[i]) {
      columns.push_back(Column{names[i], Type::kUtf8, true, {i}});
    }
  }
  std::set<std::string> taken;
  for (const Column& column : columns) {
    if (!taken.insert(column.name).second)
      return fail(ErrorCode::kInvalidArgument,
                  fmt::format("parse_dates makes a column '{}', but the files have one of that name", column.name));
  }
  if (columns.empty()) return fail(ErrorCode::kInvalidArgument, "usecols leaves no column");
  return columns;
}

Result<void> infer_types(Layout& layout, const Block& sample, const PlanOptions& options) {
  std::vector<std::uint32_t> wanted;
  for (std::uint32_t i = 0; i < layout.columns.size(); ++i) {
    Column& column = layout.columns[i];
    if (column.type == Type::kTimestamp && !column.inferred) continue;
    if (const auto given = options.dtype.find(column.name); given != options.dtype.end()) {
      column.type = given->second;
      column.inferred = false;
    } else {
      wanted.push_back(i);
    }
  }
  std::vector<TypeGuess> guesses(layout.columns.size());
  DASK_TRY(BlockReader reader, BlockReader::open(layout, sample, wanted));
  for (;;) {
    DASK_TRY(const bool more, reader.next());
    if (!more) break;
    for (const std::uint32_t i : wanted) {
      for (std::size_t row = 0; row < reader.rows(); ++row) guesses[i].see(reader.field_text(row, layout.columns[i].fields[0]));
    }
  }
  for (const std::uint32_t i : wanted) {
    Type type = guesses[i].type();
    if (type == Type::kInt64 && options.assume_missing) type = Type::kFloat64;
    layout.columns[i].type = type;
  }
  return {};
}

// Ends of rows nearest behind every multiple of the block size. Reads the file once, because only that tells text in quotes apart.
Result<void> cut(const Layout& layout, const Block& whole, std::int64_t blocksize_bytes, std::vector<Block>& blocks) {
  if (blocksize_bytes <= 0 || whole.end - whole.begin <= blocksize_bytes) {
    blocks.push_back(whole);
    return {};
  }
  DASK_TRY(BlockReader reader, BlockReader::open(layout, whole, {}));
  std::int64_t begin = whole.begin;
  for (;;) {
    DASK_TRY(const bool more, reader.next());
    if (!more) break;
    for (std::size_t row = 1; row <= reader.rows(); ++row) {
      const std::int64_t end = row < reader.rows() ? reader.offset_of_row(row) : reader.offset_behind_rows();
      if (end - begin < blocksize_bytes || end >= whole.end) continue;
      blocks.push_back({whole.path, begin, end});
      begin = end;
    }
  }
  if (begin < whole.end) blocks.push_back({whole.path, begin, whole.end});
  return {};
}

// The part of the first file that types are inferred from: whole rows within about sample_bytes.
Result<Block> sample_of(const Layout& layout, const File& file, const Block& whole, std::int64_t sample_bytes) {
  if (whole.end - whole.begin <= sample_bytes) return whole;
  for (std::int64_t end = whole.begin + sample_bytes;; end = whole.begin + (end - whole.begin) * 4) {
    end = std::min(end, whole.end);
    std::string text(static_cast<std::size_t>(end - whole.begin) + kPaddingBytes, '\0');
    DASK_TRY(const std::size_t got, file.read(whole.begin, text.data(), static_cast<std::size_t>(end - whole.begin)));
    RowIndexRequest request{layout.separator[0], layout.fields, {layout.fields - 1}};
    RowIndex index;
    index_rows_best()(request, text.data(), got, index);
    if (index.too_many_fields) return Block{whole.path, whole.begin, end};  // the reader says what is wrong
    if (index.rows > 0) return Block{whole.path, whole.begin, whole.begin + static_cast<std::int64_t>(index.consumed_bytes)};
    if (end == whole.end || static_cast<std::size_t>(end - whole.begin) > kRowBytesMax) return Block{whole.path, whole.begin, end};
  }
}

}  // namespace

Result<ScanPlan> plan_scan(const std::vector<std::string>& patterns, const PlanOptions& options) {
  if (options.separator == '\n' || options.separator == '\r' || options.separator == '"' || options.separator == '\0') {
    return fail(ErrorCode::kInvalidArgument, "the separator may not be a newline, a quote or a zero byte");
  }
  if (options.sample_bytes <= 0)
    return fail(ErrorCode::kInvalidArgument, fmt::format("sample must be at least 1 byte, not {}", options.sample_bytes));
  DASK_TRY(const std::vector<std::string> paths, find_files(patterns));
  ScanPlan plan;
  Layout& layout = plan.layout;
  std::vector<std::string> first_names;
  for (const std::string& path : paths) {
    DASK_TRY(const File file, File::open(path));
    DASK_TRY(Header header, read_header(file, options.separator));
    if (static_cast<std::int64_t>(header.names.size()) > kFieldsMax)
      return fail(ErrorCode::kLimit, fmt::format("{} has {} columns; at most {} are supported", path, header.names.size(), kFieldsMax));
    name_apart(header.names);
    const Block whole{path, header.end, file.size()};
    if (first_names.empty()) {
      first_names = header.names;
      layout.separator = std::string(1, options.separator);
      layout.fields = static_cast<std::uint32_t>(first_names.size());
      DASK_TRY(layout.columns, choose_columns(first_names, options));
      DASK_TRY(const Block sample, sample_of(layout, file, whole, options.sample_bytes));
      layout.sampled_file = path;
      layout.sampled_bytes = sample.end - sample.begin;
      DASK_TRY_VOID(infer_types(layout, sample, options));
    } else if (header.names != first_names) {
      return fail(ErrorCode::kMalformed, fmt::format("{} has other columns than {}: {} instead of {}", path, paths[0],
                                                     fmt::join(header.names, ", "), fmt::join(first_names, ", ")));
    }
    DASK_TRY_VOID(cut(layout, whole, options.blocksize_bytes, plan.blocks));
  }
  return plan;
}

}  // namespace dask::dataframe::csv
