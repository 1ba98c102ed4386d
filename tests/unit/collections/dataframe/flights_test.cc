// The tutorial's dataframe on a small look-alike of its files, on the local schedulers of one process.
#include <gtest/gtest.h>

#include "dask/dataframe.h"
#include "tests/unit/collections/dataframe/folder.h"

namespace dask::dataframe {
namespace {

constexpr const char* kHeader = "Year,Month,DayofMonth,TailNum,DepDelay,Origin,Cancelled\n";

DataFrame flights(const Folder& folder) {
  folder.write("1990.csv", std::string(kHeader) + "1990,1,1,,-3.0,EWR,0\n1990,1,2,,46.0,EWR,0\n1990,1,3,,,LGA,1\n");
  folder.write("1991.csv", std::string(kHeader) + "1991,1,1,N1,2.5,JFK,0\n1991,1,7,N2,10.0,LGA,0\n1991,1,7,N3,20.0,LGA,0\n");
  return read_csv(folder.path("*.csv"), {.parse_dates = {{"Date", {0, 1, 2}}}, .dtype = {{"TailNum", utf8}, {"Cancelled", boolean}}});
}

TEST(Flights, the_largest_mean_delay_is_lazy_and_the_same_on_every_local_scheduler) {
  const Folder folder;
  const auto df = flights(folder);
  const Scalar largest = df[!df["Cancelled"]].groupby("Origin")["DepDelay"].mean().max();
  EXPECT_EQ(largest.repr(), "dd.Scalar<max(mean(DepDelay) by Origin[!Cancelled]), dtype=float64>");
  for (const char* scheduler : {"sync", "threads"}) {
    const double minutes = largest.compute({.scheduler = scheduler});
    EXPECT_EQ(minutes, 21.5);
  }
}

TEST(Flights, the_tutorials_exercises_have_pandas_answers) {
  const Folder folder;
  const auto df = flights(folder);
  const auto flown = df[!df["Cancelled"]];
  EXPECT_EQ(len(df, {.scheduler = "sync"}), 6);
  EXPECT_EQ(len(flown, {.scheduler = "sync"}), 5);
  const Column counts = flown.groupby("Origin")["Origin"].count().compute({.scheduler = "sync"});
  EXPECT_EQ(counts.size(), 3);
  EXPECT_EQ(counts.at("EWR"), 2);
  EXPECT_EQ(counts.at("LGA"), 2);
  const Column by_day = df.groupby(df["Date"].dt().dayofweek())["DepDelay"].mean().compute({.scheduler = "sync"});
  EXPECT_EQ(by_day.at(0), (-3.0 + 10.0 + 20.0) / 3);
  EXPECT_EQ(by_day.at(1), (46.0 + 2.5) / 2);
  EXPECT_TRUE(by_day.at(2).is_missing());
  EXPECT_EQ(by_day.repr(), "Date\n0     9.00\n1    24.25\n2      NaN\nName: DepDelay, dtype: float64");
}

}  // namespace
}  // namespace dask::dataframe
