"""Where the C++ programs are: inside the installed package, or in the build tree of a checkout.

DASK_NATIVE_SCHEDULER replaces the scheduler's command, for tests and benchmarks that put something before it or in its place.
"""

import os
import pathlib
import shlex
import sys

_PACKAGE = pathlib.Path(__file__).parent
_FOLDERS = (_PACKAGE / "bin", _PACKAGE.parent.parent / "build" / "bin")


def scheduler_command():
    """The scheduler's command line without options, as a list."""
    replacement = os.environ.get("DASK_NATIVE_SCHEDULER")
    if replacement:
        return shlex.split(replacement)
    for folder in _FOLDERS:
        program = folder / "dask-scheduler"
        if os.access(program, os.X_OK):
            return [str(program)]
    places = " or ".join(map(str, _FOLDERS))
    raise FileNotFoundError(f"The program dask-scheduler is not in {places}. In a checkout, run `make build` first.")


def run_scheduler():
    """The command `dask-scheduler` of the installed package."""
    command = scheduler_command()
    os.execv(command[0], command + sys.argv[1:])


def run_dask():
    """The command `dask-native`: `scheduler` is ours, every other sub-command is Dask's own."""
    if sys.argv[1:2] == ["scheduler"]:
        del sys.argv[1]
        run_scheduler()
    from dask.__main__ import main

    main()
