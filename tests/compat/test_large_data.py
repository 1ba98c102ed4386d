"""Large values between workers: that they arrive as in Dask, as writable as there, and what a death on the way does. Ours are handed over
in memory instead of through a socket.
"""

import asyncio
import os
import signal
import urllib.request
import zlib

import numpy
import psutil
import pytest
from cluster import Cluster, addresses, client_of, wait_until
from distributed.comm import connect

BYTES = 8 << 20
LARGE_BYTES = 64 << 20  # more than all the buffers of a connection


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.end()


def lent_bytes(client, address):
    """What the metrics of a worker say: {by whom: bytes}."""
    port = client.scheduler_info()["workers"][address]["services"]["dashboard"]
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    lines = [line for line in text.splitlines() if line.startswith("dask_worker_executor_lent_bytes_total")]
    sent = [line for line in text.splitlines() if line.startswith("dask_worker_executor_sent_bytes_total")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines} | {"courier": float(sent[0].split()[-1])}


KINDS = ("array", "read-only", "bytes", "several")


def make(kind):
    data = numpy.arange(BYTES // 8, dtype="i8")
    if kind == "read-only":
        data.flags.writeable = False
    return {"array": data, "read-only": data, "bytes": data.tobytes(), "several": [data, data[:10], data[::-1], "text"]}[kind]


def describe(value):
    """What can be known of a value without changing it: sums, types, and whether it can be changed."""
    if isinstance(value, list):
        return [describe(one) for one in value]
    if isinstance(value, numpy.ndarray):
        return int(value.sum()), str(value.dtype), value.flags.writeable
    return type(value).__name__, zlib.crc32(value.encode() if isinstance(value, str) else value)


@pytest.mark.parametrize("source, target", [("a", "b"), ("a", "stock"), ("stock", "b")])
def test_large_values_arrive_as_they_do_between_dasks_workers(cluster, source, target):
    for name in {source, target, "stock", "stock 2"}:
        cluster.start_worker(name, native=not name.startswith("stock"))
    with client_of(cluster, len({source, target, "stock", "stock 2"})) as client:
        where = addresses(client)
        for kind in KINDS:
            ours, theirs = (
                client.submit(describe, client.submit(make, kind, workers=where[one], pure=False), workers=where[other], pure=False)
                for one, other in ((source, target), ("stock", "stock 2"))
            )
            assert ours.result(timeout=60) == theirs.result(timeout=60), kind


def test_large_values_do_not_pass_the_executors_socket(cluster):
    for name in ("a", "b"):
        cluster.start_worker(name, native=True)
    with client_of(cluster, 2) as client:
        where = addresses(client)
        made = client.submit(make, "array", workers=where["a"])
        assert client.submit(describe, made, workers=where["b"]).result(timeout=60)[0] > 0
        assert lent_bytes(client, where["a"]) == {"worker": 0, "executor": BYTES, "courier": BYTES}
        assert lent_bytes(client, where["b"]) == {"worker": BYTES, "executor": 0, "courier": 0}


def test_an_executor_killed_while_its_memory_is_being_sent_ends_the_transfer_and_the_value_is_made_again(cluster):
    cluster.start_worker("a", native=True, nanny=True)
    with client_of(cluster, 1) as client:
        (address,) = addresses(client).values()
        made = client.submit(numpy.ones, LARGE_BYTES // 8)
        (executor,) = client.run(os.getpid).values()

        async def fetch():
            comm = await connect(address)
            await comm.write({"op": "get_data", "keys": [made.key], "who": "a test", "reply": True})
            # A peer that does not read: the buffers are full, most of the value is still in the executor.
            await asyncio.to_thread(wait_until, lambda: lent_bytes(client, address)["executor"] >= LARGE_BYTES, "the transfer")
            os.kill(executor, signal.SIGKILL)
            await asyncio.to_thread(wait_until, lambda: not psutil.pid_exists(executor), "the executor's end")
            with pytest.raises(OSError):
                await comm.read()

        made.result(timeout=60)
        client.sync(fetch)
        wait_until(lambda: client.submit(os.getpid, pure=False).result(timeout=60) != executor, "the restart", 60)
        assert client.submit(lambda data: float(data.sum()), made).result(timeout=60) == LARGE_BYTES // 8
