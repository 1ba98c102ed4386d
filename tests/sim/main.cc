// sim: runs simulations. A seed that fails is printed with its last events; `sim --seed N --verbose` shows all of them.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iostream>

#include "core/runtime/command_line.h"
#include "simulation.h"

namespace {
constexpr std::size_t kLastLines = 60;
}

int main(int argc, char** argv) {
  std::uint64_t first = 1, count = 300;
  std::int64_t only = -1;
  bool verbose = false;
  std::size_t failures_max = 3;
  std::string workers = "model";
  CLI::App app{"Simulates clusters from seeds: scheduler, workers, clients, delays and faults in one thread.", "sim"};
  app.add_option("--first", first, "First seed");
  app.add_option("--seeds", count, "Number of seeds");
  app.add_option("--seed", only, "Run this seed alone");
  app.add_option("--failures", failures_max, "Stop after so many failing seeds");
  app.add_option("--workers", workers, "What is inside the workers")->check(CLI::IsMember({"model", "real", "mixed"}));
  app.add_flag("--verbose", verbose, "Print every event");
  if (auto end = dask::read_command_line(app, argc, argv)) return *end;
  if (only >= 0) {
    first = static_cast<std::uint64_t>(only);
    count = 1;
  }
  using dask::sim::WorkerKind;
  const WorkerKind kind = workers == "real" ? WorkerKind::kReal : workers == "mixed" ? WorkerKind::kMixed : WorkerKind::kModel;
  std::uint64_t events = 0, transitions = 0;
  std::vector<std::uint64_t> failed;
  for (std::uint64_t seed = first; seed < first + count && failed.size() < failures_max; ++seed) {
    dask::sim::Outcome outcome = dask::sim::Simulation(seed, kind, verbose ? 1 : 0, verbose).run();
    events += outcome.events;
    transitions += outcome.transitions;
    if (outcome.failure.empty()) continue;
    failed.push_back(seed);
    const dask::sim::Outcome again = dask::sim::Simulation(seed, kind, kLastLines, false).run();
    std::cout << fmt::format("seed {} failed: {}\n", seed, outcome.failure);
    if (again.state_hash != outcome.state_hash) std::cout << "and a second run of the same seed went another way\n";
    for (const std::string& line : again.log) std::cout << "  " << line << "\n";
  }
  std::cout << fmt::format("{} seeds, {} events, {} transitions", count, events, transitions);
  if (failed.empty()) {
    std::cout << ", all well\n";
    return 0;
  }
  std::cout << fmt::format("; failing seeds: {}\nalone: sim --workers {} --seed {} --verbose\n", fmt::join(failed, " "), workers,
                           failed[0]);
  return 1;
}
