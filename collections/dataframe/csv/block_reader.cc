// The reader's buffer, its fields, and the messages about what is wrong with them.
#include "collections/dataframe/csv/block_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "collections/dataframe/base/calendar.h"
#include "collections/dataframe/csv/parse.h"

namespace dask::dataframe::csv {
namespace {

constexpr std::size_t kArenaBytes = 64 * 1024;
constexpr std::size_t kShownTextBytes = 40;

template <class Row>
void for_each_row(std::size_t rows, const std::vector<std::uint32_t>* selection, Row&& row) {
  if (selection) {
    for (const std::uint32_t r : *selection)
      if (!row(r)) return;
  } else {
    for (std::size_t r = 0; r < rows; ++r)
      if (!row(r)) return;
  }
}

}  // namespace

Result<BlockReader> BlockReader::open(const Layout& layout, const Block& block, const std::vector<std::uint32_t>& wanted,
                                      IndexRows index_rows) {
  DASK_TRY(File file, File::open(block.path));
  if (file.size() < block.end) {
    return fail(ErrorCode::kUnavailable,
                fmt::format("{} has become shorter ({} bytes, {} when the dataframe was made): call read_csv again", block.path,
                            file.size(), block.end));
  }
  BlockReader reader(layout, std::move(file), block, index_rows);
  reader.read_offset_ = reader.buffer_offset_ = block.begin;
  reader.request_.separator = layout.separator.empty() ? ',' : layout.separator[0];
  reader.request_.fields = layout.fields;
  std::vector<bool> ends(layout.fields, false);
  ends[layout.fields - 1] = true;
  for (const std::uint32_t column : wanted) {
    for (const std::uint32_t field : layout.columns[column].fields) {
      ends[field] = true;
      if (field > 0) ends[field - 1] = true;
    }
  }
  reader.mark_of_field_.assign(layout.fields, 0);
  for (std::uint32_t field = 0; field < layout.fields; ++field) {
    if (!ends[field]) continue;
    reader.request_.wanted.push_back(field);
    reader.mark_of_field_[field] = static_cast<std::uint32_t>(reader.request_.wanted.size());
  }
  reader.stride_ = reader.request_.wanted.size() + 1;
  reader.buffer_.resize(2 * kReadBytes + kPaddingBytes + 1);
  return reader;
}

Result<bool> BlockReader::next() {
  if (!arena_.empty()) {
    arena_.clear();
    arena_left_ = 0;
  }
  for (;;) {
    const std::size_t left = filled_ - consumed_;
    if (at_end_ && left == 0) {
      index_.rows = 0;
      return false;
    }
    if (!at_end_) {
      if (left > 0) std::memmove(buffer_.data(), buffer_.data() + consumed_, left);
      buffer_offset_ += static_cast<std::int64_t>(consumed_);
      filled_ = left;
      consumed_ = 0;
      if (buffer_.size() < left + kReadBytes + kPaddingBytes + 1) buffer_.resize(buffer_.size() * 2);
      const auto wanted = static_cast<std::size_t>(
          std::min<std::int64_t>(block_.end - read_offset_, static_cast<std::int64_t>(std::max(kReadBytes, left))));
      if (buffer_.size() < left + wanted + kPaddingBytes + 1) buffer_.resize(left + wanted + kPaddingBytes + 1);
      DASK_TRY(const std::size_t got, file_.read(read_offset_, buffer_.data() + filled_, wanted));
      if (got < wanted)
        return fail(ErrorCode::kUnavailable, fmt::format("{} became shorter while it was read: call read_csv again", block_.path));
      filled_ += got;
      read_offset_ += static_cast<std::int64_t>(got);
      at_end_ = read_offset_ >= block_.end;
      if (at_end_ && filled_ > 0 && buffer_[filled_ - 1] != '\n') buffer_[filled_++] = '\n';
      std::memset(buffer_.data() + filled_, 0, kPaddingBytes);
    }
    index_rows_(request_, buffer_.data() + consumed_, filled_ - consumed_, index_);
    if (index_.too_many_fields && index_.rows == 0) {
      return malformed(buffer_offset_ + static_cast<std::int64_t>(index_.bad_row_offset),
                       fmt::format("expected {} fields, saw {}", layout_->fields, index_.bad_row_fields));
    }
    if (index_.too_many_fields) {
      // The rows before the bad one are still good; the bad one is met again, as the first of the next buffer, after them.
      index_.consumed_bytes = index_.bad_row_offset;
      at_end_ = false;
      read_offset_ = buffer_offset_ + static_cast<std::int64_t>(index_.consumed_bytes);
      filled_ = consumed_ = index_.consumed_bytes;
      return true;
    }
    if (at_end_ && index_.consumed_bytes < filled_ - consumed_) {
      const std::int64_t row = buffer_offset_ + static_cast<std::int64_t>(consumed_ + index_.consumed_bytes);
      return malformed(row, "a quote that is opened in this row is never closed");
    }
    if (!at_end_ && index_.consumed_bytes == 0 && filled_ > kRowBytesMax) {
      return malformed(buffer_offset_, fmt::format("this row is longer than {} MB; is a quote never closed?", kRowBytesMax >> 20));
    }
    consumed_ += index_.consumed_bytes;
    if (index_.rows > 0) return true;
  }
}

char* BlockReader::allocate(std::size_t size) {
  const std::size_t needed = size + 8;
  if (arena_left_ < needed) {
    arena_left_ = std::max(kArenaBytes, needed);
    arena_.push_back(std::make_unique<char[]>(arena_left_));
    arena_at_ = arena_.back().get();
  }
  char* place = arena_at_;
  arena_at_ += needed;
  arena_left_ -= needed;
  return place;
}

// Only for fields that begin with a quote. What stands behind the closing quote belongs to the text, as in pandas.
std::string_view BlockReader::unquoted(std::string_view field) {
  const std::size_t closing = field.find('"', 1);
  if (closing == field.size() - 1) return field.substr(1, field.size() - 2);
  char* out = allocate(field.size());
  std::size_t n = 0;
  bool quoted = false, plain = false;
  for (std::size_t i = 0; i < field.size(); ++i) {
    if (field[i] != '"' || plain) {
      plain = plain || !quoted;
      out[n++] = field[i];
    } else if (quoted && i + 1 < field.size() && field[i + 1] == '"') {
      out[n++] = field[i++];
    } else {
      quoted = !quoted;
    }
  }
  return {out, n};
}

std::string_view BlockReader::field_text(std::size_t row, std::uint32_t field) {
  const std::string_view text = raw(field)(row);
  return index_.has_quotes && !text.empty() && text.front() == '"' ? unquoted(text) : text;
}

std::string_view BlockReader::joined(std::size_t row, const Column& column) {
  if (column.fields.size() == 1) return field_text(row, column.fields[0]);
  std::size_t size = 0;
  for (const std::uint32_t field : column.fields) size += field_text(row, field).size() + 1;
  char* out = allocate(size);
  std::size_t n = 0;
  for (const std::uint32_t field : column.fields) {
    if (n > 0) out[n++] = ' ';
    const std::string_view text = field_text(row, field);
    if (!text.empty()) std::memcpy(out + n, text.data(), text.size());
    n += text.size();
  }
  return {out, n};
}

template <class Out, class ParseField>
Result<void> BlockReader::parse_all(const Column& column, const std::vector<std::uint32_t>* selection, std::vector<Out>& out,
                                    ParseField parse_field) {
  out.resize(selection ? selection->size() : index_.rows);
  const std::uint32_t field = column.fields[0];
  Out* at = out.data();
  std::size_t bad_row = SIZE_MAX;
  bool missing = false;
  const auto each = [&](auto text_of) {
    for_each_row(index_.rows, selection, [&](std::size_t row) {
      const Parsed parsed = parse_field(text_of(row), *at++);
      if (parsed == Parsed::kValue) [[likely]]
        return true;
      // Only floats can be missing.
      if (parsed == Parsed::kMissing && std::is_same_v<Out, double>) return true;
      bad_row = row;
      missing = parsed == Parsed::kMissing;
      return false;
    });
  };
  if (index_.has_quotes) {
    each([&](std::size_t row) { return field_text(row, field); });
  } else {
    each(raw(field));
  }
  if (bad_row != SIZE_MAX) return wrong_value(bad_row, column, field_text(bad_row, field), missing);
  return {};
}

Result<void> BlockReader::parse_texts(const Column& column, const std::vector<std::uint32_t>* selection,
                                      std::vector<std::string_view>& out) {
  out.resize(selection ? selection->size() : index_.rows);
  const std::uint32_t field = column.fields[0];
  std::string_view* at = out.data();
  const RawField bytes = raw(field);
  std::size_t bad_row = SIZE_MAX;
  for_each_row(index_.rows, selection, [&](std::size_t row) {
    const std::string_view text = index_.has_quotes ? field_text(row, field) : bytes(row);
    if (index_.has_non_ascii && !is_valid_utf8(text)) {
      bad_row = row;
      return false;
    }
    *at++ = is_missing(text) ? kMissingText : text;
    return true;
  });
  if (bad_row != SIZE_MAX) {
    return malformed(
        offset_of_row(bad_row),
        fmt::format("the text in column '{}' is not UTF-8; convert the file (for example with iconv -f latin1 -t utf8)", column.name));
  }
  return {};
}

Result<void> BlockReader::parse_dates(const Column& column, const std::vector<std::uint32_t>* selection, std::vector<std::int64_t>& out) {
  out.resize(selection ? selection->size() : index_.rows);
  std::int64_t* at = out.data();
  std::size_t bad_row = SIZE_MAX;
  const bool is_civil = column.fields.size() == 3;
  std::int64_t last_year = 0, last_month = 0, last_day = 0, last_value = kNaT;  // rows of one day often stand together
  for_each_row(index_.rows, selection, [&](std::size_t row) {
    if (is_civil && !index_.has_quotes) {
      std::int64_t year = 0, month = 0, day = 0;
      const std::string_view year_text = raw(column.fields[0])(row);
      if (year_text.size() == 4 && parse_int(year_text, year) == Parsed::kValue &&
          parse_int(raw(column.fields[1])(row), month) == Parsed::kValue && parse_int(raw(column.fields[2])(row), day) == Parsed::kValue) {
        if (year == last_year && month == last_month && day == last_day) {
          *at++ = last_value;
          return true;
        }
        std::int64_t days = 0;
        if (month >= 1 && month <= 12 && day >= 1 && day <= 31 &&
            days_from_civil(static_cast<int>(year), static_cast<int>(month), static_cast<int>(day), days) &&
            nanoseconds_from_days(days, 0, *at)) {
          last_year = year, last_month = month, last_day = day, last_value = *at++;
          return true;
        }
      }
    }
    if (parse_timestamp(joined(row, column), *at++) != Parsed::kWrong) return true;
    bad_row = row;
    return false;
  });
  if (bad_row != SIZE_MAX) return wrong_value(bad_row, column, joined(bad_row, column), false);
  return {};
}

Result<void> BlockReader::parse(std::uint32_t index, const std::vector<std::uint32_t>* selection, Vec& out) {
  const Column& column = layout_->columns[index];
  out.reset(column.type);
  switch (column.type) {
    case Type::kInt64:
      return parse_all(column, selection, out.ints, [](std::string_view text, std::int64_t& v) { return parse_int(text, v); });
    case Type::kFloat64:
      return parse_all(column, selection, out.doubles, [](std::string_view text, double& v) { return parse_float(text, v); });
    case Type::kBoolean:
      return parse_all(column, selection, out.bools, [](std::string_view text, std::uint8_t& v) { return parse_bool(text, v); });
    case Type::kUtf8: return parse_texts(column, selection, out.texts);
    case Type::kTimestamp: return parse_dates(column, selection, out.ints);
  }
  return {};
}

tl::unexpected<Error> BlockReader::malformed(std::int64_t offset, const std::string& what) const {
  return fail(ErrorCode::kMalformed, fmt::format("{}, line {}: {}", block_.path, file_.line_of(offset), what));
}

tl::unexpected<Error> BlockReader::wrong_value(std::size_t row, const Column& column, std::string_view text, bool missing) const {
  const std::int64_t line = file_.line_of(offset_of_row(row));
  const std::string shown = missing ? std::string("a missing value")
                                    : fmt::format("'{}'{}", text.substr(0, kShownTextBytes), text.size() > kShownTextBytes ? "…" : "");
  if (column.type == Type::kTimestamp) {
    return fail(ErrorCode::kMalformed, fmt::format("{}, line {}: column '{}' has {}, which is no date; dates are year, month, day "
                                                   "(1990-12-31, 1990 12 31, 19901231), then perhaps "
                                                   "T or a blank and 23:59:59",
                                                   block_.path, line, column.name, shown));
  }
  double number = 0;
  const bool is_number = missing || parse_float_slow(text, number) == Parsed::kValue;
  const Type better = is_number && column.type == Type::kInt64 ? Type::kFloat64 : Type::kUtf8;
  const std::string origin = column.inferred
                                 ? fmt::format("inferred from the first {} bytes of {}", layout_->sampled_bytes, layout_->sampled_file)
                                 : std::string("given with dtype");
  return fail(ErrorCode::kMalformed,
              fmt::format("{}, line {}: column '{}' has {}, but its type is {} ({}). Give read_csv the type that fits all rows: {{.dtype = "
                          "{{{{\"{}\", {}}}}}}}",
                          block_.path, line, column.name, shown, dask_name(column.type), origin, column.name, option_name(better)));
}

}  // namespace dask::dataframe::csv
