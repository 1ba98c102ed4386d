"""Our scheduler as a child process, in the shape in which Dask's SpecCluster wants a scheduler.

Starts the program, learns its address from the file that it writes, passes its log on to Python's logging, and ends it.
A scheduler that dies, at the start or later, is reported with its last log lines. Knows nothing of workers.
"""

import asyncio
import collections
import contextlib
import json
import logging
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

import dask
from distributed.core import Status
from distributed.deploy.spec import ProcessInterface

from dask_native.programs import scheduler_command

logger = logging.getLogger("distributed.deploy.dask_native")

START_TIMEOUT_S = 30
CLOSE_TIMEOUT_S = 5
TERMINATE_TIMEOUT_S = 2
POLL_INTERVAL_S = 0.01
LOG_LINES_MAX = 40

_LOG_LINE = re.compile(r"\S+ \S+ - (?P<name>\S+) - (?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) - (?P<message>.*)")


def _environment():
    """What the child inherits: import path and Dask configuration of this process, as they are now."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path),
        "DASK_INTERNAL_INHERIT_CONFIG": dask.config.serialize(dask.config.global_config),
        "DASK_NATIVE_END_WITH_PARENT": "1",
    }


class SchedulerProcess(ProcessInterface):
    """The scheduler program with the given options (command-line words). Owned by the cluster's event loop."""

    def __init__(self, options, start_timeout_s=START_TIMEOUT_S):
        super().__init__()
        self.process = None
        self._options = options
        self._start_timeout_s = start_timeout_s
        self._log_lines = collections.deque(maxlen=LOG_LINES_MAX)
        self._log_reader = None
        self._log_level = logging.NOTSET

    async def start(self):
        with tempfile.TemporaryDirectory(prefix="dask-native-") as folder:
            address_file = pathlib.Path(folder, "scheduler.json")
            command = [*scheduler_command(), *self._options, "--scheduler-file", str(address_file)]
            # A session of its own: Ctrl-C in the terminal interrupts the user's program, not the cluster.
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
                text=True,
                errors="replace",
            )
            self._log_reader = threading.Thread(target=self._read_log, name="dask-native-scheduler-log", daemon=True)
            self._log_reader.start()
            try:
                self.address = await self._wait_for_address(address_file)
            except BaseException:
                await self.close()
                raise
        await super().start()
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._watch, args=(loop,), name="dask-native-scheduler-watch", daemon=True).start()

    def expect_end(self):
        """From now on workers and clients leave because the cluster ends: what the scheduler warns of is meant to happen."""
        self._log_level = logging.ERROR

    async def close(self):
        """Ends the process: it has been asked to leave if it was running, so it gets some time before it is told to."""
        was_running, self.status = self.status == Status.running, Status.closing
        if self.process is not None:
            if not was_running:
                self.process.terminate()
            for timeout_s, end in ((CLOSE_TIMEOUT_S, self.process.terminate), (TERMINATE_TIMEOUT_S, self.process.kill)):
                if not await self._wait_for_end(timeout_s):
                    end()
            await self._wait_for_end(TERMINATE_TIMEOUT_S)
        await super().close()

    async def _wait_for_address(self, address_file):
        deadline = time.monotonic() + self._start_timeout_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                self._log_reader.join()
                raise RuntimeError(f"the scheduler ended at its start ({self._how_it_ended()}).{self._last_words()}")
            try:
                return json.loads(address_file.read_text())["address"]
            except (OSError, ValueError):  # not there yet, or not written to its end
                await asyncio.sleep(POLL_INTERVAL_S)
        raise RuntimeError(f"the scheduler did not start within {self._start_timeout_s} s.{self._last_words()}")

    async def _wait_for_end(self, timeout_s):
        # Polls: the loop's executor is gone already when a cluster is closed at the interpreter's exit.
        deadline = time.monotonic() + timeout_s
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_INTERVAL_S)
        return True

    def _read_log(self):
        """Hands the log to Python's logging, line by line, under the names and levels that it carries. Runs in a thread."""
        name, level = "distributed.scheduler", logging.INFO
        for line in self.process.stdout:
            line = line.rstrip()
            self._log_lines.append(line)
            parts = _LOG_LINE.fullmatch(line)
            if parts:
                name, level, line = parts["name"], logging.getLevelName(parts["level"]), parts["message"]
            if level >= self._log_level:
                logging.getLogger(name).log(level, "%s", line)

    def _watch(self, loop):
        """Notices the end of the process. Runs in a thread."""
        self.process.wait()
        self._log_reader.join()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._ended)

    def _ended(self):
        if self.status == Status.running:
            self.status = Status.failed
            if self.process.returncode != 0:
                logger.error("The scheduler at %s ended unexpectedly (%s).%s", self.address, self._how_it_ended(), self._last_words())

    def _how_it_ended(self):
        code = self.process.returncode
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def _last_words(self):
        if not self._log_lines:
            return " It logged nothing."
        return "\nIts last log lines:\n" + "\n".join(f"  {line}" for line in self._log_lines)
