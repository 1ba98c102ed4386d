// Finds the rows and fields of CSV bytes without looking at single characters: 64 bytes become bit masks of separators, newlines and
// quotes, and the positions of the wanted separators are picked out of them. Fields that nobody asked for cost a population count.
// Quotes follow pandas' C parser (tokenizer.c): special only at a field's start, doubled inside; newlines inside quotes are text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dask::dataframe::csv {

// Readable bytes that must follow the data given to index_rows (their content does not matter).
inline constexpr std::size_t kPaddingBytes = 64;

struct RowIndexRequest {
  char separator = ',';
  std::uint32_t fields = 0;           // in a complete row
  std::vector<std::uint32_t> wanted;  // ends of which fields to report, ascending; the last is fields - 1 (the newline)
};

// What was found in one buffer that begins at a row's first byte. For every row `marks` has the offset of its first byte and then
// wanted.size() offsets of separators. A row with too few fields reports its newline for those it lacks, so that they look empty.
struct RowIndex {
  std::vector<std::uint32_t> marks;
  std::size_t rows = 0;
  std::size_t consumed_bytes = 0;  // up to and including the last row's newline (blank lines behind it too)
  bool has_quotes = false;
  bool has_non_ascii = false;
  bool ends_in_quotes = false;  // the rest behind consumed_bytes has an open quote
  // The first row with more fields than allowed ends the index; `rows` are those before it.
  bool too_many_fields = false;
  std::size_t bad_row_offset = 0;
  std::uint32_t bad_row_fields = 0;
};

using IndexRows = void (*)(const RowIndexRequest&, const char* data, std::size_t size, RowIndex& out);

void index_rows_portable(const RowIndexRequest&, const char* data, std::size_t size, RowIndex& out);
void index_rows_avx2(const RowIndexRequest&, const char* data, std::size_t size, RowIndex& out);
// The fastest that this processor can do. DASK_DATAFRAME_SIMD=portable in the environment forces the portable one.
IndexRows index_rows_best();
bool has_avx2();

}  // namespace dask::dataframe::csv
