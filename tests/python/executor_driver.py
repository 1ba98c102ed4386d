"""Drives the executor over its socket as the C++ side does, for tests and measurements."""

import os
import pathlib
import pickle
import socket
import struct
import subprocess
import sys
import tempfile
import time

import msgpack
from dask._task_spec import Task, TaskRef
from distributed.protocol import core as protocol_core
from distributed.protocol import to_serialize
from distributed.protocol.serialize import ToPickle

TESTS_FOLDER = pathlib.Path(__file__).parent
PYTHON_FOLDER = TESTS_FOLDER.parents[1] / "python"
NAMES = {
    "lending": ("can_read_us", "pid", "address", "has_courier"),
    "returned": ("leases",),
    "ready": ("pid", "n"),
    "operations": ("operations", "stream_operations", "wants_transitions"),
    "finished": ("token", "nbytes", "type", "typename", "start", "stop", "thread", "startstops", "metrics"),
    "failed": (
        *("token", "exception", "traceback", "exception_text", "traceback_text"),
        *("start", "stop", "thread", "startstops", "metrics"),
    ),
    "reschedule": ("token", "start", "stop", "thread", "startstops", "metrics"),
    "seceded": ("token", "compute_duration"),
    "log-event": ("n",),
    "stored": ("items",),
    "put-done": ("request", "items"),
    "serialised": ("request", "items"),
    "reply": ("request", "n"),
    "no-handler": ("request", "operation"),
    "send": ("n",),
    "digest": ("n",),
    "close": ("reason", "nanny"),
    "ending": ("key", "text"),
    "cannot-start": ("text",),
    "broken": ("operation", "number", "text"),
}


class ExecutorDied(Exception):
    """Carries the exit code and the output."""


def inc(x):
    return x + 1


class UnpacksWithError:
    def __reduce__(self):
        return raise_error, ("cannot be unpacked",)


def raise_error(text):
    raise ValueError(text)


class Event(dict):
    def __getattr__(self, name):
        return self[name]

    def exception_object(self):
        return pickle.loads(self["exception"])


class Executor:
    def __init__(self, nthreads=2, timeout=60, environment=None, **options):
        self.output_file = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the executor)
        ours, theirs = socket.socketpair()
        ours.settimeout(timeout)
        self.socket = ours
        env = {
            **os.environ,
            "PYTHONPATH": f"{PYTHON_FOLDER}{os.pathsep}{TESTS_FOLDER}",
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
            **(environment or {}),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dask_native.executor", "--fd", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=env,
            stdout=self.output_file,
            stderr=subprocess.STDOUT,
        )
        theirs.close()
        self.numbers = 0
        self.pending = []  # events that came while another was waited for
        defaults = {
            "name": "w",
            "address": "tcp://127.0.0.1:1",
            "scheduler_address": "tcp://127.0.0.1:2",
            "local_directory": os.environ.get("TMPDIR", "/tmp"),
            "nthreads": nthreads,
        }
        self.send(["start", {**defaults, **options}])

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()
        self.process.wait(20)
        self.output = self.read_output()
        self.output_file.close()

    def read_output(self):
        self.output_file.seek(0)
        return self.output_file.read().decode(errors="replace")

    # ---- messages ----

    def send(self, *messages, blobs=(), lent=None):
        """`lent`: (lease, address, size) of one more blob, which is not sent."""
        if self.process.poll() is not None:
            raise ExecutorDied(self.process.returncode)
        head = msgpack.packb(([len(b) for b in blobs] + ([lent] if lent else []), messages))
        parts = [struct.pack("<QI", 4 + len(head) + sum(map(len, blobs)), len(head)), head, *blobs]
        self.socket.sendall(b"".join(parts))

    def receive(self):
        """The events of the next batch."""
        (size,) = struct.unpack("<Q", self._read(8))
        body = memoryview(self._read(size))
        (n,) = struct.unpack_from("<I", body)
        lengths, messages = msgpack.unpackb(body[4 : 4 + n], use_list=False, strict_map_key=False)
        blobs, at = [], 4 + n
        for length in lengths:
            if isinstance(length, int):
                blobs.append(bytes(body[at : at + length]))
                at += length
            else:  # (lease, address, size): it stays there
                blobs.append(length)
        assert at == size
        events = []
        for message in messages:
            event = Event(op=message[0], **dict(zip(NAMES[message[0]], message[1:], strict=True)))
            counts = [item[2] for item in event["items"]] if event.op == "serialised" else [event.get("n", 0)]
            event["frames"] = [[blobs.pop(0) for _ in range(count)] for count in counts]
            if event.op in ("ready", "reply", "log-event", "send", "digest"):
                event["value"] = protocol_core.loads(event["frames"][0])
            events.append(event)
        assert not blobs
        return events

    def _read(self, size):
        buffer = bytearray(size)
        view = memoryview(buffer)
        while view:
            try:
                n = self.socket.recv_into(view)
            except ConnectionResetError:  # it died with requests unread
                n = 0
            if n == 0:
                code = self.process.wait(20)
                raise ExecutorDied(code, self.read_output()[-8000:])
            view = view[n:]
        return buffer

    def wait_for(self, *ops, **fields):
        """The first event of one of these operations that has these fields; others stay for later calls."""
        at = 0
        while True:
            while at == len(self.pending):
                self.pending.extend(self.receive())
            event = self.pending[at]
            if event.op in ops and all(event.get(k) == v for k, v in fields.items()):
                return self.pending.pop(at)
            at += 1

    # ---- requests ----

    def number(self):
        self.numbers += 1
        return self.numbers

    def execute_message(self, spec, inputs=(), packed=None, actor=False, annotations=None):
        header, *frames = spec
        blobs = list(frames)
        items = []
        for key, (packed_header, *packed_frames) in (packed or {}).items():
            items.append([key, packed_header, len(packed_frames)])
            blobs.extend(packed_frames)
        extra = protocol_core.dumps(annotations) if annotations else []
        return header, len(frames), list(inputs), items, actor, len(extra), [*blobs, *extra]

    def execute_spec(self, key, spec, **kwargs):
        token = self.number()
        header, n, inputs, items, actor, n_annotations, blobs = self.execute_message(spec, **kwargs)
        self.send(["execute", token, key, 7, "pickled", header, n, inputs, items, actor, n_annotations], blobs=blobs)
        return token

    def execute(self, key, func, *args, **kwargs):
        """Sends a task; inputs are named with TaskRef among args, or with packed={key: [header, frames...]}."""
        packed = kwargs.get("packed") or {}
        inputs = [a.key for a in args if isinstance(a, TaskRef) and a.key not in packed]
        return self.execute_spec(key, spec_of(Task(key, func, *args)), inputs=inputs, **kwargs)

    def run(self, key, func, *args, **kwargs):
        """The whole exchange: the task's last event."""
        return self.wait_for("finished", "failed", "reschedule", token=self.execute(key, func, *args, **kwargs))

    def serialise(self, *keys, serializers=None, lend=False):
        """{key: [header, *frames], None when it has no such key, or the words of the failure}"""
        request = self.number()
        self.send(["serialise", request, keys, serializers, lend])
        event = self.wait_for("serialised", request=request)
        answers = {}
        for (key, header, _, failure), frames in zip(event["items"], event["frames"], strict=True):
            answers[key] = failure[2] if failure else [header, *frames] if header else None
        return answers

    def value(self, key):
        """What is held under a key, as a peer unpacks it."""
        (packed,) = self.serialise(key).values()
        if packed is None:
            raise KeyError(key)
        assert isinstance(packed, list), packed
        return unpack(packed)

    def call(self, op, **message):
        request = self.number()
        frames = protocol_core.dumps({"op": op, **message})
        self.send(["call", request, len(frames)], blobs=[bytes(f) for f in frames])
        event = self.wait_for("reply", "no-handler", request=request)
        return event.value if event.op == "reply" else event

    def run_function(self, function, *args, **kwargs):
        """Client.run on this worker."""
        dumped = {"args": pickle.dumps(args), "kwargs": pickle.dumps(kwargs)}
        import cloudpickle

        return self.call("run", function=cloudpickle.dumps(function), wait=True, **dumped)


def spec_of(task):
    return [bytes(frame) for frame in protocol_core.dumps(ToPickle(task))[1:]]


def pack(value):
    """Sub-header and frames of to_serialize(value)."""
    return [bytes(frame) for frame in protocol_core.dumps(to_serialize(value))[1:]]


def unpack(packed):
    return protocol_core.loads([msgpack.packb({"__Serialized__": 1}), *packed])


def measure(n=20_000, window=3, nthreads=2):
    """Seconds per task of many small tasks with `window` of them given at a time."""
    with Executor(nthreads=nthreads) as executor:
        executor.wait_for("ready")
        specs = [(f"inc-{i}", spec_of(Task(f"inc-{i}", inc, i))) for i in range(n)]
        for _ in range(2):
            start, cpu = time.perf_counter(), process_seconds(executor.process.pid)
            sent = done = 0
            while done < n:
                messages = []
                while sent < n and sent - done < window:
                    key, (header, *_) = specs[sent]
                    messages.append(["execute", sent, key, 1, "pickled", header, 0, (), (), False, 0])
                    sent += 1
                if messages:
                    executor.send(*messages)
                done += sum(event.op == "finished" for event in executor.receive())
            wall, used = time.perf_counter() - start, process_seconds(executor.process.pid) - cpu
            executor.send(["drop", [key for key, _ in specs]])
        print(f"window {window}: {n / wall:,.0f} tasks/s, {used / n * 1e6:.0f} us of CPU per task")


def process_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    for window in (1, 3, 64):
        measure(window=window)
