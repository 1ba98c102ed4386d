"""How fast a large array goes from worker to worker: our scheduler and workers, Dask's own, and a bare TCP connection, in turn.

A numpy array is made on one worker by a task, and wanted by a task on another one. All contenders take turns within each repeat, so that
whatever else the machine does meets them alike. Printed are medians and the share of the bare connection's speed.

    .venv/bin/python benchmarks/transfer.py                    # a minute or two
    .venv/bin/python benchmarks/transfer.py --quick            # small, twice: shows that it works
    .venv/bin/python benchmarks/transfer.py --mib 64 --repeats 15 --json out.json
"""

import argparse
import collections
import contextlib
import json
import multiprocessing
import os
import pathlib
import socket
import statistics
import sys
import time

import numpy
from clusters import ROOT, BenchmarkError, Cluster, contenders
from distributed import Client, get_task_stream, wait

from report import aligned

WORKERS = ("a", "b", "c")
START_TIMEOUT_S = 60
MIB = 1 << 20

# What is measured: name -> heading.
MEASURES = {
    "log": "first fetch, the worker's log",
    "task": "first fetch, submit to result",
    "copy": "from a serialised copy",
}


def warm_memory(nbytes):
    """Takes memory and gives it back. A virtual machine's host takes away what has been free for a second or two, and whoever touches that
    first pays several times what the transfer costs; after this everybody finds memory that is there."""
    numpy.ones(3 * nbytes, dtype="u1")


# ---- the yardstick ----------------------------------------------------------------------------------------------------------------------


def _receive_all(address, nbytes, touched):
    connection = socket.create_connection(address)
    memory = numpy.empty(nbytes, dtype="u1")
    if touched:
        memory[:] = 1
    while connection.recv(1):
        if not touched:
            memory = None
            memory = numpy.empty(nbytes, dtype="u1")
        view, done = memoryview(memory), 0
        while done < nbytes:
            done += connection.recv_into(view[done:])
        connection.sendall(b"d")


class RawTcp:
    """Another process that receives into one array whose pages are all there, or into a new one each time."""

    def __init__(self, nbytes, touched):
        self._data = memoryview(numpy.arange(nbytes // 8, dtype="i8")).cast("B")
        with socket.create_server(("127.0.0.1", 0)) as server:
            self._process = multiprocessing.get_context("spawn").Process(
                target=_receive_all, args=(server.getsockname(), nbytes, touched), daemon=True
            )
            self._process.start()
            self._connection, _ = server.accept()
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def seconds(self):
        warm_memory(len(self._data))
        start = time.perf_counter()
        self._connection.sendall(b"g")
        self._connection.sendall(self._data)
        if self._connection.recv(1) != b"d":
            raise BenchmarkError("the process that receives has ended")
        return time.perf_counter() - start

    def end(self):
        self._connection.close()
        self._process.join()


# ---- clusters ---------------------------------------------------------------------------------------------------------------------------


def make(nbytes, number):
    data = numpy.arange(nbytes // 8, dtype="i8")
    data[0] = number
    return data


def look(data):
    return data.nbytes, int(data[0]), int(data[-1])


def _worker_command(contender, build):
    options = ["--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
    if contender.native:
        return [str(pathlib.Path(build, "bin", "dask-worker")), *options, "--python", sys.executable]
    return [sys.executable, "-m", "distributed.cli.dask_worker", *options, "--no-nanny"]


class Transfers:
    """One contender: its cluster, and what is done there again and again."""

    def __init__(self, stack, contender, options):
        self.nbytes = options.mib * MIB
        self._cluster = stack.enter_context(Cluster(contender, options.build, workers=0))
        for name in WORKERS:
            command = [*_worker_command(contender, options.build), self._cluster.address, "--name", name]
            self._cluster.start_process(f"worker-{name}", command)
        self._client = Client(self._cluster.address)
        stack.callback(self._client.shutdown)
        try:
            self._client.wait_for_workers(len(WORKERS), timeout=START_TIMEOUT_S)
        except TimeoutError:
            raise BenchmarkError(f"the workers of {contender.name} did not start:\n{self._cluster.last_words('worker-a')}") from None
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        self._address = {worker["name"]: address for address, worker in workers.items()}
        self._number = 0

    def _made(self):
        self._number += 1
        future = self._client.submit(make, self.nbytes, self._number, workers=["a"], pure=False)
        wait(future)
        return future

    def _gather(self, key, holder, taker):
        """Worker `taker` fetches the data from worker `holder`, as Client.replicate and rebalance make it do."""

        async def ask():
            return await self._client.rpc(self._address[taker]).gather(who_has={key: [self._address[holder]]})

        answer = self._client.sync(ask)
        if answer["status"] != "OK":
            raise BenchmarkError(f"worker {taker} did not get the data from {holder}: {answer}")

    def _free(self, key, *names):
        """Takes away what was gathered: the scheduler does not know of it."""

        async def ask():
            for name in names:
                await self._client.rpc(self._address[name]).free_keys(keys=[key], stimulus_id="benchmark")

        self._client.sync(ask)

    def first_fetch(self):
        """The array is a live object on its worker: to be serialised, sent, and given to a task."""
        future = self._made()
        warm_memory(self.nbytes)
        with get_task_stream(self._client) as stream:
            start = time.perf_counter()
            seen = self._client.submit(look, future, workers=["b"], pure=False).result()
            end = time.perf_counter()
        if seen != (self.nbytes, self._number, self.nbytes // 8 - 1):
            raise BenchmarkError(f"a wrong array came: {seen}")
        spans = [span for record in stream.data for span in record["startstops"] if span["action"] == "transfer"]
        if len(spans) != 1:
            raise BenchmarkError(f"one transfer was expected, not {spans}")
        return {"log": spans[0]["stop"] - spans[0]["start"], "task": end - start}

    def from_copy(self):
        """The sender has fetched the array itself before, and nothing there has used it: it lies there as it came."""
        future = self._made()
        self._gather(future.key, "a", "b")
        warm_memory(self.nbytes)
        start = time.perf_counter()
        self._gather(future.key, "b", "c")
        seconds = time.perf_counter() - start
        self._free(future.key, "b", "c")
        return {"copy": seconds}


# ---- the run ----------------------------------------------------------------------------------------------------------------------------


def measure(options):
    """results[contender][measure] -> seconds of each repeat."""
    results = collections.defaultdict(lambda: collections.defaultdict(list))
    with contextlib.ExitStack() as stack:
        raw = {name: RawTcp(options.mib * MIB, touched) for name, touched in (("raw", True), ("raw-fresh", False))}
        for connection in raw.values():
            stack.callback(connection.end)
        known = contenders(options.build)
        clusters = {name: Transfers(stack, known[name], options) for name in options.contenders}
        for repeat in range(-1, options.repeats):  # the first one warms up
            for name, connection in raw.items():
                seconds = connection.seconds()
                if repeat >= 0:
                    results[name]["copy"].append(seconds)
            for name, cluster in clusters.items():
                values = {**cluster.first_fetch(), **cluster.from_copy()}
                if repeat >= 0:
                    for measured, value in values.items():
                        results[name][measured].append(value)
    return results


def _cell(values):
    median, least, largest = (1e3 * value for value in (statistics.median(values), min(values), max(values)))
    return f"{median:,.0f} [{least:,.0f}..{largest:,.0f}]"


def table(results, options):
    raw = statistics.median(results["raw"]["copy"])
    rows = [["", "measure", "ms: median [least..largest]", "GB/s", "of raw TCP"]]

    def add(name, heading, values):
        median = statistics.median(values)
        rows.append([name, heading, _cell(values), f"{options.mib * MIB / median / 1e9:.2f}", f"{raw / median:.0%}"])

    add("raw TCP", "into memory that is there", results["raw"]["copy"])
    add("", "into new memory", results["raw-fresh"]["copy"])
    for name in options.contenders:
        for number, (measured, heading) in enumerate(MEASURES.items()):
            add("" if number else name, heading, results[name][measured])
    return aligned(rows)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="16 MiB, twice: shows that it works, not how fast")
    parser.add_argument("--mib", type=int, help="size of the array in MiB (256)")
    parser.add_argument("--repeats", type=int, help="measurements of each contender (9)")
    parser.add_argument("--contenders", default="ours,stock", help="of ours, stock")
    parser.add_argument("--build", default=str(ROOT / "build"), help="the build folder with bin/ (build)")
    parser.add_argument("--json", help="write all values to this file")
    options = parser.parse_args()
    options.mib = options.mib or (16 if options.quick else 256)
    options.repeats = options.repeats or (2 if options.quick else 9)
    options.contenders = options.contenders.split(",")
    if unknown := set(options.contenders) - {"ours", "stock"}:
        parser.error(f"no contender is called {', '.join(unknown)}; there are ours, stock")
    return options


def main():
    options = parse_arguments()
    print(f"{options.mib} MiB, {options.repeats} repeats, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before", flush=True)
    results = measure(options)
    print(table(results, options))
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    try:
        main()
    except BenchmarkError as error:
        sys.exit(f"transfer: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
