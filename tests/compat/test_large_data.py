"""Large values between workers: that they arrive as in Dask, as writable as there, and what a death on the way does. Ours are handed over
in memory instead of through a socket.
"""

import asyncio
import os
import re
import signal
import urllib.request
import zlib

import numpy
import psutil
import pytest
from cluster import Cluster, addresses, client_of, wait_until
from distributed import wait
from distributed.comm import connect
from distributed.worker import get_data_from_worker

BYTES = 8 << 20
LARGE_BYTES = 64 << 20  # more than all the buffers of a connection
FIRST_BYTES_MAX = 256 << 10  # what is read at once before it is known that much more comes


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.end()


MOVED = re.compile(r'^dask_worker_executor_(lent|sent|received)_bytes_total(?:{by="(\w+)"})? (\S+)$', re.MULTILINE)


def moved_bytes(client, address):
    """What the metrics of a worker say: bytes that one of its processes lent the other, sent to peers and received from them."""
    port = client.scheduler_info()["workers"][address]["services"]["dashboard"]
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    return {by or how: float(count) for how, by, count in MOVED.findall(text)}


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
        assert moved_bytes(client, where["a"]) == {"worker": 0, "executor": BYTES, "sent": BYTES, "received": 0}
        moved = moved_bytes(client, where["b"])
        assert BYTES - FIRST_BYTES_MAX <= moved.pop("received") <= BYTES  # the first ones came along with the message's head
        assert moved == {"worker": 0, "executor": 0, "sent": 0}


def gather(client, key, holder, taker):
    """Has a worker fetch data from another one, unseen by the scheduler."""

    async def ask():
        return await client.rpc(taker).gather(who_has={key: [holder]})

    assert client.sync(ask)["status"] == "OK"


def value_there(client, key, address):
    """What a worker gives to others."""

    return client.sync(get_data_from_worker, client.rpc, [key], address, who="a test")["data"][key]


@pytest.mark.parametrize("native", [True, False])
def test_what_was_received_is_sent_on_and_is_what_a_task_there_makes_of_it(cluster, native):
    def change(data):
        data[0] = 77
        return int(data[1])

    for name in "abc":
        cluster.start_worker(name, native=native)
    with client_of(cluster, 3) as client:
        where = addresses(client)
        made = client.submit(make, "array", workers=where["a"])
        wait(made)
        gather(client, made.key, where["a"], where["b"])
        gather(client, made.key, where["b"], where["c"])
        assert (value_there(client, made.key, where["c"]) == numpy.arange(BYTES // 8)).all()
        assert client.submit(change, made, workers=where["b"]).result(timeout=60) == 1
        assert value_there(client, made.key, where["b"])[0] == 77
        assert value_there(client, made.key, where["c"])[0] == 0


def test_what_was_received_leaves_the_executors_memory_when_it_is_dropped(cluster):
    for name in "ab":
        cluster.start_worker(name, native=True)
    with client_of(cluster, 2) as client:
        where = addresses(client)
        (executor,) = client.run(os.getpid, workers=[where["b"]]).values()
        resident = psutil.Process(executor).memory_info
        client.submit(len, b"warm", workers=where["b"]).result(timeout=60)
        before = resident().rss
        made = client.submit(numpy.ones, LARGE_BYTES // 8, workers=where["a"])
        assert client.submit(lambda data: float(data.sum()), made, workers=where["b"]).result(timeout=60) == LARGE_BYTES // 8
        assert resident().rss - before >= LARGE_BYTES
        made.release()
        wait_until(lambda: resident().rss - before < LARGE_BYTES // 2, "the memory")


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
            await asyncio.to_thread(wait_until, lambda: moved_bytes(client, address)["executor"] >= LARGE_BYTES, "the transfer")
            os.kill(executor, signal.SIGKILL)
            await asyncio.to_thread(wait_until, lambda: not psutil.pid_exists(executor), "the executor's end")
            with pytest.raises(OSError):
                await comm.read()

        made.result(timeout=60)
        client.sync(fetch)
        wait_until(lambda: client.submit(os.getpid, pure=False).result(timeout=60) != executor, "the restart", 60)
        assert client.submit(lambda data: float(data.sum()), made).result(timeout=60) == LARGE_BYTES // 8
