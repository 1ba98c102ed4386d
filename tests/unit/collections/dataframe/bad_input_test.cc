// What is wrong with files or programs ends in an exception that says what, where and what to do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "collections/dataframe/arrow/bridge.h"
#include "dask/dataframe.h"
#include "tests/unit/collections/dataframe/folder.h"

namespace dask::dataframe {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

const ComputeOptions kSync{.scheduler = "sync"};

TEST(BadInput, a_column_that_is_not_there_is_named_with_those_that_are) {
  const Folder folder;
  const auto df = read_csv(folder.write("a.csv", "x,y\n1,2\n"));
  const auto message = ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("'z'"), HasSubstr("x, y")));
  EXPECT_THAT([&] { df["z"]; }, message);
  EXPECT_THAT([&] { df.groupby("z"); }, message);
  EXPECT_THAT([&] { df.groupby("x")["z"]; }, message);
  EXPECT_THAT(([&] { df[{"x", "z"}]; }), message);
  EXPECT_THAT([&] { read_csv(folder.path("a.csv"), {.dtype = {{"z", int64}}}); }, message);
  EXPECT_THAT([&] { read_csv(folder.path("a.csv"), {.parse_dates = {{"d", {"z"}}}}); }, message);
  EXPECT_THAT(
      [&] {
        read_csv(folder.path("a.csv"), {.parse_dates = {{"d", {2}}}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("columns 0 to 1")));
}

TEST(BadInput, a_value_that_contradicts_the_guessed_type_names_column_file_line_and_dtype) {
  const Folder folder;
  folder.write("1.csv", "n,t\n1,\n2,\n");
  folder.write("2.csv", "n,t\n3,\n,N1\n");
  const auto df = read_csv(folder.path("*.csv"));
  EXPECT_EQ(df.dtype("n"), int64);
  EXPECT_EQ(df.dtype("t"), float64);
  EXPECT_THAT([&] { df["n"].sum().compute(kSync); },
              ThrowsMessage<DataError>(AllOf(HasSubstr("2.csv, line 3"), HasSubstr("'n'"), HasSubstr("a missing value"), HasSubstr("1.csv"),
                                             HasSubstr("{.dtype = {{\"n\", float64}}}"))));
  EXPECT_THAT([&] { df["t"].count().compute(kSync); },
              ThrowsMessage<DataError>(AllOf(HasSubstr("2.csv, line 3"), HasSubstr("'N1'"), HasSubstr("{.dtype = {{\"t\", utf8}}}"))));
  EXPECT_EQ(read_csv(folder.path("*.csv"), {.assume_missing = true})["n"].sum().compute(kSync), 6);
}

TEST(BadInput, a_column_that_nobody_asks_for_may_be_anything) {
  const Folder folder;
  folder.write("1.csv", "a,b\n1,1\n");
  folder.write("2.csv", "a,b\n2,?\n");
  const auto df = read_csv(folder.path("*.csv"));
  EXPECT_EQ(df["a"].sum().compute(kSync), 3);
  EXPECT_EQ(len(df, kSync), 2);
  EXPECT_THROW(df["b"].sum().compute(kSync), DataError);
}

TEST(BadInput, a_row_with_too_many_fields_names_file_and_line) {
  const Folder folder;
  const std::string path = folder.write("a.csv", "x,y\n1,2\n3,4\n5,6,7\n8,9\n");
  EXPECT_THAT([&] { read_csv(path); }, ThrowsMessage<DataError>(AllOf(HasSubstr("a.csv, line 4"), HasSubstr("expected 2 fields, saw 3"))));
  EXPECT_THAT([&] { read_csv(path, {.sample = 4})["x"].sum().compute(kSync); },
              ThrowsMessage<DataError>(HasSubstr("line 4: expected 2 fields, saw 3")));
}

TEST(BadInput, a_quote_that_is_never_closed_names_its_line) {
  const Folder folder;
  EXPECT_THAT([&] { read_csv(folder.write("a.csv", "x,y\n1,2\n3,\"open\n5,6\n")); },
              ThrowsMessage<DataError>(AllOf(HasSubstr("a.csv, line 3"), HasSubstr("never closed"))));
}

TEST(BadInput, files_that_are_no_csv_text_are_refused) {
  const Folder folder;
  EXPECT_THAT([&] { read_csv(folder.path("none-*.csv")); }, ThrowsMessage<DataError>(HasSubstr("no file matches")));
  EXPECT_THAT([&] { read_csv("s3://bucket/a.csv"); }, ThrowsMessage<DataError>(HasSubstr("s3://")));
  EXPECT_THAT([&] { read_csv(folder.write("empty.csv", "")); }, ThrowsMessage<DataError>(HasSubstr("empty")));
  EXPECT_THAT([&] { read_csv(folder.write("a.gz", "\x1f\x8b\x08")); }, ThrowsMessage<DataError>(HasSubstr("gzip")));
  EXPECT_THAT(
      [&] {
        read_csv(folder.write("u16.csv", std::string("\xff\xfe"
                                                     "a\0",
                                                     4)));
      },
      ThrowsMessage<DataError>(HasSubstr("UTF-16")));
  EXPECT_THAT([&] { read_csv(folder.path(".")); }, ThrowsMessage<DataError>(HasSubstr("not a file")));
  const auto latin = read_csv(folder.write("latin.csv", "t\nM\xfcller\n"));
  EXPECT_THAT([&] { latin["t"].count().compute(kSync); }, ThrowsMessage<DataError>(AllOf(HasSubstr("line 2"), HasSubstr("UTF-8"))));
}

TEST(BadInput, files_with_other_columns_are_refused) {
  const Folder folder;
  folder.write("1.csv", "a,b\n1,1\n");
  folder.write("2.csv", "a,c\n2,2\n");
  EXPECT_THAT([&] { read_csv(folder.path("*.csv")); }, ThrowsMessage<DataError>(AllOf(HasSubstr("2.csv"), HasSubstr("a, c"))));
}

TEST(BadInput, a_file_that_shrinks_is_an_error_and_no_crash) {
  const Folder folder;
  const std::string path = folder.write("a.csv", "x\n1\n2\n3\n");
  const auto df = read_csv(path);
  std::filesystem::resize_file(path, 4);
  EXPECT_THAT([&] { df["x"].sum().compute(kSync); }, ThrowsMessage<DataError>(HasSubstr("shorter")));
  std::filesystem::remove(path);
  EXPECT_THAT([&] { df["x"].sum().compute(kSync); }, ThrowsMessage<DataError>(HasSubstr("cannot open")));
}

TEST(BadInput, operations_that_make_no_sense_are_refused_where_they_are_written) {
  const Folder folder;
  const auto df = read_csv(folder.write("a.csv", "i,t,d\n1,x,1990-01-01\n"), {.parse_dates = {{"d", {"d"}}}});
  EXPECT_THAT([&] { df["t"] + 1; }, ThrowsMessage<std::invalid_argument>(HasSubstr("string + int64")));
  EXPECT_THAT([&] { df["t"].sum(); }, ThrowsMessage<std::invalid_argument>(HasSubstr("sum() of a string")));
  EXPECT_THAT([&] { !df["i"]; }, ThrowsMessage<std::invalid_argument>(HasSubstr("dtype boolean")));
  EXPECT_THAT([&] { df["i"].dt().year(); }, ThrowsMessage<std::invalid_argument>(HasSubstr("parse_dates")));
  EXPECT_THAT([&] { df[df["i"]]; }, ThrowsMessage<std::invalid_argument>(HasSubstr("truths")));
  EXPECT_THAT([&] { df["d"] > "tomorrow"; }, ThrowsMessage<std::invalid_argument>(HasSubstr("no date")));
  const auto fewer = df[df["i"] > 1];
  EXPECT_THAT([&] { fewer["i"] + df["i"]; }, ThrowsMessage<std::invalid_argument>(HasSubstr("different filters")));
  EXPECT_THAT([&] { df[fewer["i"] > 1]; }, ThrowsMessage<std::invalid_argument>(HasSubstr("different filters")));
  EXPECT_THAT([&] { df["i"].sum().compute({.scheduler = "nonsense"}); }, ThrowsMessage<std::invalid_argument>(HasSubstr("nonsense")));
}

TEST(BadInput, bytes_that_are_no_arrow_table_are_refused) {
  const Folder folder;
  const auto table = read_csv(folder.write("a.csv", "i,t\n1,x\n2,\n")).compute(kSync);
  auto bytes = to_ipc(*table.data());
  ASSERT_TRUE(bytes) << bytes.error().message;
  ASSERT_TRUE(from_ipc(*bytes));
  EXPECT_FALSE(from_ipc(Bytes()));
  EXPECT_FALSE(from_ipc(Bytes::copy("not an arrow stream at all, but long enough to look at")));
  for (std::size_t size = 0; size < bytes->size(); size += 8)
    EXPECT_FALSE(from_ipc(bytes->slice(0, size)) && size + 16 < bytes->size()) << size;
  // Any single wrong byte is refused or still makes a valid table: it never crashes (ASan watches).
  for (std::size_t at = 0; at < bytes->size(); ++at) {
    std::string wrong(bytes->view());
    wrong[at] = static_cast<char>(wrong[at] ^ 0x41);
    if (auto read = from_ipc(Bytes::copy(wrong))) to_batch(*read);
  }
}

}  // namespace
}  // namespace dask::dataframe
