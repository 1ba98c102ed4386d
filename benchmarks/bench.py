"""Our scheduler and Dask's own under the same zero workers, interleaved in one run: medians, spread and ratios.

    make bench                                  # all of it, some minutes
    .venv/bin/python benchmarks/bench.py --quick
    .venv/bin/python benchmarks/bench.py --contenders stock,ours,stock-inf --repeats 7

benchmarks/README.md says what is measured and how to read it.
"""

import argparse
import collections
import gc
import json
import os
import pathlib
import subprocess
import sys
import time
import warnings

import workloads
from clusters import ROOT, BenchmarkError, Cluster, contenders
from distributed import Client

import report

WARM_UP_TASKS = 200
NATIVE_TIMEOUT_S = 300
HOLD_TIMEOUT_S = 60


def say(text):
    print(text, flush=True)


def measure(contender, prepare, options):
    """One workload on a fresh cluster. Seconds and bytes per task."""
    with Cluster(contender, options.build, options.workers) as cluster, Client(cluster.address) as client:
        warm = client.map(workloads.inc, range(WARM_UP_TASKS), pure=False)
        client.gather(warm)
        del warm
        tasks, run = prepare()
        gc.collect()
        cluster.settle()
        since, client_since = cluster.look(), time.process_time()
        futures = run(client)
        makespan = cluster.use(since).wall_s
        client_cpu = time.process_time() - client_since
        finished = sum(future.status == "finished" for future in futures)
        if finished != len(futures):
            raise BenchmarkError(f"{len(futures) - finished} of {len(futures)} results failed:\n{cluster.last_words()}")
        del futures
        cluster.settle()
        used = cluster.use(since)
    return {
        "makespan": makespan / tasks,
        "scheduler_cpu": used.scheduler_s / tasks,
        "helpers_cpu": used.helpers_s / tasks,
        "rss": used.rss_growth / tasks,
        "client_cpu": client_cpu / tasks,
        "workers_cpu": used.workers_s / tasks,
    }


def compare(chosen, options):
    """results[workload][contender][measure] -> values; contenders take turns."""
    results = {}
    for repeat in range(options.repeats):
        for workload, prepare in (workloads.quick() if options.quick else workloads.full()).items():
            for contender in chosen:
                values = measure(contender, prepare, options)
                by_measure = results.setdefault(workload, {}).setdefault(contender.name, collections.defaultdict(list))
                for name, value in values.items():
                    by_measure[name].append(value)
                say(
                    f"  {repeat + 1}/{options.repeats} {workload:10} {contender.name:10} {values['makespan'] * 1e6:8.1f} µs/task,"
                    f" scheduler {values['scheduler_cpu'] * 1e6:7.1f}, helpers {values['helpers_cpu'] * 1e6:6.1f} µs/task of CPU"
                )
    return results


def idle(chosen, options):
    """Share of one core that a scheduler uses when nothing happens but heartbeats."""
    shares = {}
    for contender in chosen:
        with Cluster(contender, options.build, options.workers) as cluster, Client(cluster.address):
            cluster.settle()
            since = cluster.look()
            time.sleep(options.idle_s)
            used = cluster.use(since)
            shares[contender.name] = {"scheduler": used.scheduler_s / used.wall_s, "helpers": used.helpers_s / used.wall_s}
    return shares


def native_graphs(contender, options):
    """Graphs of native tasks from a C++ client. One result per graph."""
    results = []
    submit = str(pathlib.Path(options.build, "bin", "dask-native-submit"))
    for shape in ("merge", "tree"):
        for _ in range(options.repeats):
            with Cluster(contender, options.build, options.workers, native=True) as cluster:
                command = [submit, cluster.address, "--shape", shape, "--tasks", str(options.native_tasks)]
                cluster.settle()
                since = cluster.look()
                try:
                    done = subprocess.run(command, capture_output=True, text=True, timeout=NATIVE_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    raise BenchmarkError(
                        f"a native {shape} graph was not done after {NATIVE_TIMEOUT_S} s:\n{cluster.last_words()}"
                    ) from None
                if done.returncode != 0:
                    raise BenchmarkError(f"a native {shape} graph failed: {done.stderr.strip()}\n{cluster.last_words()}")
                cluster.settle()
                used = cluster.use(since)
                result = json.loads(done.stdout)
                result["scheduler_cpu_s"] = used.scheduler_s
                result["workers_cpu_s"] = used.workers_s
                result["rss"] = used.rss_growth
                results.append(result)
    return results


def waiting_bytes(contender, options):
    """Memory per native task that waits: a graph on a scheduler without workers."""
    with Cluster(contender, options.build, workers=0) as cluster:
        cluster.settle()
        since = cluster.look()
        command = [str(pathlib.Path(options.build, "bin", "dask-native-submit")), cluster.address, "--tasks", str(options.native_tasks)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            word, _, tasks = process.stderr.readline().partition(" ")
            if word != "submitted":
                raise BenchmarkError(f"the native graph was not submitted:\n{cluster.last_words()}")
            cluster.settle()
            grown = cluster.scheduler.memory_info().rss - since[-1]
            if process.poll() is not None:
                raise BenchmarkError(f"the native graph was refused: {process.stderr.read().strip()}")
        finally:
            process.terminate()
            process.communicate()
        return grown / int(tasks.split()[0])


def print_native(results, held):
    rows = [["native graph", "tasks", "tasks/s", "makespan, µs/task", "scheduler CPU, µs/task", "zero workers' CPU, µs/task"]]
    for shape in dict.fromkeys(result["shape"] for result in results):
        of_shape = [result for result in results if result["shape"] == shape]

        def cell(per_task, decimals=2, of_shape=of_shape):
            median, least, largest = report.summary([per_task(result) for result in of_shape])
            return f"{median:,.{decimals}f} [{least:,.{decimals}f}..{largest:,.{decimals}f}]"

        rows.append(
            [
                shape,
                f"{of_shape[0]['tasks']:,}",
                cell(lambda r: r["tasks"] / r["makespan_s"], 0),
                cell(lambda r: r["makespan_s"] / r["tasks"] * 1e6),
                cell(lambda r: r["scheduler_cpu_s"] / r["tasks"] * 1e6),
                cell(lambda r: r["workers_cpu_s"] / r["tasks"] * 1e6),
            ]
        )
    say(report.aligned(rows))
    say(f"\nMemory per native task that waits (no workers, tree): {held:,.0f} bytes")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small graphs and one repeat: shows that it works, not how fast")
    parser.add_argument("--repeats", type=int, help="measurements of each workload (3; 1 with --quick)")
    parser.add_argument("--workers", type=int, default=24, help="zero workers, one thread each (24)")
    parser.add_argument("--contenders", default="stock,ours", help="of stock, ours, stock-inf, ours-inf; the first is the yardstick")
    parser.add_argument("--idle-s", type=float, help="how long to watch idle schedulers, in seconds (10; 3 with --quick; 0: not)")
    parser.add_argument("--native-tasks", type=int, help="tasks of a native graph (2^20 - 1; 2^14 - 1 with --quick; 0: none)")
    parser.add_argument("--build", default=str(ROOT / "build"), help="the build folder with bin/ (build)")
    parser.add_argument("--json", help="write all values to this file")
    options = parser.parse_args()
    options.repeats = options.repeats or (1 if options.quick else 3)
    if options.idle_s is None:
        options.idle_s = 3 if options.quick else 10
    if options.native_tasks is None:
        options.native_tasks = 2**14 - 1 if options.quick else 2**20 - 1
    known = contenders(options.build)
    unknown = [name for name in options.contenders.split(",") if name not in known]
    if unknown:
        parser.error(f"no contender is called {', '.join(unknown)}; there are {', '.join(known)}")
    return options, [known[name] for name in options.contenders.split(",")]


def main():
    options, chosen = parse_arguments()
    warnings.filterwarnings("ignore", message="Sending large graph")
    load = os.getloadavg()[0]
    say(f"{options.workers} zero workers, {os.cpu_count()} cores, load {load:.1f} before the start")
    if load > 0.3 * os.cpu_count():
        say("Other programs are busy on this machine: believe the CPU figures, not the makespans.")
    names = [contender.name for contender in chosen]
    everything = {"load": load, "workers": options.workers}

    say(f"\nPython graphs, {options.repeats} repeats, {' and '.join(names)} in turn")
    everything["python"] = compare(chosen, options)
    say(f"\nmedian [least..largest]\n{report.table(everything['python'], names)}")

    if options.idle_s > 0:
        say(f"\nIdle with {options.workers} workers and a client, over {options.idle_s:g} s")
        everything["idle"] = idle(chosen, options)
        for name, share in everything["idle"].items():
            say(f"  {name:10} scheduler {share['scheduler']:.2%} of a core, helpers {share['helpers']:.2%}")

    native = next((contender for contender in chosen if contender.native), None)
    if native and options.native_tasks > 0:
        say(f"\nNative graphs on {native.name}, {options.repeats} repeats, median [least..largest]")
        everything["native"] = native_graphs(native, options)
        everything["native_waiting_bytes"] = waiting_bytes(native, options)
        print_native(everything["native"], everything["native_waiting_bytes"])

    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(everything, indent=1))


if __name__ == "__main__":
    try:
        main()
    except BenchmarkError as error:
        sys.exit(f"bench: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
