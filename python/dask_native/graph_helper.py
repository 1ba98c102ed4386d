"""The graph helper: turns expressions of clients into tasks for the native scheduler, in a process of its own.

It runs the client's code (unpickling, optimising, lowering), so whatever that does (hang, leak, crash) cannot stop the
scheduler. Started as `python -m dask_native.graph_helper --fd N`; it reads requests from that socket until it is closed.
The protocol is described in scheduler/graph/PROTOCOL.md.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import importlib
import os
import signal
import sys
import tempfile
import time
import traceback
from typing import Any

# Graphs up to this size, and those that bring their priorities, get their run specs without being asked for.
UNASKED_TASKS_MAX = 256
# A garbage collection follows after this many tasks (materialising runs without it); then freed memory goes back to the system.
COLLECT_TASKS = 20_000
PROTOCOL_VERSION = 1
# What most clients' graphs need sooner or later; importing it takes longer than lowering the graph.
IDLE_IMPORTS = ("dask.array", "dask.dataframe")
IDLE_IMPORTS_AFTER_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m dask_native.graph_helper")
    parser.add_argument("--fd", type=int, required=True, help="the connected socket to serve")
    fd = parser.parse_args().fd
    # A terminal or a supervisor may signal the whole process group. The helper ends when the scheduler does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # What user code prints goes to stderr: stdout and stdin may belong to somebody else.
    os.dup2(2, 1)
    with open(os.devnull) as nothing:
        os.dup2(nothing.fileno(), 0)

    try:
        from dask_native._pipe import Pipe, PipeClosed
    except ImportError as e:  # without msgpack there is no pipe: the last line of the output is what people see
        sys.exit(f"{sys.executable} cannot serve graphs, {e}: it needs the packages dask and distributed of the clients.")

    pipe = Pipe(fd)
    os.set_inheritable(fd, False)
    pipe.exit_when_closed()
    try:
        try:
            helper = Helper(pipe)
        except BaseException as e:
            pipe.send({"op": "failed", "text": f"{type(e).__name__}: {e}", "traceback": traceback.format_exc()})
            pipe.flush()
            os._exit(1)
        helper.serve()
    except PipeClosed:
        pass
    pipe.at_exit()
    # Threads and atexit handlers of user code must not keep this process.
    sys.stderr.flush()
    os._exit(0)


class Helper:
    """Serves one request after the other. Holds a graph only while it is lowered and pickled."""

    def __init__(self, pipe: Any):
        import dask  # noqa: F401
        import distributed  # noqa: F401
        from distributed.versions import get_versions

        from dask_native import _lowering, _specs

        self.lowering, self.specs = _lowering, _specs
        self.pipe = pipe
        self.uploads: tempfile.TemporaryDirectory | None = None
        self.tasks_since_collection = 0
        self.idle_imports = list(IDLE_IMPORTS)
        gc.collect()
        gc.freeze()
        gc.disable()
        pipe.send({"op": "ready", "pid": os.getpid(), "version": PROTOCOL_VERSION, "versions": get_versions()})
        pipe.flush()

    def serve(self) -> None:
        from dask_native._pipe import PipeClosed

        served = False
        while True:
            if served:
                self.import_while_idle()
            head, blobs = self.pipe.receive()
            op, request = head.get("op"), head.get("id")
            try:
                if op == "lower":
                    self.lower(request, head, blobs)
                elif op == "upload":
                    self.upload(request, blobs[0])
                elif op == "pickle":
                    pass  # the graph it belongs to has failed meanwhile
                else:
                    raise NotImplementedError(f"the graph helper does not know the operation {op!r}")
            except PipeClosed:
                raise
            except BaseException as e:
                self.pipe.send({"op": "error", "id": request, **describe_error(e)})
            served = True
            # Nothing of the graph is referenced any more.
            del head, blobs
            self.pipe.flush()
            self.collect()

    def import_while_idle(self) -> None:
        """A client is there and silent: gets ready for its first collection. What is not installed or does not import is no matter."""
        while self.idle_imports and not self.pipe.has_input(IDLE_IMPORTS_AFTER_S):
            with contextlib.suppress(Exception):
                importlib.import_module(self.idle_imports.pop(0))
            gc.freeze()

    def lower(self, request: int, head: dict, blobs: list) -> None:
        _lowering = self.lowering
        start = time.perf_counter()
        payloads = {}
        for name, kind, count in head["payloads"]:
            payloads[name] = (kind, blobs[:count])
            blobs = blobs[count:]
        annotations = _lowering.load_payload(*payloads["annotations"]) or {}
        span_metadata = _lowering.load_payload(*payloads["span_metadata"])
        code = self.load_code(payloads["code"])
        wanted = _lowering.loads_keys(payloads["keys"][1][0])
        expr = _lowering.load_expression(*payloads.pop("expr"))
        unpickled = time.perf_counter()
        dsk, layer_annotations = _lowering.materialize(expr)
        del expr, payloads
        columns = _lowering.Columns(dsk, wanted, annotations, layer_annotations)
        description = _lowering.describe_request(code, span_metadata, annotations)
        del dsk, layer_annotations
        n = len(columns.nodes)
        self.tasks_since_collection += n + 1
        unasked = n <= UNASKED_TASKS_MAX or bool(head.get("has_priority"))
        row_frames: list[bytes] = []
        rows = []
        for row in columns.annotation_rows:
            wire = row.pop("wire")
            rows.append({**row, "frames": len(wire)})
            row_frames.extend(wire)
        lowered = {
            "op": "lowered",
            "id": request,
            "n": n,
            "keys": columns.n_keys,
            "specs_follow": unasked,
            "annotations": rows,
            "shuffles": columns.shuffles,
            "unpickle_seconds": unpickled - start,
            "materialize_seconds": time.perf_counter() - unpickled,
        }
        self.pipe.send(
            lowered,
            [
                columns.keys,
                columns.dep_counts.tobytes(),
                columns.deps.tobytes(),
                columns.flags,
                columns.wanted.tobytes(),
                columns.annotation,
                description,
                *row_frames,
                *columns.shuffle_pickles,
            ],
        )
        nodes = columns.nodes
        del columns, rows, row_frames
        if unasked:
            self.pickle(request, nodes, range(n))
            return
        self.pipe.flush()
        head, blobs = self.pipe.receive()
        if head.get("op") != "pickle" or head.get("id") != request:
            raise RuntimeError(f"expected the order of graph {request}, got {head.get('op')!r}")
        order = blobs[0].cast("I")
        if max(order, default=0) >= n:
            raise RuntimeError(f"the order of graph {request} names a task that does not exist")
        self.pickle(request, nodes, order)

    def pickle(self, request: int, nodes: list, order: Any) -> None:
        start = time.perf_counter()
        for chunk in self.specs.SpecPickler(nodes, order, describe_error):
            head = {
                "op": "specs",
                "id": request,
                "first": chunk.first,
                "count": chunk.count,
                "failures": [{"position": f.position, **f.error} for f in chunk.failures],
            }
            self.pipe.send(
                head,
                [
                    chunk.headers,
                    chunk.ends.tobytes(),
                    chunk.frame_counts.tobytes(),
                    chunk.frames.tobytes(),
                    *chunk.pool,
                ],
            )
            if len(order) > UNASKED_TASKS_MAX:
                self.pipe.flush()
        self.pipe.send({"op": "done", "id": request, "pickle_seconds": time.perf_counter() - start})

    def upload(self, request: int, pickled: Any) -> None:
        """Takes a file that a client uploaded, as stock's scheduler does: graphs that are unpickled here may import it."""
        from distributed.diagnostics.plugin import SchedulerUploadFile
        from distributed.protocol.pickle import loads
        from distributed.utils import import_file

        plugin = loads(bytes(pickled))
        if type(plugin) is not SchedulerUploadFile:
            raise NotImplementedError(f"scheduler plugins are Python code, and this scheduler runs none: {type(plugin).__name__}")
        if self.uploads is None:
            self.uploads = tempfile.TemporaryDirectory(prefix="dask-native-uploads-", ignore_cleanup_errors=True)
            self.pipe.at_exit = self.uploads.cleanup
            sys.path.insert(0, self.uploads.name)
        path = os.path.join(self.uploads.name, os.path.basename(plugin.filename))
        with open(path, "wb") as f:
            f.write(plugin.data)
        if plugin.load:
            import_file(path)
        self.pipe.send({"op": "uploaded", "id": request, "name": plugin.filename})

    def load_code(self, payload: tuple) -> Any:
        """The client's source code: only shown to people, so a part that cannot be read is no error."""
        try:
            return self.lowering.load_payload(*payload)
        except Exception:
            return ()

    def collect(self) -> None:
        """Frees cycles that a graph left behind, when nobody waits for it."""
        if self.tasks_since_collection < COLLECT_TASKS or self.pipe.has_input():
            return
        gc.collect()
        trim_memory()
        self.tasks_since_collection = 0


def describe_error(e: BaseException) -> dict:
    """The fields of distributed's error_message, with the pickles as bytes. Call it while `e` is being handled."""
    from distributed.core import error_message

    if not isinstance(e, Exception):  # SystemExit, KeyboardInterrupt: would end whoever raises it again
        e = RuntimeError(f"code of the task graph raised {type(e).__name__}: {e}")
    message = error_message(e)
    trace = message["traceback"]
    return {
        "exception": bytes(message["exception"].data),
        "traceback": None if trace is None else bytes(trace.data),
        "exception_text": message["exception_text"],
        "traceback_text": message["traceback_text"],
    }


def trim_memory() -> None:
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        pass


if __name__ == "__main__":
    main()
