"""Records what stock Dask peers say to each other, for tests/wire/captures_test.cc.

    .venv/bin/python tests/wire/capture.py tests/wire/captures

A stock scheduler, two stock workers and a stock client run in this process; recording TCP proxies stand between client and
scheduler, workers and scheduler, and in front of the workers. Everything that names this machine is replaced by text of the
same length, so that all lengths stay true.

Format of a capture file (little-endian): the 8 bytes "DASKCAP1", then one record per direction of a connection:
    u16 n, n bytes of name ("client 0 >" from the one who connected, "<" to it), u64 m, m bytes as they stood on the wire.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import pathlib
import platform
import socket
import struct
import sys
import sysconfig
import tempfile
import uuid

import dask
import numpy as np
from dask import delayed
from distributed import Client, Reschedule, Scheduler, SchedulerPlugin, Worker, get_worker, secede, wait

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Proxy:
    """Forwards connections to a port and keeps what passes, per connection and direction."""

    def __init__(self, name: str, records: dict[str, bytearray]):
        self.name, self.records, self.count, self.target = name, records, 0, None

    async def start(self, target: int | None = None) -> int:
        self.target = target
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        return self.server.sockets[0].getsockname()[1]

    async def serve(self, reader, writer):
        number, self.count = self.count, self.count + 1
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.target)
        await asyncio.gather(
            self.pump(reader, up_writer, f"{self.name} {number} >"),
            self.pump(up_reader, writer, f"{self.name} {number} <"),
        )

    async def pump(self, reader, writer, name):
        record = self.records.setdefault(name, bytearray())
        try:
            while data := await reader.read(1 << 16):
                record += data
                writer.write(data)
                await writer.drain()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


def inc(x):
    return x + 1


def fail(x):
    raise ValueError(f"no good: {x}")


def leave(x):
    secede()
    return x


def again(x):
    worker = get_worker()
    if not getattr(worker, "rescheduled", False):
        worker.rescheduled = True
        raise Reschedule()
    return x


def array(n, fill=1.0):
    return np.full(n, fill)


def pair(n):
    return [np.arange(n), np.arange(n, dtype="f4")]


class NothingLeft(SchedulerPlugin):
    """Knows when the scheduler has forgotten its last task."""

    def __init__(self, scheduler):
        self._scheduler = scheduler
        self._event = asyncio.Event()

    def transition(self, key, start, finish, *args, **kwargs):
        if finish == "forgotten" and not set(self._scheduler.tasks) - {key}:
            self._event.set()
        elif finish != "forgotten":
            self._event.clear()

    async def wait(self):
        await self._event.wait()


async def work(client, first, second, nothing_left):
    a = client.submit(inc, 1, key="inc-1")
    b = client.submit(inc, a, key=("inc2", 0))
    assert await b == 3
    many = client.map(inc, range(40), key="many")
    assert await client.submit(sum, many) == sum(range(1, 41))
    total = delayed(sum)([delayed(inc)(i) for i in range(5)])
    assert await client.compute(total) == 15
    bad = client.submit(fail, 7, key=("fail", 1.0))
    await wait(bad)
    assert bad.status == "error"
    assert await client.submit(leave, 3, key="leave") == 3
    assert await client.submit(again, 4, key="again") == 4
    small = await client.scatter({"small": np.arange(10)}, workers=[first])
    big = client.submit(array, 8_200, workers=[first], key="big")
    moved = client.submit(len, big, workers=[second], key="moved")
    assert await moved == 8_200
    assert len(await client.gather([small["small"], client.submit(pair, 1_000, key=("pair", ("deep", -1)))])) == 2
    await client.who_has()
    await client.run(inc, 1)
    await client.set_metadata(["x", "y"], {"z": [1, 2.5, None, True]})
    del a, b, many, total, bad, small, big, moved
    await nothing_left.wait()


async def record() -> dict[str, dict[str, bytearray]]:
    files: dict[str, dict[str, bytearray]] = {"client": {}, "worker": {}, "transfer": {}}
    client_proxy, worker_proxy = Proxy("client", files["client"]), Proxy("worker", files["worker"])
    async with Scheduler(host="127.0.0.1", port=0, dashboard=False, dashboard_address=None) as scheduler:
        client_port = await client_proxy.start(scheduler.port)
        worker_port = await worker_proxy.start(scheduler.port)
        workers = []
        for name in ("alice", "bob"):
            proxy = Proxy(name, files["transfer"])
            port = await proxy.start()
            worker = await Worker(
                f"tcp://127.0.0.1:{worker_port}",
                host="127.0.0.1",
                contact_address=f"tcp://127.0.0.1:{port}",
                nthreads=1,
                name=name,
                memory_limit="1 GiB",
                dashboard=False,
                local_directory="/tmp/dask-capture",
            )
            proxy.target = int(worker.listen_address.rsplit(":", 1)[1])
            workers.append(worker)
        async with Client(f"tcp://127.0.0.1:{client_port}", asynchronous=True, name="capture") as client:
            nothing_left = NothingLeft(scheduler)
            scheduler.add_plugin(nothing_left)
            await asyncio.wait_for(work(client, *list(scheduler.workers), nothing_left), 30)
        for worker in workers:
            await worker.close()
    return files


def anonymous(data: bytes) -> bytes:
    names = [
        str(ROOT),
        sys.prefix,
        sys.base_prefix,
        sysconfig.get_paths()["stdlib"],
        os.path.expanduser("~"),
        os.getcwd(),
        socket.gethostname(),
        socket.getfqdn(),
        platform.release(),
        platform.version(),
        getpass.getuser(),
        tempfile.gettempdir(),
    ]
    for name in sorted({n for n in names if len(n) > 3}, key=len, reverse=True):
        if name == "/tmp":
            continue
        data = data.replace(name.encode(), b"x" * len(name.encode()))
    return data.replace(b"%012x" % uuid.getnode(), b"0" * 12)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with dask.config.set(
        {
            "distributed.comm.compression": None,
            "distributed.scheduler.active-memory-manager.start": False,
            "distributed.admin.system-monitor.gil.enabled": False,
        }
    ):
        files = asyncio.run(record())
    for name, records in files.items():
        out = bytearray(b"DASKCAP1")
        for direction, data in records.items():
            data = anonymous(bytes(data))
            out += struct.pack("<H", len(direction)) + direction.encode() + struct.pack("<Q", len(data)) + data
        (folder / f"{name}.bin").write_bytes(out)
        print(f"{name}.bin: {len(records)} directions, {len(out)} bytes")


if __name__ == "__main__":
    main()
