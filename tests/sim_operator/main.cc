// sim_operator: runs simulations of the operator. A seed that fails is printed with its last events; `--seed N --verbose` shows all.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>

#include "core/runtime/command_line.h"
#include "simulation.h"

namespace {
constexpr std::size_t kLastLines = 80;
}

int main(int argc, char** argv) {
  std::uint64_t first = 1, count = 300;
  std::int64_t only = -1;
  bool verbose = false;
  std::size_t failures_max = 3;
  CLI::App app{"Simulates Kubernetes with the Dask operator from seeds: users, stale caches, faults, crashes.", "sim_operator"};
  app.add_option("--first", first, "First seed");
  app.add_option("--seeds", count, "Number of seeds");
  app.add_option("--seed", only, "Run this seed alone");
  app.add_option("--failures", failures_max, "Stop after so many failing seeds");
  app.add_flag("--verbose", verbose, "Print every event");
  if (auto end = dask::read_command_line(app, argc, argv)) return *end;
  if (only >= 0) {
    first = static_cast<std::uint64_t>(only);
    count = 1;
  }
  std::uint64_t plans = 0, writes = 0, drained = 0, excused = 0;
  std::vector<std::uint64_t> failed;
  for (std::uint64_t seed = first; seed < first + count && failed.size() < failures_max; ++seed) {
    const dask::sim_operator::Outcome outcome = dask::sim_operator::Simulation(seed, verbose ? 1 : 0, verbose).run();
    plans += outcome.plans;
    writes += outcome.writes;
    drained += outcome.drained;
    excused += outcome.excused;
    if (outcome.failure.empty()) continue;
    failed.push_back(seed);
    std::cout << fmt::format("seed {} failed {}\n", seed, outcome.failure) << std::flush;
    const dask::sim_operator::Outcome again = dask::sim_operator::Simulation(seed, kLastLines, false).run();
    if (again.end != outcome.end) std::cout << "and a second run of the same seed went another way\n";
    for (const std::string& line : again.log) std::cout << "  " << line << "\n";
  }
  std::cout << fmt::format("{} seeds, {} plans, {} writes, {} workers let go ({} with results, excused)", count, plans, writes, drained,
                           excused);
  if (failed.empty()) {
    std::cout << ", all well\n";
    return 0;
  }
  std::cout << fmt::format("; failing seeds: {}\nalone: sim_operator --seed {} --verbose\n", fmt::join(failed, " "), failed[0]);
  return 1;
}
