"""Runs one step of one nanny plugin, in a process of its own: `python -m dask_native.nanny_plugin setup|teardown REQUEST ANSWER`.

A nanny plugin acts before the worker's interpreter starts. What it may change is what a process hands to its children: variables
(``nanny.env``) and import paths. REQUEST and ANSWER are files of msgpack; the worker's C++ side writes the one and reads the other.
"""

from __future__ import annotations

import asyncio
import inspect
import pathlib
import sys

import msgpack
from distributed.core import error_message
from distributed.protocol.pickle import loads


class Nanny:
    """What plugins find of Dask's Nanny here."""

    def __init__(self, request):
        self.address = request["address"]
        self.scheduler_addr = request["scheduler"]
        self.local_directory = request["local_directory"]
        self.name = request["name"]
        self.nthreads = request["nthreads"]
        self.env = dict(request["env"])
        self.plugins = {}


def run(step, request):
    """The answer: whether it went well, the environment afterwards, new import paths, whether the worker shall restart."""
    paths = list(sys.path)
    try:
        plugin = loads(request["plugin"])
        nanny = Nanny(request)
        result = getattr(plugin, step, lambda nanny: None)(nanny=nanny)
        if inspect.isawaitable(result):
            asyncio.run(_wait_for(result))
    except Exception as error:
        failure = error_message(error)
        return {
            "status": "error",
            "exception": failure["exception"].data,
            "traceback": failure["traceback"].data if failure["traceback"] else None,
            "exception_text": failure["exception_text"],
            "traceback_text": failure["traceback_text"],
        }
    return {
        "status": "OK",
        "env": {name: str(value) for name, value in nanny.env.items()},
        "paths": [path for path in sys.path if path not in paths],
        "restart": bool(getattr(plugin, "restart", False)),
    }


async def _wait_for(awaitable):
    await awaitable


if __name__ == "__main__":
    step, request_file, answer_file = sys.argv[1:]
    answer = run(step, msgpack.unpackb(pathlib.Path(request_file).read_bytes(), strict_map_key=False))
    pathlib.Path(answer_file).write_bytes(msgpack.packb(answer))
