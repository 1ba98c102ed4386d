// Dask's tutorial chapter "Distributed", cell by cell, in C++ (examples/tutorial.py is the same with unmodified Dask). Every answer is
// checked; every step prints its time beside that of the tutorial's author.
//   dask-tutorial [--sleep FACTOR] [--folder FOLDER]      FACTOR shortens the cells that only sleep, for tests
// The flights come from FOLDER (data/nycflights; examples/make_flights.py makes them).
#include <dask/dask.h>

#include <chrono>
#include <cstdlib>
#include <numeric>
#include <string_view>
#include <thread>

#include "flights.h"
#include "report.h"

namespace {

using tutorial::Report;

int sum(const std::vector<int>& values) { return std::accumulate(values.begin(), values.end(), 0); }

void sleep_seconds(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }
int inc(int x, double seconds) {
  sleep_seconds(seconds);
  return x + 1;
}
int dec(int x, double seconds) {
  sleep_seconds(seconds);
  return x - 1;
}
int add(int x, int y, double seconds) {
  sleep_seconds(seconds);
  return x + y;
}

// Cell 1: all names of Dask's schedulers, chosen for one call, for a block, and for everything that follows.
void choose_schedulers(Report& report) {
  const auto x = dask::delayed<sum>(std::vector{1, 2, 3});
  for (const char* name : {"threaded", "threading", "threads", "processes", "single-threaded", "sync", "synchronous"})
    report.step<int>(
        std::string("x.compute({.scheduler = \"") + name + "\"})", {}, [&] { return x.compute({.scheduler = name}); }, 6);
  report.step<int>(
      "dask::config::Scope scope({{\"scheduler\", \"processes\"}})", {},
      [&] {
        const dask::config::Scope scope({{"scheduler", "processes"}});
        return x.compute();
      },
      6);
  report.step<int>(
      "dask::config::set({{\"scheduler\", \"threads\"}})", {},
      [&] {
        dask::config::set({{"scheduler", "threads"}});
        const int answer = x.compute();
        dask::config::set({{"scheduler", dask::Value()}});
        return answer;
      },
      6);
}

// Cells 6 to 11: a cluster on this machine becomes the default scheduler, works, and leaves silently.
void compute_on_a_cluster(Report& report, double sleep_factor, tutorial::Flights& flights) {
  std::optional<dask::Client> client;
  report.step("dask::Client client", [&] { client.emplace(); });
  report.note(client->repr());
  report.note("dashboard: " + client->dashboard_link());
  report.step<int>(
      "x.compute({.scheduler = \"distributed\"})", {},
      [&] {
        return dask::delayed<sum>(std::vector{1, 2, 3}).compute({.scheduler = "distributed"});
      },
      6);
  // Cell 8: inc and dec sleep at the same time, so that all is done after 12 seconds, not 15.
  report.step<int>(
      "add(inc(1), dec(2)), which sleep 5, 3 and 7 s", 12,
      [&] {
        const auto total =
            dask::delayed<add>(dask::delayed<inc>(1, 5 * sleep_factor), dask::delayed<dec>(2, 3 * sleep_factor), 7 * sleep_factor);
        return total.compute();
      },
      3);
  flights.compute_on_the_default();
  report.step("client.shutdown()", [&] { client->shutdown(); });
}

}  // namespace

int main(int argc, char** argv) {
  dask::init(argc, argv);
  double sleep_factor = 1;
  std::string folder = "data/nycflights";
  for (int i = 1; i < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--sleep" && i + 1 < argc) {
      sleep_factor = std::atof(argv[i + 1]);
    } else if (flag == "--folder" && i + 1 < argc) {
      folder = argv[i + 1];
    } else {
      const bool asked = flag == "--help" || flag == "-h";
      std::fprintf(asked ? stdout : stderr, "%susage: dask-tutorial [--sleep FACTOR] [--folder FOLDER]\n",
                   asked ? "" : ("not understood: " + std::string(flag) + "\n").c_str());
      return asked ? 0 : 2;
    }
  }
  try {
    Report report;
    choose_schedulers(report);
    tutorial::Flights flights(report, folder);
    flights.compute_locally();
    report.heading("on a cluster of this machine");
    compute_on_a_cluster(report, sleep_factor, flights);
    return report.finish();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
