"""The live page's files and snapshots of an invented large cluster, without WebSockets, as behind a proxy that cuts them off."""

import asyncio
import itertools
import json
import pathlib
import random
import time

import tornado.web

GIB = 2**30
DASHBOARD = pathlib.Path(__file__).parents[2] / "dashboard"
PREFIXES = ["read_csv", "getitem", "groupby-chunk", "groupby-combine", "shuffle-transfer", "merge", "sum-tree", "to_parquet"]


class Status(tornado.web.RequestHandler):
    """Snapshots as scheduler/server/status_snapshot.cc writes them."""

    def initialize(self, cluster):
        self.cluster = cluster

    def get(self):
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps(self.cluster.snapshot(self.get_query_argument("stream", ""))))


class Page(tornado.web.RequestHandler):
    def get(self):
        self.write((DASHBOARD / "index.html").read_bytes())


class LargeCluster:
    def __init__(self, workers=1000, threads=4, records=5000):
        self.workers, self.threads, self.records = workers, threads, records
        self.random = random.Random(1)
        self.index = 0
        self.polls = 0
        self.next_poll = None

    def application(self):
        return tornado.web.Application(
            [
                (r"/statics/(.*)", tornado.web.StaticFileHandler, {"path": str(DASHBOARD)}),
                (r"/json/status.json", Status, {"cluster": self}),
                (r"/(?:status|tasks|workers|system|individual-.*)", Page),
            ]
        )

    async def wait_for_polls(self, n):
        while self.polls < n:
            self.next_poll = asyncio.get_running_loop().create_future()
            await self.next_poll

    def address(self, worker):
        return f"tcp://10.0.{worker // 250}.{worker % 250}:40000"

    def snapshot(self, seen):
        self.polls += 1
        if self.next_poll:
            self.next_poll.set_result(None)
            self.next_poll = None
        rand, now = self.random, time.time()
        workers = [self.worker(i, now) for i in range(self.workers)]
        self.index += self.records
        rows = [[self.address(i), str(t)] for i, t in itertools.product(range(self.workers), range(self.threads))]
        columns = {"row": [], "prefix": [], "key": [], "action": [], "erred": [], "start": [], "duration": []}
        for i in range(self.records):
            duration = rand.uniform(20, 800)
            values = (
                rand.randrange(len(rows)),
                rand.randrange(len(PREFIXES)),
                i,
                int(i % 5 == 0),
                int(i % 200 == 0),
                -duration - rand.uniform(0, 500),
                duration,
            )
            for name, value in zip(columns, values):
                columns[name].append(value)
        keys = [f"('{rand.choice(PREFIXES)}-0123456789abcdef', {i})" for i in range(self.records)]
        stream = {"index": self.index, "restart": seen == "", "left_out": 0, "rows": rows, "prefixes": PREFIXES, "keys": keys}
        stream |= {"actions": ["compute", "transfer"], **columns}
        counts = [[rand.randrange(1000) for _ in range(7)] for _ in PREFIXES]
        states = ["released", "waiting", "no-worker", "queued", "processing", "memory", "erred"]
        snapshot = {"time": now, "id": "Scheduler-large", "address": "tcp://10.0.0.1:8786", "started": now - 3600}
        snapshot |= {"totals": self.totals(workers), "tasks": dict(zip(states, map(sum, zip(*counts))))}
        snapshot |= {"prefixes": [[name, *row, GIB, 0.25, 1234.5, 12.5, 10_000] for name, row in zip(PREFIXES, counts)]}
        snapshot |= {"workers": workers, "workers_gone": [], "clients": [["Client-large", True, 100, now]]}
        return snapshot | {"stream": stream, "log": [], "log_time": 0.0}

    def worker(self, i, now):
        rand = self.random
        status = "paused" if i % 97 == 0 else "running"
        row = [i, self.address(i), f"worker-{i}", status, self.threads, rand.uniform(100, 400)]
        row += [int(rand.uniform(1, 7) * GIB), 8 * GIB, GIB, GIB // 2, GIB // 4 if i % 10 == 0 else 0]
        return [*row, rand.randrange(12), rand.randrange(500), rand.uniform(0, 60), now, 1000000.0, 1000000.0]

    def totals(self, workers):
        totals = {"workers": self.workers, "threads": self.workers * self.threads, "cpu": sum(w[5] for w in workers)}
        totals |= {"memory": sum(w[6] for w in workers), "memory_limit": 8 * GIB * self.workers, "nbytes": GIB * self.workers}
        totals |= {"spilled": GIB, "processing": 5000, "tasks": 100_000, "occupancy": 12345.0, "desired_workers": 1200}
        return totals | {"idle": 10, "saturated": 20, "transitions": self.index * 4}
