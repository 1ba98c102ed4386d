"""One of our programs as a child process, in the shape in which Dask's SpecCluster wants schedulers and workers.

Starts the program, learns its address from the file that it writes, passes its log on to Python's logging, and ends it.
A program that dies, at the start or later, is reported with its last log lines. Knows nothing of what the program is.
"""

import asyncio
import collections
import concurrent.futures
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


class ProgramProcess(ProcessInterface):
    """The program ``command`` (a list of words), which writes a JSON file with its address. Owned by the cluster's event loop.

    A thread of its own starts the program, reads its log and waits for its end: the program ends with the thread that started it
    (DASK_NATIVE_END_WITH_PARENT), so that must live as long as the program, whatever loops come and go.
    """

    role = "program"
    logger_name = "distributed"

    def __init__(self, start_timeout_s=START_TIMEOUT_S):
        super().__init__()
        self.process = None
        self._start_timeout_s = start_timeout_s
        self._log_lines = collections.deque(maxlen=LOG_LINES_MAX)
        self._log_level = logging.NOTSET
        self._supervisor = None

    def command(self, address_file):
        """The words that start the program and have it write its address to ``address_file``."""
        raise NotImplementedError

    async def start(self):
        with tempfile.TemporaryDirectory(prefix="dask-native-") as folder:
            address_file = pathlib.Path(folder, "address.json")
            command = self.command(address_file)
            started = concurrent.futures.Future()
            self._supervisor = threading.Thread(
                target=self._supervise, args=(command, started, asyncio.get_running_loop()), name=f"dask-native-{self.role}", daemon=True
            )
            self._supervisor.start()
            self.process = await asyncio.wrap_future(started)
            try:
                self.address = await self._wait_for_address(address_file)
            except BaseException:
                await self.close()
                raise
        await super().start()

    def expect_end(self):
        """From now on the cluster ends: what the program warns of is meant to happen."""
        self._log_level = logging.ERROR

    async def close(self):
        """Makes sure that the process ends, and waits for it."""
        self.status = Status.closing
        if self.process is not None:
            self.process.terminate()
            await self._wait_for_end()
        await super().close()

    async def _wait_for_end(self, until=lambda: False):
        ender = threading.Thread(target=self._end, name=f"dask-native-{self.role}-end", daemon=True)
        ender.start()
        while ender.is_alive() and not until():
            await asyncio.sleep(POLL_INTERVAL_S)

    async def _wait_for_address(self, address_file):
        deadline = time.monotonic() + self._start_timeout_s
        while time.monotonic() < deadline:
            if not self._supervisor.is_alive():
                raise RuntimeError(f"the {self.role} ended at its start ({self._how_it_ended()}).{self._last_words()}")
            try:
                return json.loads(address_file.read_text())["address"]
            except (OSError, ValueError):  # not there yet, or not written to its end
                await asyncio.sleep(POLL_INTERVAL_S)
        raise RuntimeError(f"the {self.role} did not start within {self._start_timeout_s} s.{self._last_words()}")

    def _supervise(self, command, started, loop):
        """The life of the process, in a thread of its own."""
        try:
            # A session of its own: Ctrl-C in the terminal interrupts the user's program, not the cluster.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_environment(),
                start_new_session=True,
                text=True,
                errors="replace",
            )
        except OSError as error:
            started.set_exception(error)
            return
        started.set_result(process)
        self._read_log(process.stdout)
        process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self._ended)

    def _read_log(self, stream):
        """Hands the log to Python's logging, line by line, under the names and levels that it carries."""
        name, level = self.logger_name, logging.INFO
        for line in stream:
            line = line.rstrip()
            self._log_lines.append(line)
            parts = _LOG_LINE.fullmatch(line)
            if parts:
                name, level, line = parts["name"], logging.getLevelName(parts["level"]), parts["message"]
            if level >= self._log_level:
                logging.getLogger(name).log(level, "%s", line)

    def _ended(self):
        if self.status == Status.running:
            self.status = Status.failed
            if self.process.returncode != 0:
                logger.error("The %s at %s ended unexpectedly (%s).%s", self.role, self.address, self._how_it_ended(), self._last_words())

    def _end(self):
        """Gives the process some time, then tells it, then ends it. Runs in a thread."""
        for timeout_s, end in ((CLOSE_TIMEOUT_S, self.process.terminate), (TERMINATE_TIMEOUT_S, self.process.kill)):
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout_s)
                return
            end()
        self.process.wait()

    def _how_it_ended(self):
        code = self.process.returncode
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def _last_words(self):
        if not self._log_lines:
            return " It logged nothing."
        return "\nIts last log lines:\n" + "\n".join(f"  {line}" for line in self._log_lines)
