#include "world.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace dask::sim {
namespace {

// Restrictions name workers that every task can run on.
scheduler::AnnotationsPtr some_annotations(Random& random, const std::vector<bool>& native) {
  auto a = std::make_shared<scheduler::Annotations>();
  switch (random.below(5)) {
    case 0: {
      const std::size_t worker = random.below(native.size());
      a->workers.push_back(fmt::format("w{}", native[worker] ? worker : 0));
      a->allow_other_workers = random.chance(0.3);
      break;
    }
    case 1:
      a->resources.emplace_back("GPU", 1.0);  // worker 0 has it
      break;
    case 2: a->retries = static_cast<int>(random.between(1, 3)); break;
    default: a->user_priority = static_cast<double>(random.between(-2, 2));
  }
  return a;
}

}  // namespace

World::World(std::uint64_t s) : seed(s), random(s) {
  // A third of all runs goes without each kind of trouble.
  const auto trouble = [&](double most) { return random.chance(0.33) ? 0.0 : random.unit() * most; };
  n_workers = static_cast<int>(random.between(1, 5));
  for (int i = 0; i < n_workers; ++i) nthreads.push_back(random.between(1, 3));
  const double natives = random.chance(0.5) ? 1 : random.unit();
  for (int i = 0; i < n_workers; ++i) native.push_back(i == 0 || random.chance(natives));
  stealing = random.chance(0.7);
  reviewing_replicas = random.chance(0.5);
  n_clients = static_cast<int>(random.between(1, 3));
  chaos = random.between(1, 6) * kSecond;
  delay_max = random.chance(0.5) ? 2 * kMillisecond : 200 * kMillisecond;
  run_max = random.chance(0.5) ? 20 * kMillisecond : 1 * kSecond;
  kills_per_s = trouble(1.5);
  pauses_per_s = trouble(1);
  retirements_per_s = trouble(0.7);
  client_ops_per_s = 1 + random.unit() * 9;
  client_leaves = trouble(0.1);
  graph_rejected = trouble(0.1);
  specs_fail = trouble(0.2);
  busy_peer = trouble(0.2);
  const double errs = trouble(0.15), annotated = trouble(0.4), actors = trouble(0.1), secedes = trouble(0.3), reschedules = trouble(0.2);

  const double saturations[] = {1.1, 1.0, 2.5, HUGE_VAL};
  settings.worker_saturation = saturations[random.below(4)];
  settings.allowed_failures = static_cast<int>(random.between(0, 3));
  settings.unknown_task_duration_s = 0.1;
  if (random.chance(0.2)) settings.no_workers_timeout_s = 1;

  const auto n = static_cast<TaskIx>(random.between(3, 50));
  const double density = random.unit() * 3;
  for (TaskIx i = 0; i < n; ++i) {
    TaskInfo t;
    t.data = random.chance(0.08);
    // Few prefixes: groups become large, so that some tasks are root-ish.
    t.name = fmt::format("{}-{}", static_cast<char>('a' + random.below(4)), i);
    t.key = Key::from_string(t.name);
    t.ancestors.assign(n, false);
    t.ancestors[i] = true;
    if (!t.data && i > 0 && random.chance(0.7)) {
      for (auto count = static_cast<int>(random.unit() * density) + 1; count > 0; --count) {
        // Near ones more often: chains as well as bushes.
        const auto d = static_cast<TaskIx>(random.chance(0.5) ? i - 1 - random.below(std::min<TaskIx>(i, 4)) : random.below(i));
        if (std::find(t.dependencies.begin(), t.dependencies.end(), d) != t.dependencies.end()) continue;
        t.dependencies.push_back(d);
        for (TaskIx a = 0; a < n; ++a) t.ancestors[a] = t.ancestors[a] || tasks[d].ancestors[a];
      }
    }
    t.value = mix(i + 1);
    for (TaskIx d : t.dependencies) t.value = mix(t.value ^ tasks[d].value);
    t.nbytes = random.between(1, 1'000'000);
    if (!t.data) {
      t.data_producer = random.chance(0.1);
      t.actor = random.chance(actors);
      t.errs = random.chance(errs);
      if (random.chance(errs)) t.errs_first = static_cast<int>(random.between(1, 3));
      if (random.chance(0.3)) t.secedes = secedes;
      if (random.chance(0.3)) t.reschedules = reschedules;
      if (random.chance(annotated)) t.annotations = some_annotations(random, native);
    }
    by_key.emplace(std::string(t.key.msgpack()), i);
    tasks.push_back(std::move(t));
  }
}

}  // namespace dask::sim
