"""Our worker as a child process, in the shape in which Dask's SpecCluster wants a worker: a class that takes the scheduler's address and
Dask's keywords. Keywords that only Dask's own worker can serve are refused with a reason.
"""

import sys

from dask_native.program_process import ProgramProcess
from dask_native.programs import worker_command

# Keywords of distributed.Worker and distributed.Nanny, and ours on the command line.
_OPTIONS = {
    "name": "--name",
    "nthreads": "--nthreads",
    "host": "--host",
    "port": "--worker-port",
    "worker_port": "--worker-port",
    "interface": "--interface",
    "local_directory": "--local-directory",
    "dashboard_address": "--dashboard-address",
    "contact_address": "--contact-address",
    "death_timeout": "--death-timeout",
    "lifetime": "--lifetime",
    "lifetime_stagger": "--lifetime-stagger",
    "python": "--python",
}

# Keywords that say what is always so, or are the cluster's own business.
_CONSUMED = {"services", "security", "protocol", "silence_logs", "dashboard", "heartbeat_interval", "loop", "quiet"}


class WorkerProcess(ProgramProcess):
    """The worker program at a scheduler, with its own nanny unless ``nanny=False``."""

    role = "worker"
    logger_name = "distributed.worker"

    def __init__(self, scheduler, **options):
        super().__init__()
        self.name = options.get("name")
        self._words = [scheduler, *_command_line(options)]

    @property
    def worker_address(self):
        return self.address

    def command(self, address_file):
        return [*worker_command(), *self._words, "--worker-file", str(address_file)]


def _command_line(options):
    options = {name: value for name, value in options.items() if value is not None and name not in _CONSUMED}
    words = ["--python", options.pop("python", sys.executable)]
    memory_limit = options.pop("memory_limit", "auto")
    words += ["--memory-limit", str(memory_limit or 0)]
    if not options.pop("nanny", True):
        words.append("--no-nanny")
    if resources := options.pop("resources", None):
        words += ["--resources", " ".join(f"{name}={quantity}" for name, quantity in resources.items())]
    preload = options.pop("preload", None) or []
    for module in [preload] if isinstance(preload, str) else preload:
        words += ["--preload", module]
    if options.pop("lifetime_restart", False):
        words.append("--lifetime-restart")
    for name, value in options.items():
        if name not in _OPTIONS:
            raise NotImplementedError(f"Our worker has no option {name!r} yet. Leave it out, or use Dask's workers (worker='dask').")
        words += [_OPTIONS[name], str(value)]
    return words
