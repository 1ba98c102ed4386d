// Reads one block of a CSV file, a buffer of rows at a time, and parses only the columns that are asked for, only for the rows that
// are asked for. The buffer stays in the processor's cache from the kernel's copy to the last column.
// Owned by the thread that runs the task. Texts that it returns point into the buffer: valid until the next call of next().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "collections/dataframe/csv/file.h"
#include "collections/dataframe/csv/row_index.h"
#include "collections/dataframe/csv/scan_spec.h"
#include "core/base/result.h"

namespace dask::dataframe::csv {

// One read from the file. Two such buffers and their index fit into a core's second-level cache.
inline constexpr std::size_t kReadBytes = 256 * 1024;
// A longer row is refused: most likely a quote that is never closed.
inline constexpr std::size_t kRowBytesMax = 64 << 20;

class BlockReader {
 public:
  // `wanted`: indices into layout.columns, the only ones that parse() may be asked for. The layout must outlive the reader.
  static Result<BlockReader> open(const Layout& layout, const Block& block, const std::vector<std::uint32_t>& wanted,
                                  IndexRows index_rows = index_rows_best());

  // Goes on to the next buffer of rows; false at the block's end.
  Result<bool> next();
  std::size_t rows() const { return index_.rows; }
  // Parses a column of the current rows into `out`; only the rows in `selection` when it is given (ascending).
  Result<void> parse(std::uint32_t column, const std::vector<std::uint32_t>* selection, Vec& out);
  // A field's text as the file has it, without quotes. For inference and messages.
  std::string_view field_text(std::size_t row, std::uint32_t field);
  // Where the current rows end in the file, and where row `row` begins.
  std::int64_t offset_behind_rows() const { return buffer_offset_ + static_cast<std::int64_t>(index_.consumed_bytes); }
  std::int64_t offset_of_row(std::size_t row) const { return buffer_offset_ + index_.marks[row * stride_]; }

 private:
  BlockReader(const Layout& layout, File file, const Block& block, IndexRows index_rows)
      : layout_(&layout), file_(std::move(file)), block_(block), index_rows_(index_rows) {}
  // A field's bytes in each row, as they are in the file.
  struct RawField {
    const char* buffer;
    const std::uint32_t* marks;
    std::size_t stride;
    std::uint32_t begin_mark, separator, end_mark;  // separator: 1 where the begin mark is one, 0 where it is the row's start

    std::string_view operator()(std::size_t row) const {
      const std::uint32_t* of_row = marks + row * stride;
      const std::uint32_t begin = of_row[begin_mark] + separator;
      std::uint32_t end = of_row[end_mark];
      if (begin >= end) return {buffer + end, 0};
      if (buffer[end] == '\n' && buffer[end - 1] == '\r') --end;
      return {buffer + begin, end - begin};
    }
  };
  RawField raw(std::uint32_t field) const {
    return {buffer_.data(),       index_.marks.data(),  stride_, field == 0 ? 0 : mark_of_field_[field - 1],
            field == 0 ? 0u : 1u, mark_of_field_[field]};
  }
  std::string_view unquoted(std::string_view field);
  std::string_view joined(std::size_t row, const Column& column);
  template <class Out, class ParseField>
  Result<void> parse_all(const Column& column, const std::vector<std::uint32_t>* selection, std::vector<Out>& out, ParseField parse_field);
  Result<void> parse_texts(const Column& column, const std::vector<std::uint32_t>* selection, std::vector<std::string_view>& out);
  Result<void> parse_dates(const Column& column, const std::vector<std::uint32_t>* selection, std::vector<std::int64_t>& out);
  tl::unexpected<Error> wrong_value(std::size_t row, const Column& column, std::string_view text, bool missing) const;
  tl::unexpected<Error> malformed(std::int64_t offset, const std::string& what) const;

  const Layout* layout_;
  File file_;
  Block block_;
  IndexRows index_rows_;
  RowIndexRequest request_;
  std::vector<std::uint32_t> mark_of_field_;  // a field's place among a row's marks; 0 where it is not wanted
  std::size_t stride_ = 0;                    // marks of a row
  RowIndex index_;

  std::vector<char> buffer_;
  std::int64_t buffer_offset_ = 0;  // of buffer_[0] in the file
  std::size_t filled_ = 0;
  std::size_t consumed_ = 0;
  std::int64_t read_offset_ = 0;
  bool at_end_ = false;
  // Texts that had to be changed (doubled quotes, joined dates), with room behind each for reading eight bytes.
  std::vector<std::unique_ptr<char[]>> arena_;
  std::size_t arena_left_ = 0;
  char* arena_at_ = nullptr;
  char* allocate(std::size_t size);
};

}  // namespace dask::dataframe::csv
