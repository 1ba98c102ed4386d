"""Pickles run specs the way a stock scheduler sends them (ToPickle(task)), many at a time and cheaply.

One reused C pickler covers importable functions. Functions and classes that only exist in the client's __main__ are pickled
by value with cloudpickle, once per graph instead of once per task; the worker sees a nested pickle. A task that shares an
object with such a function (identity would be lost) and everything unusual goes through distributed's own dumps.
"""

from __future__ import annotations

import copyreg
import functools
import io
import pickle
import struct
import types
from array import array
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import cloudpickle
from cloudpickle.cloudpickle import _should_pickle_by_reference
from dask._task_spec import Task
from distributed.protocol.pickle import dumps as stock_dumps
from distributed.utils import ensure_memoryview

PROTOCOL = pickle.HIGHEST_PROTOCOL
# A chunk ends at the first of these.
CHUNK_TASKS_MAX = 2000
CHUNK_BYTES_MAX = 1 << 20
# Out-of-band buffers from here on are sent once per graph, however many tasks use them.
SHARED_BYTES_MIN = 16 * 1024
# A pickler that wrote a task longer than this is replaced: clearing its grown memo would slow down every later task.
MEMO_TASK_BYTES_MAX = 32 * 1024
# By-value functions from here on leave the task's pickle and become such a buffer.
FUNCTION_IN_BAND_BYTES_MAX = 16 * 1024

# The sub-header of ToPickle, {"pickled-obj": ..., "compression": [...], "num-sub-frames": n}, around the pickle itself.
PREFIX = b"\x83\xabpickled-obj\xc6\0\0\0\0"
SUFFIX_NO_FRAMES = b"\xabcompression\x90\xaenum-sub-frames\x00"

# Kinds of objects for which it does not matter whether two tasks or functions share them.
_SHARED_FREELY = (
    str,
    bytes,
    int,
    float,
    complex,
    type(None),
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.ModuleType,
    types.CodeType,
)


class TaskFailure:
    """A task that cannot be pickled: what to tell whoever wants it."""

    def __init__(self, position: int, error: dict):
        self.position = position
        self.error = error


class Chunk:
    """Consecutive run specs: sub-headers one after the other, and for the few that have any, their frames."""

    def __init__(self, first: int):
        self.first = first
        self.count = 0
        self.headers = b""
        self.ends = array("Q")  # of each task's sub-header in `headers`
        self.frame_counts = array("I")  # per task; empty when no task has frames
        self.frames = array("I")  # indices into the graph's pool of frames
        self.pool: list[memoryview] = []  # frames that are new in this chunk
        self.failures: list[TaskFailure] = []


def _task_reducers(nodes: Sequence[Any]) -> dict[type, Callable]:
    """Faster equals of what object.__reduce_ex__ gives for the tasks' types: one call instead of one per attribute."""
    return {t: reducer for t in set(map(type, nodes)) if (reducer := _task_reducer(t)) is not None}


@functools.lru_cache(64)
def _task_reducer(t: type) -> Callable | None:
    if (
        not issubclass(t, Task)
        or t.__getstate__ is not Task.__getstate__
        or t.__reduce_ex__ is not object.__reduce_ex__
        or t.__reduce__ is not object.__reduce__
        or hasattr(t, "__getnewargs_ex__")
        or hasattr(t, "__getnewargs__")
    ):
        return None
    state = attrgetter(*t.get_all_slots())

    def reduce(task: Any, new: Callable = copyreg.__newobj__, cls: tuple = (t,)) -> tuple:
        return new, cls, state(task)

    return reduce


class _ByValue(cloudpickle.Pickler):
    """cloudpickle's pickler with by-value functions and classes taken from a cache."""

    def __init__(self, file: io.BytesIO, cache: _FunctionCache, dispatch_table: dict, buffer_callback: Callable):
        super().__init__(file, protocol=PROTOCOL, buffer_callback=buffer_callback)
        self.dispatch_table = dispatch_table
        self.cache = cache
        self.used: list[set[int]] = []

    def reducer_override(self, obj: Any) -> Any:
        t = type(obj)
        if t is not types.FunctionType and not isinstance(obj, type):
            return NotImplemented
        entry = self.cache.get(obj)
        if entry is None:
            return NotImplemented
        self.used.append(entry.identities)
        return entry.reduced


class _CachedFunction:
    def __init__(self, obj: Any):
        file = io.BytesIO()
        pickler = cloudpickle.Pickler(file, protocol=PROTOCOL)
        pickler.dump(obj)
        pickled = file.getvalue()
        memo = pickler.memo.copy()
        self.alive = memo  # ids stay unique while their objects live
        self.identities = {identity for identity, (_, member) in memo.items() if not isinstance(member, _SHARED_FREELY)}
        held = pickle.PickleBuffer(pickled) if len(pickled) > FUNCTION_IN_BAND_BYTES_MAX else pickled
        self.reduced = (pickle.loads, (held,))


class _FunctionCache:
    """Per graph: function or class -> its pickle by value, or None when workers can import it."""

    def __init__(self) -> None:
        self._entries: dict[int, tuple[Any, _CachedFunction | None]] = {}

    def get(self, obj: Any) -> _CachedFunction | None:
        entry = self._entries.get(id(obj))
        if entry is None:
            cached = None if _importable(obj) else _CachedFunction(obj)
            entry = self._entries[id(obj)] = (obj, cached)
        return entry[1]


def _importable(obj: Any) -> bool:
    if getattr(obj, "__module__", None) == "builtins":  # type(None), function, ...: cloudpickle has its ways for them
        return True
    return bool(_should_pickle_by_reference(obj))


class SpecPickler:
    """Gives the chunks of one graph's run specs in the order asked for."""

    def __init__(self, nodes: Sequence[Any], order: Sequence[int], describe_error: Callable[[BaseException], dict]):
        self._nodes = nodes
        self._order = order
        self._describe_error = describe_error
        self._by_value = False
        self._plain_table = {**copyreg.dispatch_table, **_task_reducers(nodes)}
        self._functions = _FunctionCache()
        self._pool: dict[tuple[int, int], tuple[int, Any]] = {}
        self._pool_size = 0
        self._next = 0

    def __iter__(self) -> SpecPickler:
        return self

    def __next__(self) -> Chunk:
        if self._next >= len(self._order):
            raise StopIteration
        chunk = None
        if not self._by_value:
            pool_size = self._pool_size
            chunk = self._plain_chunk()
            if chunk is None:  # nobody has got its frames
                self._pool = {identity: entry for identity, entry in self._pool.items() if entry[0] < pool_size}
                self._pool_size = pool_size
        if chunk is None:
            self._by_value = True
            chunk = self._by_value_chunk()
        self._next += chunk.count
        return chunk

    def _plain_chunk(self) -> Chunk | None:
        """The next tasks with the plain C pickler; None when one of them needs more."""
        chunk = Chunk(self._next)
        file = io.BytesIO()
        buffers: list[Any] = []
        pickler = self._plain_pickler(file, buffers)
        dump, clear_memo, write, tell = pickler.dump, pickler.clear_memo, file.write, file.tell
        nodes, ends = self._nodes, chunk.ends
        pickle_ends = array("Q")
        frame_bytes = start = 0
        for i in self._order[self._next : self._next + CHUNK_TASKS_MAX]:
            write(PREFIX)
            try:
                dump(nodes[i])
            except Exception:
                return None
            pickle_end = tell()
            pickle_ends.append(pickle_end)
            if pickle_end - start > MEMO_TASK_BYTES_MAX:
                pickler = self._plain_pickler(file, buffers)
                dump, clear_memo = pickler.dump, pickler.clear_memo
            else:
                clear_memo()
            if buffers:
                frame_bytes += self._add_frames(chunk, len(ends), buffers, write)
                buffers.clear()
            else:
                write(SUFFIX_NO_FRAMES)
            start = tell()
            ends.append(start)
            if start + frame_bytes > CHUNK_BYTES_MAX:
                break
        return self._finish(chunk, file, pickle_ends, may_need_values=True)

    def _plain_pickler(self, file: io.BytesIO, buffers: list) -> pickle.Pickler:
        pickler = pickle.Pickler(file, protocol=PROTOCOL, buffer_callback=buffers.append)
        pickler.dispatch_table = self._plain_table
        return pickler

    def _by_value_pickler(self, file: io.BytesIO, buffers: list) -> _ByValue:
        table = {**cloudpickle.Pickler._dispatch_table, **self._plain_table}
        return _ByValue(file, self._functions, table, buffers.append)

    def _by_value_chunk(self) -> Chunk:
        chunk = Chunk(self._next)
        file = io.BytesIO()
        buffers: list[Any] = []
        pickler = self._by_value_pickler(file, buffers)
        pickle_ends = array("Q")
        frame_bytes = 0
        for i in self._order[self._next : self._next + CHUNK_TASKS_MAX]:
            start = file.tell()
            file.write(PREFIX)
            node = self._nodes[i]
            try:
                if not self._dump_by_value(pickler, node):
                    raise pickle.PicklingError
            except Exception:
                file.seek(start)
                file.truncate()
                file.write(PREFIX)
                buffers.clear()
                try:
                    file.write(stock_dumps(node, buffer_callback=buffers.append))
                except Exception as e:
                    buffers.clear()
                    chunk.failures.append(TaskFailure(self._next + len(chunk.ends), self._describe_error(e)))
            pickle_ends.append(file.tell())
            if file.tell() - start > MEMO_TASK_BYTES_MAX:
                pickler = self._by_value_pickler(file, buffers)
            if buffers:
                frame_bytes += self._add_frames(chunk, len(chunk.ends), buffers, file.write)
                buffers.clear()
            else:
                file.write(SUFFIX_NO_FRAMES)
            end = file.tell()
            chunk.ends.append(end)
            if end + frame_bytes > CHUNK_BYTES_MAX:
                break
        finished = self._finish(chunk, file, pickle_ends, may_need_values=False)
        assert finished is not None
        return finished

    @staticmethod
    def _dump_by_value(pickler: _ByValue, node: Any) -> bool:
        """False when the task shares an object with a function from the cache, or two such functions do."""
        pickler.used.clear()
        try:
            pickler.dump(node)
            used = pickler.used
            if used:
                outer = pickler.memo.copy()
                if not all(identities.isdisjoint(outer) for identities in used):
                    return False
                for i in range(1, len(used)):
                    if any(used[i] is not other and not used[i].isdisjoint(other) for other in used[:i]):
                        return False
            return True
        finally:
            pickler.clear_memo()

    def _add_frames(self, chunk: Chunk, position: int, buffers: list, write: Callable) -> int:
        """Writes the end of a sub-header with frames; the bytes that are new on the pipe."""
        if len(chunk.frame_counts) < position:
            chunk.frame_counts.extend([0] * (position - len(chunk.frame_counts)))
        chunk.frame_counts.append(len(buffers))
        n = len(buffers)
        write(b"\xabcompression" + _array_header(n) + b"\xc0" * n + b"\xaenum-sub-frames" + b"\xce" + struct.pack(">I", n))
        new_bytes = 0
        for buffer in buffers:
            frame = ensure_memoryview(buffer)
            size = len(frame)
            if size >= SHARED_BYTES_MIN:
                identity = (_address(frame), size)
                known = self._pool.get(identity)
                if known is not None:
                    chunk.frames.append(known[0])
                    continue
                self._pool[identity] = (self._pool_size, frame)
            chunk.frames.append(self._pool_size)
            chunk.pool.append(frame)
            self._pool_size += 1
            new_bytes += size
        return new_bytes

    @staticmethod
    def _finish(chunk: Chunk, file: io.BytesIO, pickle_ends: array, may_need_values: bool) -> Chunk | None:
        """Writes the pickles' lengths into their sub-headers. None when __main__ is mentioned and that matters."""
        start = 0
        with file.getbuffer() as view:
            for pickle_end, end in zip(pickle_ends, chunk.ends):
                struct.pack_into(">I", view, start + len(PREFIX) - 4, pickle_end - start - len(PREFIX))
                start = end
        chunk.headers = file.getvalue()
        if may_need_values and b"__main__" in chunk.headers:
            return None
        chunk.count = len(chunk.ends)
        if chunk.frame_counts:
            chunk.frame_counts.extend([0] * (chunk.count - len(chunk.frame_counts)))
        return chunk


def _array_header(n: int) -> bytes:
    if n < 16:
        return bytes([0x90 | n])
    return b"\xdd" + struct.pack(">I", n)


def _address(view: memoryview) -> int:
    """Where a buffer lies: two views of the same memory are one frame. The pool keeps the memory alive, so it is unique."""
    import numpy

    return numpy.frombuffer(view, dtype="u1").__array_interface__["data"][0]
