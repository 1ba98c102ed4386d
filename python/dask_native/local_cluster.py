"""A cluster on this machine: our scheduler as a process, and Dask's own workers or ours.

Dask's LocalCluster with the scheduler replaced: arguments, scaling, adaptivity, widget and context managers are inherited.
Arguments that only Dask's own scheduler can serve are refused with a reason.
"""

import contextlib
import sys

import distributed
from distributed.core import Status

from dask_native.scheduler_process import SchedulerProcess
from dask_native.worker_process import WorkerProcess

# Entries of Dask's scheduler options, by their names in distributed.Scheduler, and ours on the command line.
_OPTIONS = {
    "host": "--host",
    "port": "--port",
    "interface": "--interface",
    "dashboard_address": "--dashboard-address",
    "http_prefix": "--dashboard-prefix",
    "idle_timeout": "--idle-timeout",
}

# Entries that were looked at before, or say what is always so.
_CONSUMED = {"services", "security", "protocol", "blocked_handlers"}


class LocalCluster(distributed.LocalCluster):
    """Starts our scheduler and workers on this machine: Dask's own (``worker="dask"``, the default) or ours (``worker="native"``).

    Takes the arguments of ``distributed.LocalCluster``, with the same meanings and defaults, except for these, which raise
    ``NotImplementedError``: ``security`` (no TLS yet), ``blocked_handlers``, ``services``, a ``protocol`` other than tcp.
    With ``processes=False`` the workers are threads of this process and talk to the scheduler over tcp.

    Examples
    --------
    >>> from dask.distributed import Client
    >>> client = Client(LocalCluster(n_workers=2, threads_per_worker=1))  # doctest: +SKIP
    """

    def __init__(self, name=None, n_workers=None, threads_per_worker=None, processes=None, *, worker="dask", **kwargs):
        _refuse_unsupported(kwargs)
        if worker not in ("dask", "native"):
            raise ValueError(f"LocalCluster(worker={worker!r}): choose 'dask' (Dask's own workers) or 'native' (ours)")
        if worker == "native":
            if processes is False:
                _refuse("processes=False", "our workers are processes; with threads of this process use worker='dask'")
            if kwargs.get("worker_class") is not None:
                _refuse("worker_class=...", "our worker is no Python class; use worker='dask'")
            processes = True
            kwargs["worker_class"] = WorkerProcess
        kwargs["protocol"] = "tcp://"
        super().__init__(name, n_workers, threads_per_worker, processes, **kwargs)

    async def _start(self):
        if self.scheduler is None:
            options = _command_line(self.scheduler_spec["options"])
            self.scheduler_spec = {"cls": SchedulerProcess, "options": {"options": options}}
        await super()._start()

    async def _close(self):
        if self.scheduler is not None:
            self.scheduler.expect_end()
            for worker in self.workers.values():
                if isinstance(worker, WorkerProcess):
                    worker.expect_end()
            if self.scheduler.status == Status.running:
                # Else the work of the workers that leave first would move to those that leave last.
                with contextlib.suppress(OSError):
                    await self.scheduler_comm.stop_scheduling()
            elif self.scheduler.status == Status.failed:
                # Nobody is there to be asked to leave, and asking would only wait for the connection.
                self.shutdown_scheduler = False
                await self.scheduler.close()
        await super()._close()


def _refuse_unsupported(kwargs):
    """Raises for arguments whose meaning would be lost."""
    security = kwargs.get("security")
    if security is True or (security or distributed.Security()).require_encryption:
        _refuse("security", "the scheduler does not speak TLS yet")
    protocol = kwargs.get("protocol") or "tcp"
    if protocol.removesuffix("://") != "tcp":
        _refuse(f"protocol={protocol!r}", "the scheduler speaks tcp only")
    host = kwargs.get("host") or ""
    if "://" in host and not host.startswith("tcp://"):
        _refuse(f"host={host!r}", "the scheduler speaks tcp only")
    for argument in ("blocked_handlers", "services"):
        if kwargs.get(argument):
            _refuse(argument, "the scheduler has no such option yet")


def _command_line(options):
    """Dask's scheduler options as words of our scheduler's command line."""
    options = {name: value for name, value in options.items() if value is not None and name not in _CONSUMED}
    words = ["--python", sys.executable, "--protocol", "tcp"]
    for preload in options.pop("preload", ()):
        words += ["--preload", preload]
    for service, settings in options.pop("service_kwargs", {}).items():
        if service != "dashboard" or set(settings) - {"prefix"}:
            _refuse(f"service_kwargs={{{service!r}: ...}}", "only the dashboard's prefix can be set")
        options.update(http_prefix=settings["prefix"])
    if not options.pop("dashboard"):
        words.append("--no-dashboard")
    for name, value in options.items():
        if name not in _OPTIONS:
            _refuse(f"scheduler_kwargs={{{name!r}: ...}}", "the scheduler has no such option yet")
        # Dask takes a bare port number for the dashboard's address.
        is_port = name == "dashboard_address" and str(value).isdigit()
        words += [_OPTIONS[name], f":{value}" if is_port else str(value)]
    return words


def _refuse(what, why):
    raise NotImplementedError(f"LocalCluster({what}): {why}. Leave it out, or use distributed.LocalCluster.")
