"""Takes stock's statistical profile of the tasks, as its periodic callbacks do, but only while tasks run: an idle executor sleeps.

On the loop's thread, except for `wake`.
"""

from __future__ import annotations

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

    def wake(self) -> None:
        """Tasks have come. Any thread."""
        if not self._awake:
            self._awake = True
            self._service.on_loop(self._sample)

    def _sample(self) -> None:
        service = self._service
        service.worker.trigger_profile()
        if monotonic() - self._last_cycle >= self._cycle:
            self._end_cycle()
        if not service.running:
            self._awake = False
            if not service.running:
                service.later(self._cycle, self._end_cycle)
                return
            self._awake = True
        service.later(self._interval, self._sample)

    def _end_cycle(self) -> None:
        worker = self._service.worker
        if worker.profile_recent["count"]:
            worker.cycle_profile()
        self._last_cycle = monotonic()
