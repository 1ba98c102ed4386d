// The body of index_rows, included once for every instruction set: the including file defines in its own anonymous namespace
// `Masks classify(const char*, char)`, `BitSelector`, `count_bits`, `lowest_bit`, `highest_bit` and then includes this.
// No headers: everything here takes the including file's target options.
#pragma once

// Where the tokenizer stands between two blocks.
enum class Where : std::uint8_t { kFieldStart, kField, kQuoted, kQuoteClosed };

inline std::uint64_t prefix_xor(std::uint64_t bits) {
  bits ^= bits << 1;
  bits ^= bits << 2;
  bits ^= bits << 4;
  bits ^= bits << 8;
  bits ^= bits << 16;
  bits ^= bits << 32;
  return bits;
}

class RowIndexer {
 public:
  RowIndexer(const RowIndexRequest& request, const char* data, std::size_t size, RowIndex& out)
      : request_(request), data_(data), size_(size), out_(out), wanted_(request.wanted.data()), wanted_count_(request.wanted.size()) {}

  void run() {
    out_.rows = out_.consumed_bytes = out_.bad_row_offset = 0;
    out_.bad_row_fields = 0;
    out_.has_quotes = out_.has_non_ascii = out_.too_many_fields = out_.ends_in_quotes = false;
    out_.marks.resize(std::max(out_.marks.size(), 66 * (wanted_count_ + 1)));
    out_.marks[marks_++] = 0;
    const bool always_slow = request_.fields == 1;  // a blank line looks like a row there
    for (std::size_t offset = 0; offset < size_ && !out_.too_many_fields; offset += 64) {
      reserve_marks();
      Masks masks = classify(data_ + offset, request_.separator);
      if (size_ - offset < 64) {
        const std::uint64_t valid = (std::uint64_t{1} << (size_ - offset)) - 1;
        masks.separators &= valid;
        masks.newlines &= valid;
        masks.quotes &= valid;
        masks.non_ascii &= valid;
      }
      any_non_ascii_ |= masks.non_ascii;
      if (masks.quotes != 0 || where_ == Where::kQuoted) {
        out_.has_quotes = true;
        drop_quoted(masks, offset);
      } else {
        const std::uint64_t structural = masks.separators | masks.newlines;
        where_ = structural >> 63 ? Where::kFieldStart : Where::kField;
      }
      if (always_slow || next_wanted_ == wanted_count_ || !fast(masks, offset)) slow(masks, offset);
    }
    out_.has_non_ascii = any_non_ascii_ != 0;
    out_.consumed_bytes = row_start_;
    out_.ends_in_quotes = where_ == Where::kQuoted;
    out_.rows = rows_;
  }

 private:
  // A block of 64 bytes ends at most 64 rows.
  void reserve_marks() {
    const std::size_t needed = marks_ + 65 * (wanted_count_ + 1);
    if (out_.marks.size() < needed) out_.marks.resize(needed * 2);
  }

  // Clears separators and newlines inside quotes. Where quotes stand as they should (at a field's start, doubled, at its end), masks
  // are enough; a quote in the middle of a field needs the state machine.
  void drop_quoted(Masks& masks, std::size_t offset) {
    const std::uint64_t inside = prefix_xor(masks.quotes) ^ (where_ == Where::kQuoted ? ~std::uint64_t{0} : 0);
    const std::uint64_t structural = (masks.separators | masks.newlines) & ~inside;
    const std::uint64_t behind_structural = structural << 1 | (where_ == Where::kFieldStart ? 1 : 0);
    const std::uint64_t behind_quote = masks.quotes << 1 | (where_ == Where::kQuoteClosed ? 1 : 0);
    const std::uint64_t opening = masks.quotes & inside;
    if ((opening & ~(behind_structural | behind_quote)) != 0) return drop_quoted_slowly(masks, offset);
    masks.separators &= ~inside;
    masks.newlines &= ~inside;
    if (inside >> 63) {
      where_ = Where::kQuoted;
    } else if (structural >> 63) {
      where_ = Where::kFieldStart;
    } else {
      where_ = masks.quotes >> 63 ? Where::kQuoteClosed : Where::kField;
    }
  }

  void drop_quoted_slowly(Masks& masks, std::size_t offset) {
    const std::size_t end = size_ - offset < 64 ? size_ - offset : 64;
    Masks kept = masks;
    kept.separators = kept.newlines = 0;
    for (std::size_t i = 0; i < end; ++i) {
      const std::uint64_t bit = std::uint64_t{1} << i;
      const bool is_quote = (masks.quotes & bit) != 0;
      const bool is_structural = ((masks.separators | masks.newlines) & bit) != 0;
      if (where_ == Where::kQuoted) {
        if (is_quote) where_ = Where::kQuoteClosed;
      } else if (is_structural) {
        kept.separators |= masks.separators & bit;
        kept.newlines |= masks.newlines & bit;
        where_ = Where::kFieldStart;
      } else if (is_quote && where_ != Where::kField) {
        where_ = Where::kQuoted;  // opens the field, or is the second of a doubled quote
      } else {
        where_ = Where::kField;
      }
    }
    masks = kept;
  }

  // Complete rows only. False (with nothing changed) when a newline is not where a complete row ends.
  bool fast(const Masks& masks, std::size_t offset) {
    const std::uint64_t structural = masks.separators | masks.newlines;
    const auto found = static_cast<std::int64_t>(count_bits(structural));
    std::int64_t seen = seen_;
    std::size_t next = next_wanted_;
    std::size_t rows = rows_;
    std::uint32_t* mark = out_.marks.data() + marks_;
    std::uint64_t row_ends = 0;
    BitSelector selector(structural);
    for (std::int64_t n = wanted_[next] - seen; n < found; n = wanted_[next] - seen) {
      const auto position = selector.select(static_cast<unsigned>(n));
      *mark++ = static_cast<std::uint32_t>(offset + position);
      if (++next == wanted_count_) {
        next = 0;
        seen -= request_.fields;
        ++rows;
        row_ends |= std::uint64_t{1} << position;
        *mark++ = static_cast<std::uint32_t>(offset + position + 1);
      }
    }
    if (row_ends != masks.newlines) return false;
    seen_ = seen + found;
    next_wanted_ = next;
    rows_ = rows;
    marks_ = static_cast<std::size_t>(mark - out_.marks.data());
    if (row_ends != 0) row_start_ = offset + highest_bit(row_ends) + 1;
    return true;
  }

  void slow(const Masks& masks, std::size_t offset) {
    for (std::uint64_t left = masks.separators | masks.newlines; left != 0; left &= left - 1) {
      const unsigned bit = lowest_bit(left);
      const std::size_t position = offset + bit;
      if ((masks.newlines >> bit & 1) == 0) {
        if (next_wanted_ < wanted_count_ && wanted_[next_wanted_] == seen_) mark(position);
        ++seen_;
        continue;
      }
      if (seen_ >= request_.fields) {
        out_.too_many_fields = true;
        out_.bad_row_offset = row_start_;
        out_.bad_row_fields = static_cast<std::uint32_t>(seen_ + 1);
        return;
      }
      if (seen_ != 0 || !is_blank(row_start_, position)) {
        while (next_wanted_ < wanted_count_) mark(position);
        ++rows_;
        ++marks_;
      }
      next_wanted_ = 0;
      seen_ = 0;
      row_start_ = position + 1;
      out_.marks[marks_ - 1] = static_cast<std::uint32_t>(row_start_);  // of the row that begins here
    }
  }

  void mark(std::size_t position) {
    out_.marks[marks_++] = static_cast<std::uint32_t>(position);
    ++next_wanted_;
  }

  bool is_blank(std::size_t begin, std::size_t end) const {
    for (std::size_t i = begin; i < end; ++i) {
      if (data_[i] != ' ' && data_[i] != '\t' && data_[i] != '\r') return false;
    }
    return true;
  }

  const RowIndexRequest& request_;
  const char* data_;
  std::size_t size_;
  RowIndex& out_;
  const std::uint32_t* wanted_;
  std::size_t wanted_count_;

  std::int64_t seen_ = 0;        // separators of the current row so far
  std::size_t next_wanted_ = 0;  // which of `wanted` comes next
  std::size_t rows_ = 0;
  std::size_t marks_ = 0;  // how many of out_.marks are filled
  std::size_t row_start_ = 0;
  std::uint64_t any_non_ascii_ = 0;
  Where where_ = Where::kFieldStart;
};
