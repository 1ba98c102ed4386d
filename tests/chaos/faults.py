"""The members of a cluster under fire, and what happens to them: killed, stopped for a while, drained, cut off, joined by others.

Counts what took results or running tasks with it: by that count run.py knows which errors Dask would give, too.
"""

import dataclasses
import os
import signal
import socket
import time

import psutil
from proxy import Proxy


@dataclasses.dataclass
class Member:
    name: str
    process: object  # cluster.Process
    ours: bool
    nanny: bool
    link: Proxy | None = None  # between the worker and the scheduler
    front: Proxy | None = None  # between all others and the worker

    @property
    def is_running(self):
        return self.process.is_running

    def children(self):
        try:
            return psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def pythons(self):
        """The processes that run tasks."""
        if self.ours or self.nanny:
            return [child.pid for child in self.children()]
        return [self.process.pid]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


class Members:
    """All workers of one run. `random` decides kinds and victims."""

    def __init__(self, cluster, random, log, ttl_s, stock):
        self.cluster = cluster
        self.random = random
        self.log = log
        self.ttl_s = ttl_s
        self.stock = stock  # share of stock workers among those that are started
        self.deaths = 0  # took running tasks or results with them
        self.members = []
        self._number = 0
        self._stopped = []  # (when to go on, pids)

    # ---- starting ----

    def start(self):
        self._number += 1
        name = f"w{self._number}"
        random = self.random
        ours = random.random() >= self.stock
        nanny, nthreads = random.random() < 0.5, random.choice([1, 1, 2])
        member = Member(name, None, ours, nanny)
        options, address = [], self.cluster.address
        if ours and random.random() < 0.5:
            host, port = self.cluster.address.removeprefix("tcp://").rsplit(":", 1)
            member.link = Proxy((host, int(port)))
            address = f"tcp://127.0.0.1:{member.link.port}"
            port = free_port()
            member.front = Proxy(("127.0.0.1", port))
            options += ["--listen-address", f"tcp://127.0.0.1:{port}", "--contact-address", f"tcp://127.0.0.1:{member.front.port}"]
        member.process = self.cluster.start_worker(name, *options, native=ours, nanny=nanny, nthreads=nthreads, address=address)
        self.members.append(member)
        kind = ("our" if ours else "stock") + (" nanny" if nanny else "") + (" behind proxies" if member.front else "")
        self.log(f"{name} starts: {kind}, {nthreads} threads, pid {member.process.pid}")

    def alive(self):
        return [member for member in self.members if member.is_running]

    def keep(self, least):
        """Starts workers until there are so many again."""
        while len(self.alive()) < least:
            self.start()

    # ---- faults ----

    def strike(self):
        """One fault to one member that is alive."""
        victim = self.random.choice(self.alive())
        faults = [self.kill_python, self.kill_python, self.kill_worker, self.kill_worker, self.stop, self.stop, self.drain, self.join]
        if victim.front:
            faults += [self.cut_front, self.cut_front, self.cut_link, self.hold_front, self.hold_link]
        fault = self.random.choice(faults)
        self.log(f"{fault.__name__} {victim.name}")
        fault(victim)

    def kill_python(self, victim):
        self.deaths += 1
        for pid in victim.pythons():
            send(pid, signal.SIGKILL)

    def kill_worker(self, victim):
        self.deaths += 1
        children = victim.children()
        send(victim.process.pid, signal.SIGKILL)
        victim.process.wait()
        if not victim.ours:  # a stock nanny's worker notices by itself, a little later
            for child in children:
                send(child.pid, signal.SIGKILL)

    def stop(self, victim):
        seconds = self.random.choice([0.2, 0.5, 1.5])
        if self.ttl_s and self.random.random() < 0.5:
            seconds = self.ttl_s * 2
            self.deaths += 1
        both = [victim.process.pid, *(child.pid for child in victim.children())]
        pids = self.random.choice([both, both[:1], both[1:] or both])
        for pid in pids:
            send(pid, signal.SIGSTOP)
        self._stopped.append((time.monotonic() + seconds, pids))

    def drain(self, victim):
        if len(self.alive()) < 2:
            self.start()
        if not victim.ours:  # Dask's hands nothing over at SIGTERM (distributed/cli/dask_worker.py): it ends, and what it held with it
            self.deaths += 1
        victim.process.terminate()

    def join(self, victim):
        self.start()

    def cut_front(self, victim):
        victim.front.cut()

    def cut_link(self, victim):
        self.deaths += 1
        victim.link.cut()

    def hold_front(self, victim):
        victim.front.hold(self.random.choice([0.3, 1, 2]))

    def hold_link(self, victim):
        victim.link.hold(self.random.choice([0.3, 1, 2]))

    def go_on(self, everybody=False):
        """Wakes those whose time has come."""
        now = time.monotonic()
        for entry in list(self._stopped):
            if everybody or entry[0] <= now:
                self._stopped.remove(entry)
                for pid in entry[1]:
                    send(pid, signal.SIGCONT)

    def end(self):
        self.go_on(everybody=True)
        for member in self.members:
            for proxy in (member.link, member.front):
                if proxy:
                    proxy.close()
