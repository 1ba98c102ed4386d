"""Our scheduler as a child process, in the shape in which Dask's SpecCluster wants a scheduler. Knows nothing of workers."""

from distributed.core import Status
from distributed.deploy.spec import ProcessInterface

from dask_native.program_process import START_TIMEOUT_S, ProgramProcess
from dask_native.programs import scheduler_command


class SchedulerProcess(ProgramProcess):
    """The scheduler program with the given options (command-line words)."""

    role = "scheduler"
    logger_name = "distributed.scheduler"

    def __init__(self, options, start_timeout_s=START_TIMEOUT_S):
        super().__init__(start_timeout_s)
        self._options = options

    def command(self, address_file):
        return [*scheduler_command(), *self._options, "--scheduler-file", str(address_file)]

    async def close(self):
        """Makes sure that the process ends.

        A scheduler that was running has been asked to leave by now. It stays for a moment to tell clients that it is gone, and nobody
        needs to wait for that, unless its port is wanted again.
        """
        if self.status != Status.running:
            return await super().close()
        self.status = Status.closing
        if self.process is not None:
            await self._wait_for_end(until=self._has_any_port)
        await ProcessInterface.close(self)

    def _has_any_port(self):
        return self._options[self._options.index("--port") + 1] == "0"
