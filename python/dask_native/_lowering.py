"""From a client's expression to columns: unpickle, materialise, number the tasks, resolve annotations.

Follows Scheduler.update_graph and _materialize_graph (distributed/scheduler.py). Everything that loops over tasks runs in
C (map, chain, array): this is the scheduler's slowest step. Culling, ordering and state are the C++ side's.
"""

from __future__ import annotations

import sys
import textwrap
from array import array
from collections.abc import Mapping
from itertools import chain
from operator import attrgetter
from typing import Any

import dask._task_spec
import msgpack
from dask._expr import _AnnotationsTombstone
from dask._task_spec import Alias, DataNode, GraphNode, convert_legacy_graph
from distributed.protocol import core as protocol_core
from distributed.protocol.compression import decompress
from distributed.protocol.pickle import dumps as pickle_dumps
from distributed.protocol.pickle import loads as pickle_loads
from distributed.protocol.serialize import (
    merge_and_deserialize,
    msgpack_decode_default,
)
from distributed.protocol.serialize import pickle_loads as frames_from_pickle
from distributed.protocol.utils import msgpack_opts

# Bits of the flags column.
DATA_PRODUCER, P2P_BARRIER, DATA_NODE = 1, 2, 4
NO_INDEX = 0xFFFFFFFF

UNPICKLE_ERROR = """\
Error during deserialization of the task graph. This frequently
occurs if the Scheduler and Client have different environments.
For more information, see
https://docs.dask.org/en/stable/deployment-considerations.html#consistent-software-environments
"""


def _cull(dsk: dict, keys: Any, original: Any = dask._task_spec.cull) -> dict:
    """dask._task_spec.cull, started from the keys that are in `dsk`.

    HighLevelGraph.cull calls it once per layer with all keys that are still wanted: quadratic for one delayed call that
    takes thousands of others (5 s for 10,000).
    """
    if len(keys) > len(dsk) and isinstance(keys, set):
        keys = {key for key in dsk if key in keys}
    return original(dsk, keys)


dask._task_spec.cull = _cull


def load_payload(kind: str, blobs: list[memoryview]) -> Any:
    """One payload of a request: "nil", "msgpack", "serialized" (header, frames) or "pickled" (header, buffers)."""
    if kind == "nil":
        return None
    if kind == "msgpack":
        return msgpack.unpackb(blobs[0], object_hook=msgpack_decode_default, use_list=False, **msgpack_opts)
    if kind == "pickle":
        return pickle_loads(blobs[0])
    frames = blobs[1:]
    if kind == "pickled":
        header = msgpack.unpackb(blobs[0])
        if any(header.get("compression", ())):
            frames = decompress(header, frames)
        return pickle_loads(header["pickled-obj"], buffers=frames)
    if kind == "serialized":
        header = msgpack.unpackb(blobs[0], object_hook=msgpack_decode_default, use_list=False, **msgpack_opts)
        if any(header.get("compression", ())):
            frames = decompress(header, frames)
        whole = all(n == 1 for n in header.get("split-num-sub-frames", ()))
        if header.get("serializer") == "pickle" and whole:  # the usual case, without stock's meters around it
            return frames_from_pickle(header, frames)
        return merge_and_deserialize(header, frames)
    raise ValueError(f"unknown payload kind {kind!r}")


def load_expression(kind: str, blobs: list[memoryview]) -> Any:
    try:
        return load_payload(kind, blobs)
    except Exception as e:
        raise RuntimeError(textwrap.dedent(UNPICKLE_ERROR)) from e


def materialize(expr: Any) -> tuple[dict, dict[str, dict]]:
    """The graph and its layers' annotations {name: {key: value}}."""
    if isinstance(expr, Mapping):  # recreate_task_locally sends {}
        return convert_legacy_graph(dict(expr)), {}
    dsk = expr.__dask_graph__()
    annotations: dict[str, dict] = {}
    for name, values in expr.__dask_annotations__().items():
        annotations.setdefault(name, {}).update(values)
    types = set(map(type, dsk.values()))
    plain = all(issubclass(t, GraphNode) for t in types) and not any(issubclass(t, Alias) for t in types)
    return (dsk if plain else convert_legacy_graph(dsk)), annotations


def _normalize_key(obj: Any) -> Any:
    """msgpack's hook for parts of keys that are no plain Python values (numpy scalars)."""
    if hasattr(obj, "__index__"):
        return obj.__index__()
    if hasattr(obj, "dtype") and getattr(obj, "shape", None) == ():
        return obj.item()
    raise TypeError(f"Unexpected key type {type(obj)} (value: {obj!r}); keys are str, int, float or tuples of those")


class Columns:
    """A graph as the C++ side reads it: tasks 0..n-1, then keys that are not defined in the graph."""

    def __init__(self, dsk: dict, wanted: tuple, global_annotations: dict | None, layer_annotations: dict):
        self.nodes = list(dsk.values())
        keys = list(dsk)
        index = dict(zip(keys, range(len(keys))))
        dependencies = list(map(attrgetter("dependencies"), self.nodes))
        self.dep_counts = array("I", map(len, dependencies))
        flat = list(chain.from_iterable(dependencies))
        try:
            self.deps = array("I", map(index.__getitem__, flat))
        except KeyError:
            for key in flat:
                index.setdefault(key, len(index))
            keys = list(index)
            self.deps = array("I", map(index.__getitem__, flat))
        self.n_keys = len(keys)
        self.keys = msgpack.packb(keys, default=_normalize_key, use_bin_type=True)
        n = len(self.nodes)
        self.wanted = array("I", (i if (i := index.get(key, n)) < n else NO_INDEX for key in wanted))
        self.flags = self._flags()
        self.shuffles, self.shuffle_pickles = self._shuffles()
        self.annotation, self.annotation_rows = annotation_table(dsk, global_annotations or {}, layer_annotations)

    def _flags(self) -> bytes:
        flags = bytes(map(bool, map(attrgetter("data_producer"), self.nodes)))
        shuffle = sys.modules.get("distributed.shuffle._core")
        barrier = getattr(shuffle, "P2PBarrierTask", ())
        of_type = {
            t: (DATA_NODE if issubclass(t, DataNode) else 0) | (P2P_BARRIER if issubclass(t, barrier) else 0)
            for t in set(map(type, self.nodes))
        }
        if any(of_type.values()):
            flags = bytes(map(int.__or__, flags, map(of_type.__getitem__, map(type, self.nodes))))
        return flags

    def _shuffles(self) -> tuple[list[dict], list[bytes]]:
        """What the scheduler must know of each P2P barrier's shuffle, and the pickled ShuffleSpecs for the workers."""
        barrier = getattr(sys.modules.get("distributed.shuffle._core"), "P2PBarrierTask", None)
        if barrier is None or not any(flag & P2P_BARRIER for flag in self.flags):
            return [], []
        rows, pickles = [], []
        for task, node in enumerate(self.nodes):
            if not isinstance(node, barrier):
                continue
            row = {"task": task, "id": str(node.spec.id)}
            try:
                row.update(output_partitions(node.spec))
                pickles.append(pickle_dumps(node.spec))
            except Exception as e:
                row["unsupported"] = f"{type(e).__name__}: {e}"
                pickles.append(b"")
            rows.append(row)
        return rows, pickles


def output_partitions(spec: Any) -> dict:
    """A shuffle's output partitions, and what ShuffleSpec.pick_worker knows of them.

    Both kinds take workers[len(workers) * rank // n]: a dataframe's rank is the partition, an array's comes from its chunk's indices.
    """
    from distributed.shuffle._rechunk import ArrayRechunkSpec
    from distributed.shuffle._shuffle import DataFrameShuffleSpec

    if type(spec) is DataFrameShuffleSpec:
        parts = spec.parts_out if isinstance(spec.parts_out, int) else list(map(int, spec.parts_out))
        return {"n": int(spec.npartitions), "partitions": parts}
    if type(spec) is ArrayRechunkSpec:
        return {"chunks": list(map(len, spec.new))}
    raise NotImplementedError(f"this scheduler knows shuffles of dataframes and arrays, not {type(spec).__name__}")


def annotation_table(dsk: dict, global_annotations: dict, layers: dict[str, dict]) -> tuple[bytes, list[dict]]:
    """Per task the row of its annotations (i32, -1: none; empty when all have none), and the distinct rows.

    Global annotations come first, layers override them; callables are asked per key. Source: Scheduler._apply_annotations.
    """
    layers = {name: values for name, values in layers.items() if values}
    if not dsk or not (global_annotations or layers):
        return b"", []
    rows: list[dict] = []
    row_of_wire: dict[bytes, int] = {}

    def row(annotations: dict) -> int:
        wire = wire_frames(annotations)
        identity = b"\0".join(wire)
        found = row_of_wire.get(identity)
        if found is None:
            found = row_of_wire[identity] = len(rows)
            rows.append({"wire": wire, **scheduling_fields(annotations)})
        return found

    constant = {name: value for name, value in global_annotations.items() if not callable(value)}
    called = {name: value for name, value in global_annotations.items() if callable(value)}
    if not called and not layers:
        return array("i", [row(constant)]).tobytes() * len(dsk), rows

    # Tasks of one layer share their values: the values' identities find their row without packing it again. What a
    # callable returns may be freed and its id reused, so those rows are packed each time.
    row_of_ids: dict[tuple, int] = {}
    column = array("i")
    names = list(layers)
    lookups = [values.get for values in layers.values()]
    for key in dsk:
        values = [get(key) for get in lookups]
        ids = tuple(map(id, values))
        found = None if called else row_of_ids.get(ids)
        if found is None:
            annotations = {name: (value(key) if callable(value) else value) for name, value in global_annotations.items()}
            for name, value in zip(names, values):
                if value is not None and not isinstance(value, _AnnotationsTombstone):
                    annotations[name] = value
            found = row_of_ids[ids] = row(annotations) if annotations else -1
        column.append(found)
    return column.tobytes(), rows


def wire_frames(value: Any) -> list[bytes]:
    """The value as the frames of a message; what msgpack cannot say is pickled in place, as stock does when it sends it."""
    return [bytes(frame) for frame in protocol_core.dumps(value)]


def scheduling_fields(annotations: dict) -> dict:
    """The fields that scheduling reads, checked where stock asserts."""
    fields: dict[str, Any] = {}
    for name, value in annotations.items():
        if name == "priority":
            try:
                fields["priority"] = float(value)
            except (TypeError, ValueError):
                raise TypeError(f"the annotation priority must be a number, got {value!r}") from None
        elif name == "retries":
            if not hasattr(value, "__index__"):
                raise TypeError(f"the annotation retries must be an int, got {value!r}")
            fields["retries"] = value.__index__()
        elif name in ("workers", "restrictions"):
            if value is None:
                continue
            if not isinstance(value, (list, tuple, set, frozenset)):
                value = [value]
            fields["workers"] = [_worker_name(worker) for worker in value]
        elif name in ("allow_other_workers", "loose_restrictions"):
            fields["allow_other_workers"] = bool(value)
        elif name == "resources":
            if value is None:
                continue
            if not isinstance(value, dict):
                raise TypeError(f"the annotation resources must be a dict, got {value!r}")
            fields["resources"] = [[str(resource), float(amount)] for resource, amount in value.items()]
    return fields


def _worker_name(worker: Any) -> str:
    if isinstance(worker, tuple) and len(worker) == 2:
        return f"{worker[0]}:{worker[1]}"
    return str(worker)


def describe_request(code: Any, span_metadata: Any, global_annotations: Any) -> bytes:
    """What only people read of a request, as msgpack: source code, span metadata, global annotations."""
    source = [{name: getattr(part, name, None) for name in ("code", "lineno_frame", "lineno_relative", "filename")} for part in code or ()]
    description = {"code": source, "span_metadata": span_metadata, "annotations": global_annotations}
    return msgpack.packb(description, default=_described, use_bin_type=True, strict_types=False)


def _described(obj: Any) -> Any:
    if isinstance(obj, (set, frozenset)):
        return list(obj)
    return str(obj)


def loads_keys(packed: memoryview) -> tuple:
    return msgpack.unpackb(packed, use_list=False, strict_map_key=False)


__all__ = ["Columns", "describe_request", "load_expression", "load_payload", "loads_keys", "materialize"]
