"""What the executor holds under which key: results as live objects, data of peers as frames until somebody uses it.

Mapping methods are what users see as `worker.data`. Thread safety: single operations of dicts are atomic; a value that is still
packed is unpacked once, by the first thread that needs it.
"""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Iterator, MutableMapping
from typing import Any

import msgpack
from dask.utils import typename
from distributed.protocol.compression import decompress
from distributed.protocol.serialize import Serialize, merge_and_deserialize, msgpack_decode_default, serialize_and_split
from distributed.protocol.utils import msgpack_opts
from distributed.sizeof import safe_sizeof
from distributed.utils import ensure_memoryview
from distributed.worker import dumps_function

from dask_native.executor.channel import clean_text

# Frames are not split: no part of the way needs it, and whoever unpacks parts that lie apart has to copy them together.
UNSPLIT_BYTES = sys.maxsize
# Descriptions of types that are kept; all are dropped when there are more (programs that make types as they go).
TYPES_KEPT_MAX = 500
_types: dict[type, tuple[bytes, str]] = {}


class Packed:
    """A value as a peer sent it: Serialize's sub-header and frames."""

    __slots__ = ("_lock", "_value", "frames", "header")

    def __init__(self, header: bytes, frames: list):
        self.header = header
        self.frames: list | None = frames
        self._lock = threading.Lock()
        self._value: Any = None

    def unpack(self) -> Any:
        with self._lock:
            if self.frames is not None:
                header = msgpack.loads(self.header, object_hook=msgpack_decode_default, use_list=False, **msgpack_opts)
                frames = decompress(header, self.frames) if "compression" in header else self.frames
                self._value = merge_and_deserialize(header, frames)
                self.frames = None
            return self._value


class Store(MutableMapping):
    def __init__(self) -> None:
        self.held: dict[Any, Any] = {}  # key -> value or Packed

    def __getitem__(self, key: Any) -> Any:
        value = self.held[key]
        if type(value) is Packed:
            packed, value = value, value.unpack()
            if self.held.get(key) is packed:
                self.held[key] = value
        return value

    def __setitem__(self, key: Any, value: Any) -> None:
        self.held[key] = value

    def __delitem__(self, key: Any) -> None:
        del self.held[key]

    def __contains__(self, key: object) -> bool:
        return key in self.held

    def __iter__(self) -> Iterator:
        return iter(list(self.held))

    def __len__(self) -> int:
        return len(self.held)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self.held)} keys>"


def describe_type(t: type) -> tuple[bytes, str]:
    """The pickle of a type as task-finished carries it, and its name."""
    described = _types.get(t)
    if described is None:
        try:
            pickled = dumps_function(t)
        except Exception:  # some types do not pickle (_thread.lock): their name stands for them, as in Dask
            pickled = pickle.dumps(t.__name__[:100], protocol=4)
        described = pickled, clean_text(typename(t))
        if len(_types) >= TYPES_KEPT_MAX:
            _types.clear()
        _types[t] = described
    return described


def describe_value(key: Any, value: Any) -> list:
    """[key, nbytes, type, typename]"""
    return [key, safe_sizeof(value), *describe_type(type(value))]


def pack(value: Any, serializers: Any = None) -> tuple[bytes, list, list[str] | None]:
    """Sub-header and frames as they stand for to_serialize(value) in a message of Dask, and the words of the error when they
    are what Dask sends in place of a value that cannot be serialised."""
    header, frames = serialize_and_split(Serialize(value), serializers=serializers, on_error="message", context=None, size=UNSPLIT_BYTES)
    failed = _error_in(header, frames)
    header["num-sub-frames"] = len(frames)
    frames = [frame if type(frame) is bytes else ensure_memoryview(frame) for frame in frames]
    return msgpack.dumps(header, use_bin_type=True), frames, failed


def _error_in(header: dict, frames: list) -> list[str] | None:
    """The words of the first value in there that could not be serialised."""
    if header.get("serializer") == "error":
        return [bytes(frame).decode(errors="replace") for frame in frames]
    at = 0
    for sub_header, length in zip(header.get("sub-headers", ()), header.get("frame-lengths", ())):
        failed = _error_in(sub_header, frames[at : at + length])
        if failed:
            return failed
        at += length
    return None
