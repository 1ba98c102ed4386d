"""Our scheduler and stock workers as processes, for tests. Everything listens on 127.0.0.1 and is ended with the object.

With DASK_NATIVE_SCHEDULER set to the stock scheduler (tests/compat/stock_scheduler.py) the same tests judge the tests themselves. With
DASK_NATIVE_COMPAT_WORKERS=native the same tests run with our workers in place of Dask's.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from distributed import Client

from dask_native.programs import scheduler_command, worker_command

POLL_INTERVAL_S = 0.02
START_TIMEOUT_S = 30
END_TIMEOUT_S = 15

NATIVE_WORKERS = os.environ.get("DASK_NATIVE_COMPAT_WORKERS") == "native"
IS_STOCK = "stock_scheduler" in os.environ.get("DASK_NATIVE_SCHEDULER", "")


def wait_until(condition, what, timeout_s=START_TIMEOUT_S):
    """Waits until `condition()` is true and returns its value; fails with `what` was waited for."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(POLL_INTERVAL_S)
    raise AssertionError(f"{what}: not within {timeout_s} s")


class Gate:
    """Something that tasks wait for on any worker: `gate.wait` is the task's function, `open` lets it go on."""

    def __init__(self, folder):
        self._file = pathlib.Path(folder, "gate-is-open")

    def open(self):
        self._file.touch()

    def wait(self):
        return wait_until(self._file.exists, "the gate's opening")


def holders_of(client, key):
    """The workers that have a key's result, whoever made it. Client.who_has only knows the client's own futures."""
    return client.sync(client.scheduler.who_has, keys=[key]).get(key, ())


def child_environment(**extra):
    """The environment of child processes: they can import what the tests import."""
    return {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parent), **extra}


class Process:
    """A child process whose output goes into a file."""

    def __init__(self, command, log_file, **environment):
        self.log_file = pathlib.Path(log_file)
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=child_environment(**environment), start_new_session=True
            )
        self.pid = self._process.pid

    @property
    def log(self):
        return self.log_file.read_text(errors="replace")

    @property
    def is_running(self):
        return self._process.poll() is None

    def kill(self):
        """Ends it at once, as the kernel ends a process when memory runs out."""
        self._process.kill()
        self._process.wait(END_TIMEOUT_S)

    def terminate(self):
        self._process.terminate()

    def wait(self, timeout_s=END_TIMEOUT_S):
        """Waits for the end and returns the exit code."""
        return self._process.wait(timeout_s)

    def end(self):
        """Ends it and what it started."""
        if self.is_running:
            self._process.terminate()
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self.wait()


class Cluster:
    """A scheduler and any number of workers, Dask's or (``native``) ours where nothing else is said. `folder` takes the logs and files."""

    def __init__(self, folder, workers=0, options=(), native=NATIVE_WORKERS, **environment):
        self.folder = pathlib.Path(folder)
        self.workers = {}
        self.native = native
        self._environment = environment
        self._python = ["--python", sys.executable]
        address_file = self.folder / "scheduler.json"
        command = [*scheduler_command(), "--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0", *self._python]
        command += ["--scheduler-file", str(address_file), *options]
        self.scheduler = Process(command, self.folder / "scheduler.log", **environment)
        self.identity = wait_until(lambda: self._read(address_file), "the scheduler's start")
        self.address = self.identity["address"]
        self.port = int(self.address.rsplit(":", 1)[1])
        for number in range(workers):
            self.start_worker(chr(ord("a") + number))

    def _read(self, address_file):
        assert self.scheduler.is_running, f"the scheduler ended at its start:\n{self.scheduler.log}"
        try:
            return json.loads(address_file.read_text())
        except (OSError, ValueError):
            return None

    def start_worker(self, name, *options, nthreads=1, native=None, nanny=False, address=None, **environment):
        """A worker, Dask's or (``native``) ours; without a nanny as a rule, so that its process is the worker. `address`: where it finds
        the scheduler, when that is not the scheduler's own address."""
        address = address or self.address
        if self.native if native is None else native:
            python = [] if "--python" in options else ["--python", sys.executable]
            command = [*worker_command(), address, *python]
        else:
            command = [sys.executable, "-m", "dask", "worker", address]
        command += ["--name", name, "--nthreads", str(nthreads), "--nanny" if nanny else "--no-nanny", "--no-dashboard"]
        command += [] if "--listen-address" in options else ["--host", "127.0.0.1"]
        command += ["--local-directory", str(self.folder), *options]
        self.workers[name] = Process(command, self.folder / f"worker-{name}.log", **{**self._environment, **environment})
        return self.workers[name]

    def http_url(self, path):
        return f"http://127.0.0.1:{self.identity['services']['dashboard']}{path}"

    def end(self):
        for worker in self.workers.values():
            worker.terminate()
        for process in (*self.workers.values(), self.scheduler):
            process.end()


def client_of(cluster, workers):
    """A client once the cluster has as many workers."""
    client = Client(cluster.address)
    client.wait_for_workers(workers, timeout=30)
    return client


def addresses(client):
    """The workers' addresses by their names."""
    return {worker["name"]: address for address, worker in client.scheduler_info()["workers"].items()}
