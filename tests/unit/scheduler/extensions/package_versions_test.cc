// Whoever registers is warned when its packages differ from the scheduler's or the workers', in the table that Dask prints.
#include "scheduler/extensions/package_versions.h"

#include <gtest/gtest.h>

namespace dask::scheduler {
namespace {

Value versions(Value::Map packages) { return Value(Value::Map{{"packages", Value(std::move(packages))}}); }

TEST(PackageVersions, equal_packages_give_no_warning) {
  PackageVersions v;
  const Value same = versions({{"dask", "1.0"}, {"numpy", nullptr}});
  EXPECT_EQ(v.compare(same, same, "Client"), "");
  v.add_worker(same);
  EXPECT_EQ(v.compare(same, same, "Client"), "");
}

TEST(PackageVersions, a_difference_is_shown_as_dask_shows_it) {
  PackageVersions v;
  const Value scheduler = versions({{"dask", "1.0"}, {"numpy", "7"}, {"toolz", "3"}});
  v.add_worker(versions({{"dask", "1.0"}, {"numpy", "7"}, {"toolz", "3"}}));
  v.add_worker(versions({{"dask", "0.99"}, {"numpy", nullptr}}));
  EXPECT_EQ(v.compare(scheduler, scheduler, "Client"),
            "Mismatched versions found\n\n"
            "+---------+--------+-----------+------------------+\n"
            "| Package | Client | Scheduler | Workers          |\n"
            "+---------+--------+-----------+------------------+\n"
            "| dask    | 1.0    | 1.0       | {'0.99', '1.0'}  |\n"
            "| numpy   | 7      | 7         | {'7', None}      |\n"
            "| toolz   | 3      | 3         | {'3', 'MISSING'} |\n"
            "+---------+--------+-----------+------------------+");
}

TEST(PackageVersions, a_client_that_differs_is_told_even_without_workers) {
  PackageVersions v;
  EXPECT_EQ(v.compare(versions({{"python", "3.11"}}), versions({{"python", "3.12"}}), "Client"),
            "Mismatched versions found\n\n"
            "+---------+--------+-----------+---------+\n"
            "| Package | Client | Scheduler | Workers |\n"
            "+---------+--------+-----------+---------+\n"
            "| python  | 3.12   | 3.11      | None    |\n"
            "+---------+--------+-----------+---------+");
}

TEST(PackageVersions, packages_that_the_scheduler_does_not_use_are_not_compared_with_it) {
  PackageVersions v;
  v.add_worker(versions({{"pandas", "2"}}));
  EXPECT_EQ(v.compare(versions({{"pandas", "1"}}), versions({{"pandas", "2"}}), "Client"), "");
}

TEST(PackageVersions, a_worker_that_left_is_not_compared) {
  PackageVersions v;
  const Value mine = versions({{"dask", "1.0"}}), other = versions({{"dask", "2.0"}, {"numpy", "1"}});
  v.add_worker(mine);
  v.add_worker(other);
  EXPECT_NE(v.compare(mine, mine, "Client"), "");
  v.remove_worker(other);
  EXPECT_EQ(v.compare(mine, mine, "Client"), "");
}

TEST(PackageVersions, who_has_no_python_is_left_out) {
  PackageVersions v;
  const Value mine = versions({{"dask", "1.0"}});
  v.add_worker(Value());
  v.add_worker(versions({}));
  v.remove_worker(Value("nonsense"));
  EXPECT_EQ(v.compare(mine, mine, "Client"), "");
  EXPECT_EQ(v.compare(mine, Value::map(), "Client"), "");
  EXPECT_EQ(v.compare(Value(), mine, "Client"), "");  // the scheduler's Python is still starting
}

}  // namespace
}  // namespace dask::scheduler
