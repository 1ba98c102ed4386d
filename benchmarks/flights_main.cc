// The tutorial's headline question with our dataframe, timed: benchmarks/dataframes.py runs it beside Dask, Polars, DuckDB and pyarrow.
// For each line on stdin (a scheduler's name) it answers "seconds cpu-seconds result". Reading headers is part of the time, as with Dask.
#include <sys/resource.h>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>

#include "dask/client.h"
#include "dask/dataframe.h"
#include "dask/init.h"

namespace dd = dask::dataframe;

namespace {

dd::Scalar largest_delay(const std::string& files) {
  const auto df = dd::read_csv(files, {.parse_dates = {{"Date", {0, 1, 2}}},
                                       .dtype = {{"TailNum", dd::utf8}, {"CRSElapsedTime", dd::float64}, {"Cancelled", dd::boolean}}});
  return df[!df["Cancelled"]].groupby("Origin")["DepDelay"].mean().max();
}

double cpu_seconds() {
  rusage own{}, children{};
  getrusage(RUSAGE_SELF, &own);
  getrusage(RUSAGE_CHILDREN, &children);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; };
  return seconds(own.ru_utime) + seconds(own.ru_stime) + seconds(children.ru_utime) + seconds(children.ru_stime);
}

}  // namespace

int main(int argc, char** argv) {
  dask::init(argc, argv);
  if (argc != 2) {
    std::cerr << "usage: dask-flights 'folder/*.csv'   (schedulers come on stdin, one a line)\n";
    return 2;
  }
  std::unique_ptr<dask::Client> client;
  std::string scheduler;
  while (std::getline(std::cin, scheduler)) {
    try {
      if (scheduler == "distributed" && !client) {
        client = std::make_unique<dask::Client>();  // one thread a worker; started before the clock
        largest_delay(argv[1]).compute({.scheduler = scheduler});
      }
      const double cpu = cpu_seconds();
      const auto begin = std::chrono::steady_clock::now();
      const double result = largest_delay(argv[1]).compute({.scheduler = scheduler});
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
      std::cout << seconds.count() << ' ' << cpu_seconds() - cpu << ' ';
      std::cout.precision(17);
      std::cout << result << std::endl;
      std::cout.precision(6);
    } catch (const std::exception& error) {
      std::cerr << scheduler << ": " << error.what() << '\n';
      return 1;
    }
  }
  return 0;
}
