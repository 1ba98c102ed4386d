// Computed tables and lazy ones as people see them, blocks, and the way of tables between processes.
#include <gtest/gtest.h>

#include <sstream>

#include "core/native/value.h"
#include "dask/dataframe.h"
#include "tests/unit/collections/dataframe/folder.h"

namespace dask::dataframe {
namespace {

const ComputeOptions kSync{.scheduler = "sync"};

TEST(Table, a_lazy_dataframe_prints_its_structure_and_computes_nothing) {
  const Folder folder;
  const std::string path = folder.write("a.csv", "number,t\n1,x\n");
  const auto df = read_csv(path);
  std::filesystem::remove(path);
  std::ostringstream text;
  text << df << '\n' << df["number"] << '\n' << df["number"].sum();
  EXPECT_EQ(text.str(),
            "Dask DataFrame Structure:\n"
            "              number      t\n"
            "npartitions=1\n"
            "               int64 string\n"
            "                 ...    ...\n"
            "Dask Name: read_csv\n"
            "dd.Series<number, npartitions=1, dtype=int64>\n"
            "dd.Scalar<sum(number), dtype=int64>");
}

TEST(Table, tables_print_as_in_pandas) {
  const Folder folder;
  const auto df = read_csv(folder.write("a.csv", "x,t,d\n1.5,a,1990-01-02\n22.25,,\n"), {.parse_dates = {{"d", {"d"}}}});
  EXPECT_EQ(df.compute(kSync).repr(),
            "       x     t           d\n"
            "0   1.50     a  1990-01-02\n"
            "1  22.25  <NA>         NaT");
  EXPECT_EQ(df.groupby("t").size().compute(kSync).repr(), "t\na    1\ndtype: int64");
}

TEST(Table, a_block_boundary_inside_quotes_cuts_no_row) {
  const Folder folder;
  std::string text = "i,t\n";
  for (int i = 0; i < 200; ++i) text += std::to_string(i) + ",\"line,\n\"\"" + std::to_string(i) + "\"\"\nend\"\n";
  const std::string path = folder.write("a.csv", text);
  for (std::int64_t blocksize : {1, 10, 100, 1000, 0}) {
    const auto df = read_csv(path, {.blocksize = blocksize});
    EXPECT_EQ(df["i"].sum().compute(kSync), 19900) << blocksize;
    const Column texts = df["t"].compute(kSync);
    ASSERT_EQ(texts.size(), 200);
    EXPECT_EQ(texts[7], "line,\n\"7\"\nend");
    EXPECT_EQ(df.npartitions(), blocksize == 0 ? 1 : blocksize == 1 ? 200 : df.npartitions());
  }
}

TEST(Table, head_reads_only_the_blocks_that_it_takes) {
  const Folder folder;
  folder.write("1.csv", "i\n1\n2\n");
  const std::string second = folder.write("2.csv", "i\n3\n4\n");
  const auto df = read_csv(folder.path("*.csv"));
  EXPECT_EQ(df.head(3).rows(), 3);
  EXPECT_EQ(df[df["i"] > 1].head(2)["i"].numbers(), (std::vector<double>{2, 3}));
  std::filesystem::remove(second);
  EXPECT_EQ(df.head(2)["i"].numbers(), (std::vector<double>{1, 2}));
}

TEST(Table, a_table_survives_the_way_to_another_process) {
  const Folder folder;
  const auto df = read_csv(folder.write("a.csv", "i,x,t,b,d\n1,1.5,a,True,1990-01-02\n-2,,,False,\n3,,\xc3\xa4,True,\n"),
                           {.parse_dates = {{"d", {"d"}}}});
  for (const Table& table : {df.compute(kSync), df[df["i"] > 5].compute(kSync), Table()}) {
    const auto serialized = native::NativeValue::of(table).serialize();
    ASSERT_TRUE(serialized) << serialized.error().message;
    const auto back = native::NativeValue::from_serialized(*serialized).get_as<Table>();
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(back->repr(), table.repr());
    EXPECT_EQ(back->columns(), table.columns());
  }
}

TEST(Table, cells_convert_to_what_they_hold) {
  const Folder folder;
  const auto table = read_csv(folder.write("a.csv", "i,x,t\n1,1.5,a\n2,,b\n")).compute(kSync);
  const double number = table["i"][0];
  const int whole = table["x"].size();
  const std::string text = table["t"][1];
  EXPECT_TRUE(number == 1 && whole == 2 && text == "b" && table["x"][1].is_missing());
  EXPECT_THROW(table["x"][0].integer(), std::invalid_argument);
  EXPECT_THROW(table["t"][0].number(), std::invalid_argument);
  EXPECT_THROW(table["i"][2], std::out_of_range);
  EXPECT_THROW(table["i"].at("1"), std::out_of_range);
}

TEST(Table, only_needed_columns_and_rows_are_parsed) {
  const Folder folder;
  const auto df = read_csv(folder.write("a.csv", "keep,x\n1,1\n0,wrong\n1,2\n"), {.dtype = {{"keep", boolean}, {"x", int64}}});
  EXPECT_EQ(df[df["keep"]]["x"].sum().compute(kSync), 3);
  EXPECT_THROW(df["x"].sum().compute(kSync), DataError);
}

TEST(Table, a_hundred_blocks_are_merged_in_a_tree) {
  const Folder folder;
  std::string text = "k,i\n";
  for (int i = 0; i < 100; ++i) text += std::string(1, static_cast<char>('a' + i % 3)) + "," + std::to_string(i) + "\n";
  const auto df = read_csv(folder.write("a.csv", text), {.blocksize = 1});
  EXPECT_EQ(df.npartitions(), 100);
  EXPECT_LE(df["i"].sum().node()->dependencies.size(), 16u);
  EXPECT_EQ(df["i"].sum().compute({.scheduler = "threads"}), 4950);
  EXPECT_EQ(df.groupby("k")["i"].max().compute(kSync).numbers(), (std::vector<double>{99, 97, 98}));
}

}  // namespace
}  // namespace dask::dataframe
