"""Takes stock's statistical profile of the tasks, as its periodic callbacks do, but only while tasks run: an idle executor sleeps.

On the loop's thread, except for `wake`.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import dask
from dask.utils import parse_timedelta
from distributed.metrics import monotonic

if TYPE_CHECKING:
    from dask_native.executor.service import Service


class Sampler:
    def __init__(self, service: Service):
        self._service = service
        self._awake = not dask.config.get("distributed.worker.profile.enabled")  # never woken when it always is
        self._interval, self._cycle = (
            parse_timedelta(dask.config.get("distributed.worker.profile." + name), default="ms") for name in ("interval", "cycle")
        )
        self._last_cycle = monotonic()
        self._lock = threading.Lock()
        self._ending = False  # the cycle that short tasks have begun ends by itself

    def wake(self) -> None:
        """Tasks have come. Any thread. The first look at them is an interval later: short ones in a row wake the loop once an interval."""
        with self._lock:
            if self._awake:
                return
            self._awake = True
        self._service.on_loop(lambda: self._service.later(self._interval, self._sample))

    def _sample(self) -> None:
        service = self._service
        service.worker.trigger_profile()
        if monotonic() - self._last_cycle >= self._cycle:
            self._end_cycle()
        with self._lock:  # what comes after this look at `running` wakes the loop, what came before is seen
            self._awake = bool(service.running)
        if not self._awake:
            if not self._ending:
                self._ending = True
                service.later(self._cycle, self._end_last_cycle)
            return
        service.later(self._interval, self._sample)

    def _end_last_cycle(self) -> None:
        self._ending = False
        self._end_cycle()

    def _end_cycle(self) -> None:
        worker = self._service.worker
        if worker.profile_recent["count"]:
            worker.cycle_profile()
        self._last_cycle = monotonic()
