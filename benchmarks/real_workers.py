"""Native tasks on real workers of this machine: throughput of empty tasks, and latency of single ones.

    .venv/bin/python benchmarks/real_workers.py
    .venv/bin/python benchmarks/real_workers.py --workers 2 --tasks 100000 --repeats 7 --json out.json

Starts our scheduler and workers of one thread each, then dask-native-submit (many tasks) and dask-native-latency (one at a time).
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import psutil
from clusters import POLL_INTERVAL_S, ROOT, START_TIMEOUT_S, BenchmarkError, Cluster, contenders, cpu_seconds

PROGRAM_TIMEOUT_S = 300


class RealCluster(Cluster):
    """A context: our scheduler and `workers` dask-workers of `nthreads` threads each, with the benchmarks' native functions."""

    def __init__(self, build, workers, nthreads=1, preload=True):
        super().__init__(contenders(build)["ours"], build, workers)
        self._build = pathlib.Path(build)
        self._nthreads = nthreads
        self._preload = preload
        self.worker_processes = []

    def _start_workers(self):
        command = [str(self._build / "bin" / "dask-worker"), self.address, "--nthreads", str(self._nthreads), "--host", "127.0.0.1"]
        command += ["--no-dashboard", "--python", sys.executable]
        if self._preload:
            library = self._build / "benchmarks" / "libdask_benchmark_functions.so"
            if not library.exists():
                raise BenchmarkError(f"{library} is not there; build it with `make build`")
            command += ["--preload", str(library)]
        for i in range(self._workers):
            folder = pathlib.Path(self._folder.name, f"worker-{i}")
            folder.mkdir()
            process = self.start_process(f"worker-{i}", [*command, "--name", f"w{i}", "--local-directory", str(folder)])
            self.worker_processes.append(psutil.Process(process.pid))
        end = time.monotonic() + START_TIMEOUT_S
        for i in range(self._workers):
            while "Registered to" not in pathlib.Path(self._folder.name, f"worker-{i}.log").read_text(errors="replace"):
                if self._processes[i + 1].poll() is not None or time.monotonic() > end:
                    raise BenchmarkError(f"worker {i} did not register:\n{self.last_words(f'worker-{i}')}")
                time.sleep(POLL_INTERVAL_S)
        self.workers = None

    def cpu_s(self):
        """Of the scheduler, and of all workers, so far."""
        return cpu_seconds(self.scheduler), sum(cpu_seconds(process) for process in self.worker_processes)


def run(program, *arguments):
    done = subprocess.run([str(program), *map(str, arguments)], capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_S)
    if done.returncode != 0:
        raise BenchmarkError(f"{pathlib.Path(program).name} failed: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def throughput(cluster, options):
    submit = pathlib.Path(options.build, "bin", "dask-native-submit")
    arguments = (cluster.address, "--shape", "merge", "--tasks", options.tasks, "--repeat")
    run(submit, *arguments, 1)
    cluster.settle()
    before = cluster.cpu_s()
    graphs = run(submit, *arguments, options.repeats)
    cluster.settle()
    after = cluster.cpu_s()
    tasks = options.tasks * options.repeats
    per_second = sorted(graph["tasks"] / graph["makespan_s"] for graph in graphs)
    return {
        "tasks_per_s": {"median": statistics.median(per_second), "least": per_second[0], "largest": per_second[-1]},
        "scheduler_cpu_us": (after[0] - before[0]) / tasks * 1e6,
        "workers_cpu_us": (after[1] - before[1]) / tasks * 1e6,
    }


def latency(cluster, options):
    return run(pathlib.Path(options.build, "bin", "dask-native-latency"), cluster.address, "--tasks", options.latency_tasks)[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=str(ROOT / "build"), help="folder of the build")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tasks", type=int, default=100_000, help="of each graph")
    parser.add_argument("--repeats", type=int, default=7, help="graphs")
    parser.add_argument("--latency-tasks", type=int, default=10_000)
    parser.add_argument("--json", help="also write the figures to this file")
    options = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.2f}, {os.cpu_count()} processors, {options.workers} workers of 1 thread", flush=True)
    try:
        with RealCluster(options.build, options.workers) as cluster:
            many = throughput(cluster, options)
            one = latency(cluster, options)
    except (BenchmarkError, subprocess.TimeoutExpired) as error:
        sys.exit(f"real_workers.py: {error}")
    rate = many["tasks_per_s"]
    print(
        f"empty native tasks, merge of {options.tasks}: {rate['median']:,.0f}/s [{rate['least']:,.0f}..{rate['largest']:,.0f}]; CPU per"
        f" task: scheduler {many['scheduler_cpu_us']:.1f} µs, workers {many['workers_cpu_us']:.1f} µs"
    )
    print(
        f"submit -> result of one task, {one['tasks']} times: p50 {one['p50_us']:.0f} µs, p90 {one['p90_us']:.0f} µs,"
        f" p99 {one['p99_us']:.0f} µs, max {one['max_us']:.0f} µs"
    )
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"throughput": many, "latency": one}, indent=1))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
