"""Where the C++ programs are: inside the installed package, or in the build tree of a checkout.

DASK_NATIVE_SCHEDULER and DASK_NATIVE_WORKER replace a program's command, for tests and benchmarks that put something before it or in
its place.
"""

import os
import pathlib
import shlex
import sys

_PACKAGE = pathlib.Path(__file__).parent
_FOLDERS = (_PACKAGE / "bin", _PACKAGE.parent.parent / "build" / "bin")


def scheduler_command():
    """The scheduler's command line without options, as a list."""
    return _command("dask-scheduler", "DASK_NATIVE_SCHEDULER")


def worker_command():
    """The worker's command line without options, as a list."""
    return _command("dask-worker", "DASK_NATIVE_WORKER")


def _command(name, variable):
    replacement = os.environ.get(variable)
    if replacement:
        return shlex.split(replacement)
    for folder in _FOLDERS:
        program = folder / name
        if os.access(program, os.X_OK):
            return [str(program)]
    places = " or ".join(map(str, _FOLDERS))
    raise FileNotFoundError(f"The program {name} is not in {places}. In a checkout, run `make build` first.")


def run_scheduler():
    """The command `dask-scheduler` of the installed package."""
    command = scheduler_command()
    os.execv(command[0], command + sys.argv[1:])


def run_worker():
    """The command `dask-worker` of the installed package."""
    command = worker_command()
    os.execv(command[0], command + sys.argv[1:])


def run_dask():
    """The command `dask-native`: `scheduler` and `worker` are ours, every other sub-command is Dask's own."""
    if sys.argv[1:2] in (["scheduler"], ["worker"]):
        program = sys.argv.pop(1)
        run_scheduler() if program == "scheduler" else run_worker()
    from dask.__main__ import main

    main()
