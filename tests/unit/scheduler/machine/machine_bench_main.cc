// machine_bench: what a task costs in the machine alone, without network or wire: nanoseconds of CPU for a tree reduction and
// a merge, bytes for a task that waits. 24 workers with one thread each, which answer at once.
#include <fmt/format.h>
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <deque>
#include <iostream>
#include <string>

#include "scheduler/machine/machine.h"

namespace {

using namespace dask;
using namespace dask::scheduler;

constexpr int kWorkers = 24;

double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

class Cluster {
 public:
  Cluster() {
    for (int i = 0; i < kWorkers; ++i) {
      Worker ws;
      ws.address = fmt::format("tcp://10.0.0.{}:9000", i);
      ws.host = fmt::format("10.0.0.{}", i);
      ws.name = Value(i);
      ws.status = WorkerStatus::kRunning;
      happen(WorkerConnected{std::move(ws)});
    }
    happen(ClientConnected{"c", {}});
    client_ = machine_.last_client();
  }

  void happen(Event event) {
    const Actions& actions = machine_.handle(std::move(event), now_ += 1e-5, stimulus_);
    for (const Action& action : actions.list)
      if (const auto* compute = std::get_if<SendComputeTask>(&action)) {
        const Task& ts = *machine_.state().get(compute->task);
        running_.push_back({compute->worker, compute->run_id, ts.key});
      }
  }

  // Submits the graph and runs it until its results are there, then lets go of them; CPU seconds of the machine.
  double run(GraphColumns columns, std::vector<Key> wanted) {
    const double start = cpu_seconds();
    GraphSubmitted e;
    e.client = client_;
    e.graph = graphs_++;
    e.columns = std::move(columns);
    e.wanted = wanted;
    e.spec = SpecKind::kNative;
    e.received = now_;
    happen(std::move(e));
    while (!running_.empty()) {
      Running done = std::move(running_.front());
      running_.pop_front();
      TaskFinished finished{done.worker, {}};
      finished.msg.key = std::move(done.key);
      finished.msg.run_id = done.run_id;
      finished.msg.nbytes = 28;
      finished.msg.typename_ = "int";
      finished.msg.startstops.push_back({"compute", now_, now_ + 1e-6});
      happen(std::move(finished));
    }
    happen(KeysReleased{client_, std::move(wanted)});
    return cpu_seconds() - start;
  }

  Machine& machine() { return machine_; }
  ClientId client() const { return client_; }

 private:
  struct Running {
    WorkerId worker;
    std::int64_t run_id;
    Key key;
  };
  Machine machine_{Settings{}};
  std::string stimulus_ = "bench";
  double now_ = 1;
  ClientId client_;
  std::uint64_t graphs_ = 0;
  std::deque<Running> running_;
};

Key key(const std::string& prefix, int a, int b) { return Key::from_string(fmt::format("{}-{:08x}{:024x}", prefix, a, b)); }

// 2^depth leaves, summed in pairs.
GraphColumns tree(int depth, std::vector<Key>* wanted) {
  GraphColumns g;
  std::vector<std::uint32_t> level;
  for (int i = 0; i < 1 << depth; ++i) {
    level.push_back(static_cast<std::uint32_t>(g.keys.size()));
    g.dep_begin.push_back(0);
    g.keys.push_back(key("inc", 0, i));
  }
  for (int l = 1; l <= depth; ++l) {
    std::vector<std::uint32_t> next;
    for (std::size_t i = 0; i + 1 < level.size(); i += 2) {
      next.push_back(static_cast<std::uint32_t>(g.keys.size()));
      g.dep_begin.push_back(static_cast<std::uint32_t>(g.deps.size()));
      g.deps.push_back(level[i]);
      g.deps.push_back(level[i + 1]);
      g.keys.push_back(key("add", l, static_cast<int>(i)));
    }
    level = std::move(next);
  }
  g.dep_begin.push_back(static_cast<std::uint32_t>(g.deps.size()));
  g.n_tasks = g.keys.size();
  *wanted = {g.keys.back()};
  return g;
}

// n tasks and one that needs them all.
GraphColumns merge(int n, std::vector<Key>* wanted) {
  GraphColumns g;
  for (int i = 0; i < n; ++i) {
    g.dep_begin.push_back(0);
    g.keys.push_back(key("inc", 0, i));
    g.deps.push_back(static_cast<std::uint32_t>(i));
  }
  g.dep_begin.push_back(0);
  g.keys.push_back(key("merge", 0, 0));
  g.dep_begin.push_back(static_cast<std::uint32_t>(g.deps.size()));
  g.n_tasks = g.keys.size();
  *wanted = {g.keys.back()};
  return g;
}

void time_graph(const char* name, GraphColumns (*make)(int, std::vector<Key>*), int size) {
  std::vector<double> ns;
  std::size_t n = 0;
  Cluster cluster;
  for (int i = 0; i < 5; ++i) {
    std::vector<Key> wanted;
    GraphColumns g = make(size, &wanted);
    n = g.n_tasks;
    ns.push_back(cluster.run(std::move(g), std::move(wanted)) / static_cast<double>(n) * 1e9);
  }
  std::sort(ns.begin(), ns.end());
  std::cout << fmt::format("{}: {} tasks, {:.0f} ns a task (median of 5; {:.0f} to {:.0f})\n", name, n, ns[2], ns.front(), ns.back());
}

void weigh_waiting_tasks(int depth) {
  Cluster cluster;
  const auto before = mallinfo2();
  std::vector<Key> wanted;
  GraphColumns g = tree(depth, &wanted);
  const std::size_t n = g.n_tasks;
  GraphSubmitted e;
  e.client = cluster.client();
  e.columns = std::move(g);
  e.wanted = std::move(wanted);
  e.spec = SpecKind::kNative;
  e.received = 1;
  cluster.happen(std::move(e));  // the columns are freed with the event
  const auto after = mallinfo2();
  const auto used = [](const auto& info) { return info.uordblks + info.hblkhd; };
  std::cout << fmt::format("{} tasks that wait: {} bytes more on the heap, {:.0f} a task (without run specs); sizeof(Task) is {}\n", n,
                           used(after) - used(before), static_cast<double>(used(after) - used(before)) / static_cast<double>(n),
                           sizeof(Task));
}

}  // namespace

int main() {
  time_graph("tree-14", tree, 14);
  time_graph("merge-10K", merge, 10000);
  weigh_waiting_tasks(19);
}
