"""Many small Python tasks from an unmodified client: our LocalCluster with our workers and Dask's own, in turn.

    .venv/bin/python benchmarks/small_tasks.py                  # map(inc, range(20_000)), three times: some minutes, most of them Dask's
    .venv/bin/python benchmarks/small_tasks.py --tasks 1000 --repeats 1

Measured is from before `client.map` until all results are with the client. Each measurement has a fresh cluster of two workers of one
thread, a warm-up of 200 tasks, and wrong results end the program.
"""

import argparse
import contextlib
import logging
import os
import statistics
import sys
import time

import distributed

import dask_native

WARM_UP = 200
CLUSTERS = {
    "ours": lambda **options: dask_native.LocalCluster(worker="native", **options),
    "stock": distributed.LocalCluster,
}


def inc(x):
    return x + 1


def tasks_per_second(cluster, tasks):
    with contextlib.ExitStack() as stack:
        made = stack.enter_context(CLUSTERS[cluster](n_workers=2, threads_per_worker=1, dashboard_address=":0"))
        client = stack.enter_context(distributed.Client(made))
        client.gather(client.map(inc, range(-WARM_UP, 0)))
        start = time.perf_counter()
        try:
            results = client.gather(client.map(inc, range(tasks)))
        except KeyboardInterrupt:
            logging.disable()  # of what is torn down now, asyncio and distributed would print a traceback each
            raise
        seconds = time.perf_counter() - start
        if results != list(range(1, tasks + 1)):
            sys.exit(f"small_tasks.py: wrong results of {cluster}")
        return tasks / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=20_000, help="how many (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each cluster (default: %(default)s)")
    given = parser.parse_args()
    if given.tasks < 1 or given.repeats < 1:
        parser.error("--tasks and --repeats must be 1 or more")
    print(f"map(inc, range({given.tasks:,})), {given.repeats} repeats, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before")
    found = {cluster: [] for cluster in CLUSTERS}
    for _ in range(given.repeats):
        for cluster, results in found.items():
            results.append(tasks_per_second(cluster, given.tasks))
    for cluster, results in found.items():
        print(f"{cluster:6} {statistics.median(results):9,.0f} tasks/s [{min(results):,.0f}..{max(results):,.0f}]")
    print(f"ours/stock {statistics.median(found['ours']) / statistics.median(found['stock']):.1f}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
