"""Runs one task on a thread of the pool, with distributed's own _run_task around the user's code: thread state, get_worker(),
metrics, errors and tracebacks are stock's. What is ours: unpacking before it, and the report after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
from typing import TYPE_CHECKING, Any

import dask
import msgpack
from distributed.core import error_message
from distributed.exceptions import Reschedule
from distributed.metrics import context_meter, time
from distributed.protocol import pickle
from distributed.protocol.compression import decompress
from distributed.protocol.core import loads
from distributed.protocol.serialize import merge_and_deserialize, msgpack_decode_default
from distributed.protocol.utils import msgpack_opts
from distributed.threadpoolexecutor import ThreadPoolExecutor
from distributed.worker import _run_task, _run_task_async, _run_task_simple, _worker_cvar

from dask_native.executor.channel import clean_text
from dask_native.executor.store import Packed, describe_type

if TYPE_CHECKING:
    from dask_native.executor.service import Service

# Unpacking that takes longer is reported as a startstop of its own, as stock does for disk-read.
STARTSTOP_SECONDS_MIN = 0.005
NO_METRICS: tuple = ()


class Pool(ThreadPoolExecutor):
    """distributed's pool, so that secede and rejoin work; tasks are queued without futures, which nobody would wait for."""

    def __init__(self, nthreads: int, thread_name_prefix: str):
        super().__init__(nthreads, thread_name_prefix=thread_name_prefix)
        self._work_queue = queue.SimpleQueue()  # type: ignore[assignment]

    def start(self, item: Any) -> None:
        self._work_queue.put(item)
        self._adjust_thread_count()

    def has_more(self) -> bool:
        return not self._work_queue.empty()


class TaskRun:
    """A task from its request to its report. `run` is what the pool calls."""

    __slots__ = (
        "actor",
        "annotations",
        "data",
        "key",
        "packed",
        "run_id",
        "service",
        "spec",
        "spec_frames",
        "spec_header",
        "spec_kind",
        "token",
    )

    def __init__(self, service: Service, token: int, key: Any, run_id: int, actor: bool):
        self.service = service
        self.token = token  # names this run in reports
        self.key = key
        self.run_id = run_id
        self.actor = actor
        self.annotations: dict = {}
        self.spec: Any = None
        self.spec_kind = "pickled"
        self.spec_header: bytes = b""
        self.spec_frames: list = []
        self.data: dict[Any, Any] = {}
        self.packed = False  # some of `data` is

    def run(self) -> None:
        try:
            contextvars.copy_context().run(self._run)
        except (SystemExit, KeyboardInterrupt) as e:  # end a stock worker, too
            self.service.ended_by_code(repr(self.key), e)
        except BaseException as e:  # of user code that reports run: a type without a name, a size that is no number
            self.report(failure_before_start(e), [], [])

    def _run(self) -> None:
        service = self.service
        metrics: list = []
        startstops: list = []

        def meter(label: Any, value: float, unit: str) -> None:
            metrics.append((label, unit, value))

        with context_meter.add_callback(meter, key="async-instruction"):
            try:
                spec = self.unpack(startstops)
            except Exception as e:
                return self.report(failure_before_start(e), startstops, metrics)
            if spec.is_coro:
                service.on_loop(self._start_coroutine)
                return
            if "span" in self.annotations:
                with dask.annotate(span=self.annotations["span"]):
                    message = self._run_here(spec)
            else:
                message = self._run_here(spec)
        self.report(message, startstops, metrics)

    def _run_here(self, spec: Any) -> Any:
        worker = self.service.worker
        return _run_task(spec, self.data, worker.execution_state, self.key, worker.active_threads, worker.active_threads_lock, 0.0)

    def unpack(self, startstops: list) -> Any:
        """The run spec, with the inputs in self.data unpacked. Raises what user code raises."""
        if self.spec is not None:
            return self.spec
        if self.packed:
            start = time()
            held = self.service.store.held
            data = self.data
            for key, value in data.items():
                if type(value) is Packed:
                    data[key] = value.unpack()
                    if held.get(key) is value:
                        held[key] = data[key]
            stop = time()
            if stop - start > STARTSTOP_SECONDS_MIN:
                startstops.append(("deserialize", start, stop))
        self.spec = load_node(self.spec_kind, self.spec_header, self.spec_frames)
        self.spec_frames = []
        return self.spec

    # ---- other ways to run ----

    def _start_coroutine(self) -> None:
        task = asyncio.ensure_future(self._run_coroutine())
        self.service.coroutines.add(task)
        task.add_done_callback(self.service.coroutines.discard)

    async def _run_coroutine(self) -> None:
        metrics: list = []
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(
                    context_meter.add_callback(lambda label, value, unit: metrics.append((label, unit, value)), key="async-instruction")
                )
                if "span" in self.annotations:
                    stack.enter_context(dask.annotate(span=self.annotations["span"]))
                token = _worker_cvar.set(self.service.worker)
                try:
                    message = await _run_task_async(self.spec, self.data, 0.0)
                finally:
                    _worker_cvar.reset(token)
        except (SystemExit, KeyboardInterrupt) as e:
            return self.service.ended_by_code(repr(self.key), e)
        try:
            self.report(message, [], metrics)
        except Exception as e:
            self.report(failure_before_start(e), [], [])

    def run_elsewhere(self, executor: Any) -> None:
        """Runs on an executor that user code put into worker.executors; one of processes gets the bare task."""
        startstops: list = []
        if "ThreadPoolExecutor" in str(type(executor)):
            executor.submit(self.run)
            return

        def done(future: Any) -> None:
            try:
                message = future.result()
            except BaseException as e:
                message = failure_before_start(e)
            self.report(message, startstops, [])

        try:
            executor.submit(_run_task_simple, self.unpack(startstops), self.data, 0.0).add_done_callback(done)
        except BaseException as e:
            self.report(failure_before_start(e), startstops, [])

    # ---- the report ----

    def report(self, message: Any, startstops: list, metrics: list) -> None:
        service = self.service
        service.worker.send_digests()
        more = service.pool.has_more()
        times = [message.get("start"), message.get("stop"), message.get("thread", 0), startstops, clean_metrics(metrics)]
        if message["op"] == "task-finished":
            value = message["result"]
            nbytes = int(message["nbytes"])
            pickled, name = describe_type(type(value))
            service.forget(self)
            if self.actor:
                service.worker.state.actors[self.key] = value
            else:
                service.store.held[self.key] = value
            service.channel.post(["finished", self.token, nbytes, pickled, name, *times], more)
            return
        service.forget(self)
        if isinstance(message["actual_exception"], Reschedule):
            service.channel.post(["reschedule", self.token, *times], more)
        else:
            service.log_failure(self, message)
            service.channel.post(["failed", self.token, *describe_failure(message), *times], more)


def load_node(kind: str, header: bytes, frames: list) -> Any:
    """What ToPickle or Serialize around a value was sent as."""
    if kind == "pickled":
        sub_header = msgpack.loads(header, use_list=False)
        if frames and "compression" in sub_header:
            frames = decompress(sub_header, frames)
        return pickle.loads(sub_header["pickled-obj"], buffers=frames)
    sub_header = msgpack.loads(header, object_hook=msgpack_decode_default, use_list=False, **msgpack_opts)
    if "compression" in sub_header:
        frames = decompress(sub_header, frames)
    return merge_and_deserialize(sub_header, frames)


def load_annotations(frames: list) -> dict:
    return loads(frames) if frames else {}


def failure_before_start(e: BaseException) -> Any:
    """The message of a task whose own code did not run. Call it while `e` is being handled."""
    message: Any = error_message(e)
    message.update(op="task-erred", actual_exception=e, start=None, stop=None)
    return message


def describe_failure(message: Any) -> list:
    """[exception, traceback or None, texts] of distributed's error_message."""
    trace = message["traceback"]
    return [
        bytes(message["exception"].data),
        None if trace is None else bytes(trace.data),
        clean_text(message["exception_text"]),
        clean_text(message["traceback_text"]),
    ]


def describe_exception(e: BaseException) -> list:
    """Like describe_failure, of an exception that is being handled."""
    return describe_failure(error_message(e))


def describe_words(words: list[str]) -> list:
    """The failure that a peer sees when it unpacks what Dask sends in place of a value that cannot be serialised."""
    try:
        raise TypeError(*words)
    except TypeError as e:
        return describe_exception(e)


def clean_metrics(metrics: list) -> list:
    """Metrics that msgpack can carry: labels are any hashable."""
    return [(clean_label(label), clean_text(str(unit)), float(value)) for label, unit, value in metrics]


def clean_label(label: Any) -> Any:
    if type(label) is str:
        return clean_text(label)
    if label is None or type(label) in (int, float, bool):
        return label
    if type(label) is tuple:
        return tuple(map(clean_label, label))
    return clean_text(str(label))
