"""The executor's process: takes requests from the worker, gives them to the threads that serve them, and ends with reason.

Threads: the main one runs the event loop (coroutines, plugins, Client.run, clients inside tasks), as in a stock worker; one reads
requests; the pool's run tasks; one packs and unpacks data for others. A task that holds the GIL stops all of them, not the worker.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import inspect
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from dask_native.executor.channel import Blobs, Channel, ChannelClosed, clean_text

logger = logging.getLogger("distributed.worker")

# How long user code may take to say goodbye (plugins' teardown, clients) before the process ends anyway.
TEARDOWN_SECONDS_MAX = 10.0


class Service:
    def __init__(self, channel: Channel, options: dict):
        from distributed.core import Status

        from dask_native.executor import store, tasks
        from dask_native.executor.sampler import Sampler

        self._statuses = Status
        self._tasks = tasks
        self._store = store
        self.channel = channel
        self.options = options
        self.store = store.Store()
        self.running: dict[Any, Any] = {}  # key -> TaskRun, until it is reported
        self.coroutines: set[asyncio.Task] = set()
        name = options.get("name")
        self.pool = tasks.Pool(options["nthreads"], f"{name}-Dask-Default-Threads" if name is not None else "Dask-Default-Threads")
        self.worker: Any = None
        self.sampler = Sampler(self)
        self._loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._data_work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._known: tuple = ()
        self._stopping = False
        self._finished = asyncio.Event()

    async def serve(self) -> None:
        from distributed.versions import get_versions

        from dask_native.executor.shim import Worker

        self.worker = Worker(self, self.options)
        await self.worker.start_unsafe()
        gc.collect()
        gc.freeze()
        threading.Thread(target=self._do_data_work, name="executor-data", daemon=True).start()
        from distributed.protocol.core import dumps

        if self.options.get("lending"):
            self.channel.send(self.channel.lending.try_out(self.options["lending"], self.options.get("courier")))
        frames = dumps(get_versions())
        self.channel.send(["ready", os.getpid(), len(frames)], frames)
        self.tell_operations()
        threading.Thread(target=self._read, name="executor-requests", daemon=True).start()
        await self._finished.wait()
        # Not by returning: the loop would wait for threads of user code.
        self.channel.drain()
        end_process(0)

    # ---- requests, on the reading thread ----

    def _read(self) -> None:
        requests = {
            "execute": self._execute,
            "put": self._put,
            "drop": self._drop,
            "serialise": self._serialise,
            "call": self._call,
            "stream": self._stream,
            "transition": self._transition,
            "update": self._update,
            "give-back": self._give_back,
            "stop": self._stop,
        }
        try:
            while True:
                messages, blobs = self.channel.receive()
                message = None
                for message in messages:
                    handler = requests.get(message[0])
                    if handler is None:
                        raise ChannelClosed(f"the worker sent {message[0]!r}, which this executor does not know")
                    handler(blobs, *message[1:])
                # Nothing of the batch stays alive here.
                del messages, blobs, message
        except ChannelClosed:
            os._exit(0)
        except BaseException:
            logger.critical("The executor cannot read what the worker sent", exc_info=True)
            os._exit(70)

    def _execute(
        self,
        blobs: Blobs,
        token: int,
        key: Any,
        run_id: int,
        spec_kind: str,
        spec_header: bytes | None,
        n_spec_frames: int,
        held_keys: tuple,
        packed: tuple,
        actor: bool,
        n_annotations: int,
    ) -> None:
        tasks = self._tasks
        run = tasks.TaskRun(self, token, key, run_id, actor)
        run.spec_kind = spec_kind
        run.spec_header, run.spec_frames = _header_and_frames(blobs, spec_header, n_spec_frames)
        held = self.store.held
        data = run.data
        for k, header, n in packed:
            data[k] = held[k] = self._store.Packed(*_header_and_frames(blobs, header, n))
            run.packed = True
        annotation_frames = blobs.take(n_annotations) if n_annotations else None
        self.running[key] = run
        try:
            for k in held_keys:
                value = held.get(k, held)
                if value is held:
                    value = self._actor_proxy(k)
                elif type(value) is self._store.Packed:
                    run.packed = True
                data[k] = value
            executor = self.pool
            if annotation_frames:
                run.annotations = tasks.load_annotations(annotation_frames)
                executor = self._executor_of(run)
        except Exception as e:
            run.report(tasks.failure_before_start(e), [], [])
            return
        if executor is self.pool:
            self.pool.start(run)
        else:
            self._data_work.put(lambda: run.run_elsewhere(executor))
        self.sampler.wake()

    def _executor_of(self, run: Any) -> Any:
        name = run.annotations.get("executor", "default")
        executors = self.worker.executors
        if name not in executors:
            raise ValueError(f"Invalid executor {name!r}; expected one of: {sorted(executors)}")
        return executors[name]

    def _actor_proxy(self, key: Any) -> Any:
        from distributed.actor import Actor

        return Actor(type(self.worker.state.actors[key]), self.worker.address, key, self.worker)

    def _put(self, blobs: Blobs, request: int | None, items: tuple) -> None:
        held = self.store.held
        packed = []
        for key, header, n in items:
            value = held[key] = self._store.Packed(*_header_and_frames(blobs, header, n))
            packed.append((key, value))
        if request is not None:
            self._data_work.put(lambda: self._measure(request, packed))

    def _drop(self, blobs: Blobs, keys: tuple) -> None:
        held, actors = self.store.held, self.worker.state.actors
        for key in keys:
            held.pop(key, None)
            if actors:
                actors.pop(key, None)

    def _give_back(self, blobs: Blobs, lease: int) -> None:
        self.channel.lending.take_back(lease)

    def _serialise(self, blobs: Blobs, request: int, keys: tuple, serializers: tuple | None, lend: bool) -> None:
        held, actors = self.store.held, self.worker.state.actors
        values = [(key, held.get(key), key in held, key in actors) for key in keys]
        self._data_work.put(lambda: self._pack(request, values, serializers, lend))

    def _call(self, blobs: Blobs, request: int, n: int) -> None:
        frames = blobs.take(n)
        self.on_loop(lambda: self._spawn(self._answer(request, frames)))

    def _stream(self, blobs: Blobs, n: int) -> None:
        frames = blobs.take(n)
        self.on_loop(lambda: self._spawn(self._handle_stream(frames)))

    def _transition(self, blobs: Blobs, key: Any, start: str, finish: str) -> None:
        self.on_loop(lambda: self.worker.transition(key, start, finish))

    def _update(self, blobs: Blobs, fields: dict) -> None:
        worker = self.worker
        for name, value in fields.items():
            if name == "status" and value in self._statuses.__members__:
                worker.status = self._statuses[value]
            elif name == "nthreads":
                worker.state.nthreads = self.pool._max_workers = value
                self.pool._adjust_thread_count()
            elif name == "scheduler_delay":
                worker.scheduler_delay = value
            elif name == "collect":
                self._data_work.put(_collect_garbage)
            elif name == "memory_limit":
                worker.memory_manager.memory_limit = value
            else:
                logger.warning("The worker sent %r=%r, which this executor does not know", name, value)

    def _stop(self, blobs: Blobs) -> None:
        self.on_loop(lambda: self._spawn(self._end()))

    # ---- data of others, on its own thread: user code may take its time to pickle ----

    def _do_data_work(self) -> None:
        while True:
            work = self._data_work.get()
            try:
                work()
            except BaseException:
                logger.critical("The executor failed to pack or unpack data", exc_info=True)
            del work

    def _measure(self, request: int, packed: list) -> None:
        answers = []
        for key, value in packed:
            try:
                data = value.unpack()
                if self.store.held.get(key) is value:
                    self.store.held[key] = data
                answers.append([*self._store.describe_value(key, data), None])
            except BaseException as e:
                if self.store.held.get(key) is value:
                    self.store.held.pop(key, None)
                answers.append([key, 0, b"", "", self._tasks.describe_exception(e)])
        self.channel.send(["put-done", request, answers])

    def _pack(self, request: int, values: list, serializers: tuple | None, lend: bool) -> None:
        answers: list = []
        blobs: list = []
        frames: list = []
        value = None
        for key, value, held, is_actor in values:
            failure = None
            try:
                if held and type(value) is self._store.Packed and serializers is None:
                    header, frames, failed = value.header, value.frames, None
                    if frames is None:  # unpacked meanwhile
                        header, frames, failed = self._store.pack(value.unpack(), serializers)
                elif held:
                    value = value.unpack() if type(value) is self._store.Packed else value
                    header, frames, failed = self._store.pack(value, serializers)
                elif is_actor:
                    header, frames, failed = self._store.pack(self._actor_proxy(key), serializers)
                else:
                    answers.append([key, b"", 0, None])
                    continue
                if failed:
                    failure = self._tasks.describe_words(failed)
            except BaseException as e:
                header, frames = b"", []
                failure = self._tasks.describe_exception(e)
            answers.append([key, header, len(frames), failure])
            blobs.extend(frames)
        self.channel.send(["serialised", request, answers], blobs, lend)
        # Exceptions of failed picklings may keep this frame alive, and the buffers must not be part of what the garbage collector clears
        # then: CPython 3.11 crashes on memoryviews of pickle buffers in such cycles.
        del values, value, frames, blobs

    # ---- operations, on the loop's thread ----

    def on_loop(self, work: Callable[[], Any]) -> None:
        try:
            self._loop.call_soon_threadsafe(work)
        except RuntimeError:
            pass  # the loop is closed: the process is ending

    def later(self, seconds: float, work: Callable[[], Any]) -> None:
        self._loop.call_later(seconds, work)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self.coroutines.add(task)
        task.add_done_callback(self.coroutines.discard)

    async def _answer(self, request: int, frames: list) -> None:
        """What distributed's Server does with an RPC."""
        from distributed.core import error_message
        from distributed.protocol.core import dumps, loads
        from distributed.utils import has_keyword

        try:
            message = loads(frames)
            operation = message.pop("op")
            serializers = message.pop("serializers", None)
            message.pop("reply", None)
            message.pop("close", None)
            handler = self.worker.handlers.get(operation)
            if handler is None:
                self.channel.send(["no-handler", request, clean_text(str(operation))])
                return
            if serializers is not None and has_keyword(handler, "serializers"):
                message["serializers"] = serializers
            parameters = inspect.signature(handler).parameters
            arguments = (None,) if next(iter(parameters), None) == "comm" else ()
            result = handler(*arguments, **message)
            if inspect.isawaitable(result):
                result = await result
            if isinstance(result, self._statuses):  # Status.dont_reply
                result = None
            answer = dumps(result, serializers=serializers, context={"compression": None})
        except (SystemExit, KeyboardInterrupt) as e:
            return self.ended_by_code("an operation of a client", e)
        except BaseException as e:
            if not isinstance(e, asyncio.CancelledError):
                logger.exception("Exception while handling an operation")
            answer = dumps(error_message(e, status="uncaught-error"), context={"compression": None})
        self.tell_operations()
        self.channel.send(["reply", request, len(answer)], answer)

    async def _handle_stream(self, frames: list) -> None:
        from distributed.protocol.core import loads

        try:
            message = loads(frames)
            operation = message.pop("op")
            handler = self.worker.stream_handlers.get(operation)
            if handler is None:
                logger.warning("No stream handler %s found in Worker", operation)
                return
            result = handler(**message)
            if inspect.isawaitable(result):
                await result
        except Exception:
            logger.exception("Exception while handling a stream message")

    def tell_operations(self) -> None:
        """Says which operations code here serves, when that has changed: plugins add some."""
        worker = self.worker
        known = (sorted(worker.handlers), sorted(worker.stream_handlers), worker.wants_transitions())
        if known != self._known:
            self._known = known
            self.channel.send(["operations", *known])

    async def _end(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        try:
            await asyncio.wait_for(self.worker.teardown(), TEARDOWN_SECONDS_MAX)
        except Exception:
            logger.exception("Exception while the executor ends")
        self._finished.set()

    # ---- reports ----

    def forget(self, run: Any) -> None:
        if self.running.get(run.key) is run:
            del self.running[run.key]

    def seceded(self, key: Any, compute_duration: float) -> None:
        run = self.running.get(key)
        if run is not None:
            self.channel.send(["seceded", run.token, float(compute_duration)])

    def log_failure(self, run: Any, message: Any) -> None:
        try:
            spec = repr(run.spec)[:1000]
        except Exception as e:
            spec = f"<task whose repr raises {type(e).__name__}>"
        logger.error(
            "Compute Failed\nKey:       %s\nState:     executing\nTask:  %s\nException: %r\nTraceback: %r\n",
            run.key,
            spec,
            message["exception_text"],
            message["traceback_text"],
        )

    def ended_by_code(self, whose: str, e: BaseException) -> None:
        """sys.exit() in a task ends a stock worker; here it ends this process, with the code that Python would use."""
        text = clean_text(f"{type(e).__name__}: {e}" if str(e) else type(e).__name__)
        self.channel.send(["ending", clean_text(whose), text])
        self.channel.drain()
        end_process(exit_code(e))


def exit_code(e: BaseException) -> int:
    if isinstance(e, SystemExit):
        return 0 if e.code is None else e.code & 0xFF if isinstance(e.code, int) else 1
    return 130 if isinstance(e, KeyboardInterrupt) else 1


def end_process(code: int) -> None:
    """Threads and atexit handlers of user code must not keep this process."""
    for stream in sys.stdout, sys.stderr:
        try:
            stream.flush()
        except Exception:
            pass
    os._exit(code)


def _header_and_frames(blobs: Blobs, header: bytes | None, n: int) -> tuple[Any, list]:
    """A sub-header and its frames; a long one is the first blob."""
    frames = blobs.take(n) if n else []
    if header is None:
        return frames[0], frames[1:]
    return header, frames


def _collect_garbage() -> None:
    """Frees what lies in cycles and gives freed memory back to the system."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        pass
