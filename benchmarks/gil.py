"""A task that holds the GIL for a minute, next to a client that works on: what still answers, and how fast.

    .venv/bin/python benchmarks/gil.py
    .venv/bin/python benchmarks/gil.py --seconds 10

An unmodified client, our scheduler and two of our workers of one thread. One task calls usleep through ctypes.PyDLL, which keeps the GIL.
Meanwhile the client submits to the other worker, fetches results that lie serialised on the blocked one, cancels tasks that wait there, and
asks the scheduler when it last heard of the blocked worker. A result that only the blocked interpreter has comes when the GIL is free.
"""

import argparse
import itertools
import json
import os
import pathlib
import statistics
import sys
import tempfile
import threading
import time

from clusters import ROOT, BenchmarkError
from distributed import Client
from real_workers import RealCluster

HELD = 20  # results on the blocked worker that have been serialised before
ROUND_INTERVAL_S = 0.05
START_TIMEOUT_S = 30
AFTER_TIMEOUT_S = 30


def hold_gil(seconds, started):
    """Returns after `seconds` in which no other thread of this interpreter runs."""
    import ctypes
    import pathlib

    pathlib.Path(started).touch()
    usleep = ctypes.PyDLL(None).usleep
    # usleep takes less than 2^32 µs; a call is not interrupted by Python in between.
    usleep(ctypes.c_uint(int(seconds * 1e6)))
    return seconds


def make(i):
    return bytes([i]) * 1000


def inc(x):
    return x + 1


def milliseconds(values):
    return {"n": len(values), "p50_ms": statistics.median(values) * 1e3, "max_ms": max(values) * 1e3}


class Watch:
    """Calls the client's operations in turn and notes how long each took."""

    def __init__(self, client, blocked, free, held):
        self.client, self.blocked, self.free, self.held = client, blocked, free, held
        self.took = {"submit to the other worker": [], "fetch from the blocked worker": [], "cancel on the blocked worker": []}
        self.last_seen = []
        self.wrong = []
        self.rounds = 0

    def timed(self, name, call):
        began = time.perf_counter()
        value = call()
        self.took[name].append(time.perf_counter() - began)
        return value

    def round(self):
        i = self.rounds = self.rounds + 1
        got = self.timed(
            "submit to the other worker", lambda: self.client.submit(inc, i, workers=[self.free], pure=False).result(timeout=30)
        )
        if got != i + 1:
            self.wrong.append(f"inc({i}) gave {got}")
        which = i % HELD
        got = self.timed("fetch from the blocked worker", lambda: self.held[which].result(timeout=30))
        if got != make(which):
            self.wrong.append(f"the held result {which} came back changed")
        waiting = self.client.submit(inc, -i, workers=[self.blocked], pure=False)
        self.timed("cancel on the blocked worker", lambda: self.cancel(waiting))
        info = self.client.scheduler_info(n_workers=-1)["workers"]
        if self.blocked not in info:
            self.wrong.append("the scheduler has removed the blocked worker")
        else:
            self.last_seen.append(info[self.blocked]["last_seen"])

    def cancel(self, future):
        """Until the scheduler does not know the task any more."""
        key = future.key
        self.client.cancel([future])
        end = time.monotonic() + 30
        while self.client.sync(self.client.scheduler.get_task_status, keys=[key])[key] is not None:
            if time.monotonic() > end:
                self.wrong.append(f"{key} was not cancelled")
                return


def measure(cluster, seconds):
    with Client(cluster.address) as client, tempfile.TemporaryDirectory() as folder:
        blocked, free = sorted(client.scheduler_info(n_workers=-1)["workers"])
        held = client.map(make, range(HELD), workers=[blocked], pure=False)
        client.gather(held)  # serialised once: the worker's own process keeps the bytes
        live = client.submit(make, 7, workers=[blocked], pure=False)
        while live.status != "finished":
            time.sleep(ROUND_INTERVAL_S)
        watch = Watch(client, blocked, free, held)
        watch.round()
        for values in watch.took.values():
            values.clear()
        watch.last_seen.clear()

        started = pathlib.Path(folder, "started")
        blocker = client.submit(hold_gil, seconds, str(started), workers=[blocked], pure=False)
        end = time.monotonic() + START_TIMEOUT_S
        while not started.exists():
            if time.monotonic() > end:
                raise BenchmarkError("the task that holds the GIL did not start")
            time.sleep(0.001)
        began = time.monotonic()
        live_after = []
        fetch = threading.Thread(
            target=lambda: (live.result(timeout=seconds + AFTER_TIMEOUT_S), live_after.append(time.monotonic() - began))
        )
        fetch.start()
        while time.monotonic() - began < seconds - 2 * ROUND_INTERVAL_S:
            watch.round()
            time.sleep(ROUND_INTERVAL_S)
        still_held = not blocker.done()
        if blocker.result(timeout=AFTER_TIMEOUT_S) != seconds:
            watch.wrong.append("the task that held the GIL returned something else")
        held_s = time.monotonic() - began
        fetch.join()
        if not still_held:
            watch.wrong.append("the task that holds the GIL ended early")
        if client.submit(inc, 1, workers=[blocked], pure=False).result(timeout=AFTER_TIMEOUT_S) != 2:
            watch.wrong.append("the blocked worker does not work any more")
        seen = sorted(set(watch.last_seen))
        gaps = [after - before for before, after in itertools.pairwise(seen)] or [seconds]
        interval = 0.5  # what the scheduler asks of so few workers
        return {
            "seconds": seconds,
            "held_s": held_s,
            "rounds": watch.rounds - 1,
            "took": {name: milliseconds(values) for name, values in watch.took.items()},
            "heartbeats_seen": len(seen),
            "longest_silence_s": max(gaps),
            "heartbeats_missed": sum(max(0, round(gap / interval) - 1) for gap in gaps),
            "live_result_after_s": live_after[0] if live_after else None,
            "wrong": watch.wrong,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=str(ROOT / "build"), help="folder of the build")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--json", help="also write the figures to this file")
    options = parser.parse_args()
    if not 1 <= options.seconds <= 4000:
        parser.error("--seconds must be between 1 and 4000, what usleep takes")
    print(f"load average {os.getloadavg()[0]:.2f}, {os.cpu_count()} processors", flush=True)
    try:
        with RealCluster(options.build, 2, preload=False) as cluster:
            result = measure(cluster, options.seconds)
    except BenchmarkError as error:
        sys.exit(f"gil.py: {error}")
    print(f"a task held the GIL of one worker for {result['held_s']:.1f} s; meanwhile {result['rounds']} rounds of")
    for name, took in result["took"].items():
        print(f"  {name:32} p50 {took['p50_ms']:8.2f} ms   max {took['max_ms']:8.2f} ms")
    print(
        f"heartbeats of the blocked worker: {result['heartbeats_seen']} seen, {result['heartbeats_missed']} missed, longest silence"
        f" {result['longest_silence_s']:.2f} s; a result that only its interpreter had came after {result['live_result_after_s']:.1f} s"
    )
    for wrong in result["wrong"]:
        print(f"WRONG: {wrong}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1))
    sys.exit(1 if result["wrong"] else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
