"""Drives the graph helper over its pipe as the C++ side does, for tests and measurements."""

import os
import pathlib
import socket
import struct
import subprocess
import sys
from array import array

import msgpack
from distributed.protocol import core as protocol_core
from distributed.protocol import to_serialize
from distributed.protocol.serialize import ToPickle

TESTS_FOLDER = pathlib.Path(__file__).parent
PYTHON_FOLDER = TESTS_FOLDER.parents[1] / "python"


def inc(x):
    """A function that the helper can import, too."""
    return x + 1


class HelperDied(Exception):
    pass


class GraphHelper:
    def __init__(self, timeout=60):
        ours, theirs = socket.socketpair()
        ours.settimeout(timeout)
        self.socket = ours
        env = {**os.environ, "PYTHONPATH": f"{PYTHON_FOLDER}{os.pathsep}{TESTS_FOLDER}"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dask_native.graph_helper", "--fd", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=env,
            stdout=subprocess.PIPE,
        )
        theirs.close()
        self.ready, _ = self.receive()
        self.ids = 0

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()
        self.process.wait(20)
        self.stdout = self.process.stdout.read()
        self.process.stdout.close()

    def send(self, head, blobs=()):
        head = msgpack.packb({**head, "blobs": [len(b) for b in blobs]})
        body = struct.pack("<I", len(head)) + head + b"".join(blobs)
        self.socket.sendall(struct.pack("<Q", len(body)) + body)

    def receive(self):
        (size,) = struct.unpack("<Q", self._read(8))
        body = memoryview(self._read(size))
        (n,) = struct.unpack_from("<I", body)
        head = msgpack.unpackb(body[4 : 4 + n])
        blobs, at = [], 4 + n
        for length in head["blobs"]:
            blobs.append(body[at : at + length])
            at += length
        assert at == size
        return head, blobs

    def _read(self, size):
        buffer = bytearray(size)
        view = memoryview(buffer)
        while view:
            n = self.socket.recv_into(view)
            if n == 0:
                raise HelperDied(self.process.wait(20))
            view = view[n:]
        return buffer

    def request(self, expr, keys, annotations=None, code=(), span_metadata=None, has_priority=False):
        """Sends a graph; gives its number. `expr` may be the frames of a Serialize, ready made."""
        self.ids += 1
        payloads, blobs = [], []
        frames = expr if isinstance(expr, list) else protocol_core.dumps(to_serialize(expr))[1:]
        for name, kind, parts in [
            ("expr", "serialized", frames),
            ("annotations", "pickled", protocol_core.dumps(ToPickle(annotations or {}))[1:]),
            ("code", "pickled", protocol_core.dumps(ToPickle(code))[1:]),
            ("span_metadata", "pickled", protocol_core.dumps(ToPickle(span_metadata or {}))[1:]),
            ("keys", "msgpack", [msgpack.packb(list(keys))]),
        ]:
            payloads.append([name, kind, len(parts)])
            blobs.extend(bytes(p) for p in parts)
        self.send({"op": "lower", "id": self.ids, "payloads": payloads, "has_priority": has_priority}, blobs)
        return self.ids

    def lower(self, expr, keys, order=None, **kwargs):
        """The whole exchange. Gives a Lowered, or raises LoweringFailed."""
        request = self.request(expr, keys, **kwargs)
        head, blobs = self.receive()
        if head["op"] == "error":
            raise LoweringFailed(head)
        assert head["op"] == "lowered" and head["id"] == request
        lowered = Lowered(head, blobs)
        positions = list(range(lowered.n))
        if not head["specs_follow"]:
            positions = order(lowered) if order else positions
            self.send({"op": "pickle", "id": request}, [array("I", positions).tobytes()])
        pool = []
        while True:
            head, blobs = self.receive()
            if head["op"] == "done":
                lowered.done = head
                break
            if head["op"] == "error":
                raise LoweringFailed(head)
            assert head["op"] == "specs" and head["id"] == request
            headers, ends, counts, frames = blobs[:4]
            ends, counts, frames = ends.cast("Q"), counts.cast("I"), frames.cast("I")
            pool.extend(blobs[4:])
            start = at = 0
            for i, end in enumerate(ends):
                n = counts[i] if len(counts) else 0
                spec = [headers[start:end], *(pool[f] for f in frames[at : at + n])]
                lowered.specs[positions[head["first"] + i]] = spec
                start, at = end, at + n
            lowered.failures.extend(head["failures"])
        lowered.pool_bytes = sum(map(len, pool))
        return lowered


class LoweringFailed(Exception):
    pass


class Lowered:
    def __init__(self, head, blobs):
        self.head = head
        self.n = head["n"]
        self.keys = msgpack.unpackb(blobs[0], use_list=False, strict_map_key=False)
        counts, deps = blobs[1].cast("I"), blobs[2].cast("I")
        self.dependencies, at = [], 0
        for count in counts:
            self.dependencies.append(set(deps[at : at + count]))
            at += count
        self.flags = bytes(blobs[3])
        self.wanted = list(blobs[4].cast("I"))
        self.annotation = list(blobs[5].cast("i")) or [-1] * self.n
        self.description = msgpack.unpackb(blobs[6], strict_map_key=False)
        self.rows = []
        at = 7
        for row in head["annotations"]:
            frames = [bytes(b) for b in blobs[at : at + row["frames"]]]
            self.rows.append({**row, "wire": protocol_core.loads(frames)})
            at += row["frames"]
        self.shuffles = head["shuffles"]
        self.shuffle_specs = [bytes(b) for b in blobs[at:]]
        self.specs = {}
        self.failures = []
        self.done = None

    def graph(self):
        """{key: {keys of its dependencies}}"""
        return {self.keys[i]: {self.keys[d] for d in deps} for i, deps in enumerate(self.dependencies)}

    def task(self, key):
        """The task as a stock worker unpickles it."""
        frames = self.specs[self.keys.index(key)]
        return protocol_core.loads([msgpack.packb({"__Pickled__": 1}), *frames])
