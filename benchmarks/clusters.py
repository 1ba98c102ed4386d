"""A scheduler as a process with zero workers connected, ours or Dask's own: started fresh for every measurement.

Knows how to start and end programs, and what they have used. Knows nothing of workloads.
"""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import psutil

ROOT = pathlib.Path(__file__).resolve().parent.parent
START_TIMEOUT_S = 90
STOP_TIMEOUT_S = 20
POLL_INTERVAL_S = 0.02
SETTLE_WINDOW_S = 0.25
SETTLE_TIMEOUT_S = 30
SETTLE_CPU_SHARE = 0.15


class BenchmarkError(Exception):
    """Something that is measured did not start, or did not do its work; the message says what, and what it printed last."""


@dataclasses.dataclass
class Contender:
    name: str
    command: list
    environment: dict = dataclasses.field(default_factory=dict)
    native: bool = False  # takes native graphs


def contenders(build):
    """All that can be compared, by name. `-inf`: no queuing on the scheduler (worker-saturation), which suits Dask best."""
    common = ["--port", "0", "--host", "127.0.0.1", "--no-dashboard"]
    stock = [sys.executable, "-m", "distributed.cli.dask_scheduler", *common]
    ours = [str(pathlib.Path(build, "bin", "dask-scheduler")), *common, "--python", sys.executable]
    no_queue = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "inf"}
    listed = [
        Contender("stock", stock),
        Contender("ours", ours, native=True),
        Contender("stock-inf", stock, no_queue),
        Contender("ours-inf", ours, no_queue, native=True),
    ]
    return {contender.name: contender for contender in listed}


@dataclasses.dataclass
class Usage:
    """What was used between two looks. Seconds, bytes."""

    wall_s: float
    scheduler_s: float
    helpers_s: float
    workers_s: float
    rss_growth: int


def cpu_seconds(process):
    times = process.cpu_times()
    return times.user + times.system


def _peak_rss(process):
    """The largest RSS since the process started, or since reset_peak()."""
    for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return process.memory_info().rss


def _reset_peak(process):
    # Not allowed everywhere; then the peak is that of the whole life, which a fresh scheduler has from its start.
    with contextlib.suppress(OSError):
        pathlib.Path(f"/proc/{process.pid}/clear_refs").write_text("5")


class Cluster:
    """A context: a scheduler and `workers` zero workers that are registered."""

    def __init__(self, contender, build, workers, native=False):
        self._contender = contender
        self._worker_command = [str(pathlib.Path(build, "bin", "dask-zero-worker")), "--workers", str(workers)]
        if native:
            self._worker_command.append("--native")
        self._workers = workers
        self._processes = []
        self.address = None
        self.scheduler = None

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="dask-bench-")
        try:
            self._start_scheduler()
            self._start_workers()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, *exception):
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._folder.cleanup()

    def start_process(self, name, command, **options):
        log = pathlib.Path(self._folder.name, f"{name}.log")
        try:
            process = subprocess.Popen(command, stderr=log.open("w"), cwd=ROOT, **options)
        except OSError as error:
            raise BenchmarkError(f"cannot start {command[0]}: {error.strerror}; build it with `make build`") from None
        self._processes.append(process)
        return process

    def last_words(self, name="scheduler"):
        lines = pathlib.Path(self._folder.name, f"{name}.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-10:])

    def _start_scheduler(self):
        file = pathlib.Path(self._folder.name, "scheduler.json")
        # The tasks' functions must be importable where graphs are unpickled, as a user's package would be.
        path = os.pathsep.join(filter(None, [str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path, **self._contender.environment}
        process = self.start_process("scheduler", [*self._contender.command, "--scheduler-file", str(file)], env=environment)
        end = time.monotonic() + START_TIMEOUT_S
        while self.address is None:
            if process.poll() is not None or time.monotonic() > end:
                raise BenchmarkError(f"the scheduler {self._contender.name} did not start:\n{self.last_words()}")
            with contextlib.suppress(OSError, ValueError, KeyError):
                self.address = json.loads(file.read_text())["address"]
            time.sleep(POLL_INTERVAL_S)
        self.scheduler = psutil.Process(process.pid)

    def _start_workers(self):
        self.workers = None
        if self._workers == 0:
            return
        command = [self._worker_command[0], self.address, *self._worker_command[1:]]
        process = self.start_process("workers", command, stdout=subprocess.PIPE, text=True)
        if "registered" not in process.stdout.readline():
            process.wait(STOP_TIMEOUT_S)
            raise BenchmarkError(f"the zero workers did not register:\n{self.last_words('workers')}")
        self.workers = psutil.Process(process.pid)

    # ---- what was used ----

    def _helpers_s(self):
        total = 0.0
        for child in self.scheduler.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                total += cpu_seconds(child)
        return total

    def look(self):
        """What use() counts from."""
        _reset_peak(self.scheduler)
        return (
            time.perf_counter(),
            cpu_seconds(self.scheduler),
            self._helpers_s(),
            cpu_seconds(self.workers) if self.workers else 0.0,
            self.scheduler.memory_info().rss,
        )

    def use(self, since):
        wall, scheduler, helpers, workers, rss = since
        return Usage(
            wall_s=time.perf_counter() - wall,
            scheduler_s=cpu_seconds(self.scheduler) - scheduler,
            helpers_s=self._helpers_s() - helpers,
            workers_s=(cpu_seconds(self.workers) if self.workers else 0.0) - workers,
            rss_growth=max(0, _peak_rss(self.scheduler) - rss),
        )

    def settle(self):
        """Waits until the scheduler and its helpers have nothing left to do (releases come after results)."""
        end = time.monotonic() + SETTLE_TIMEOUT_S
        used = cpu_seconds(self.scheduler) + self._helpers_s()
        while time.monotonic() < end:
            time.sleep(SETTLE_WINDOW_S)
            now = cpu_seconds(self.scheduler) + self._helpers_s()
            if now - used < SETTLE_CPU_SHARE * SETTLE_WINDOW_S:
                return
            used = now
