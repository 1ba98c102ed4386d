// The vectorised row index against a plain state machine that walks the same bytes one by one.
#include "collections/dataframe/csv/row_index.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace dask::dataframe::csv {
namespace {

struct Found {
  std::vector<std::vector<std::uint32_t>> rows;  // start, then the ends of fields
  bool too_many = false;
  bool operator==(const Found&) const = default;
};

// pandas' tokenizer as its documentation tells it.
Found walk(const std::string& text, char separator, std::uint32_t fields) {
  enum { kStart, kField, kQuoted, kClosed } state = kStart;
  Found found;
  std::vector<std::uint32_t> row = {0};
  for (std::uint32_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (state == kQuoted) {
      if (c == '"') state = kClosed;
    } else if (c == separator || c == '\n') {
      state = kStart;
      row.push_back(i);
      if (c == separator) continue;
      if (row.size() - 1 > fields) {
        found.too_many = true;
        return found;
      }
      const std::string content = text.substr(row[0], i - row[0]);
      if (content.find_first_not_of(" \t\r") != std::string::npos) {
        row.resize(fields + 1, i);
        found.rows.push_back(row);
      }
      row = {i + 1};
    } else if (c == '"' && state != kField) {
      state = kQuoted;
    } else {
      state = kField;
    }
  }
  return found;
}

Found index_with(IndexRows index_rows, const std::string& text, std::uint32_t fields) {
  RowIndexRequest request{',', fields, {}};
  for (std::uint32_t i = 0; i < fields; ++i) request.wanted.push_back(i);
  std::string padded = text;
  padded.append(kPaddingBytes, ',');
  RowIndex index;
  index_rows(request, padded.data(), text.size(), index);
  Found found;
  found.too_many = index.too_many_fields;
  for (std::size_t row = 0; row < index.rows; ++row) {
    const auto begin = index.marks.begin() + static_cast<std::ptrdiff_t>(row * (fields + 1));
    found.rows.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(fields) + 1);
  }
  return found;
}

void compare_on_random_texts(IndexRows index_rows) {
  for (unsigned seed = 0; seed < 20'000; ++seed) {
    std::mt19937 random(seed);
    const std::string_view alphabet = seed % 3 == 0 ? "ab,\n" : seed % 3 == 1 ? "ab,,\n\"" : "abcdefgh,,,,\n\"\r ";
    std::string text(random() % 400, ' ');
    for (char& c : text) c = alphabet[random() % alphabet.size()];
    const std::uint32_t fields = 1 + random() % 5;
    // Texts that are mostly complete rows take the fast path.
    if (seed % 2 == 0) {
      text.clear();
      for (unsigned row = 0; row < random() % 40 + 1; ++row) {
        for (std::uint32_t i = 0; i < fields; ++i) text.append(random() % 9, 'x').push_back(i + 1 < fields ? ',' : '\n');
        if (random() % 30 == 0) text += random() % 2 ? "\n" : "\"a,\"\"\nb\"\n";
      }
    }
    ASSERT_EQ(index_with(index_rows, text, fields).rows, walk(text, ',', fields).rows) << "seed " << seed << ": " << text;
    ASSERT_EQ(index_with(index_rows, text, fields).too_many, walk(text, ',', fields).too_many) << "seed " << seed << ": " << text;
  }
}

TEST(RowIndex, the_portable_version_finds_what_a_plain_walk_finds) { compare_on_random_texts(index_rows_portable); }

TEST(RowIndex, the_vectorised_version_finds_what_a_plain_walk_finds) {
  if (!has_avx2()) GTEST_SKIP() << "this processor has no AVX2";
  compare_on_random_texts(index_rows_avx2);
}

TEST(RowIndex, only_wanted_separators_are_reported) {
  std::string text = "a,b,c,d\ne,f,g,h\n";
  text.append(kPaddingBytes, ' ');
  RowIndex index;
  index_rows_best()({',', 4, {1, 3}}, text.data(), 16, index);
  ASSERT_EQ(index.rows, 2u);
  EXPECT_EQ(std::vector<std::uint32_t>(index.marks.begin(), index.marks.begin() + 6), (std::vector<std::uint32_t>{0, 3, 7, 8, 11, 15}));
}

}  // namespace
}  // namespace dask::dataframe::csv
