"""The Worker that tasks, plugins and Client.run see: distributed's own class without its server, its state machine and its
memory manager, which are C++. What those would do is passed on to the worker, or refused.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import dask
import distributed.worker as stock
from distributed import preloading, profile, utils
from distributed.core import Status
from distributed.diagnostics.plugin import WorkerPlugin
from distributed.node import ServerNode
from distributed.protocol.core import dumps
from distributed.protocol.serialize import _is_dumpable
from distributed.security import Security
from distributed.threadpoolexecutor import ThreadPoolExecutor
from distributed.worker_state_machine import BaseWorker, SecedeEvent, StateMachineEvent, TaskState, UpdateDataEvent, WorkerState

from dask_native.executor.channel import clean_text
from dask_native.executor.store import describe_value

if TYPE_CHECKING:
    from dask_native.executor.service import Service

logger = logging.getLogger("distributed.worker")

# What is measured outside of tasks is summed up and told this often; heartbeats are no more frequent.
DIGESTS_SECONDS = 0.5


class TasksView(Mapping):
    """worker.state.tasks: what runs here and what is held here."""

    def __init__(self, service: Service):
        self._service = service

    def __getitem__(self, key: Any) -> TaskState:
        service = self._service
        run = service.running.get(key)
        if run is not None:
            ts = TaskState(key, run_id=run.run_id, run_spec=run.spec, state="executing", annotations=run.annotations)
            ts.dependencies = {TaskState(k, state="memory") for k in run.data}
            return ts
        if key in service.store.held or key in service.worker.state.actors:
            return TaskState(key, state="memory")
        raise KeyError(key)

    def __iter__(self) -> Iterator:
        service = self._service
        return iter({**service.running, **service.store.held, **service.worker.state.actors})

    def __len__(self) -> int:
        return len(list(iter(self)))


class State(WorkerState):
    """A view of what this process knows; the state machine itself is in C++."""

    service: Service

    @property
    def executing_count(self) -> int:
        return len(self.service.running)

    def handle_stimulus(self, *stims: StateMachineEvent) -> list:
        raise NotImplementedError("the state machine of this worker is not in Python")


class Worker(stock.Worker):
    """Made and used on the loop's thread; tasks read it from theirs."""

    def __init__(self, service: Service, options: dict):  # never calls stock's: there is no server here
        self.service = service
        self._lock = threading.Lock()
        self._client = None
        self._digests: dict[Any, float] = {}
        self._digests_lock = threading.Lock()
        self.nanny = options.get("nanny") or None
        self.contact_address = options["address"]
        self.threads = {}
        self.active_threads_lock = threading.Lock()
        self.active_threads = {}
        self.active_keys = set()
        self._init_profile()
        self._setup_logging(logger)
        self.name = options.get("name")
        self.security = Security(**(options.get("security") or {}))
        self.connection_args = self.security.get_connection_args("worker")
        self.executors = {
            "offload": utils._offload_executor,
            "actor": ThreadPoolExecutor(1, thread_name_prefix=f"{self.name}-Dask-Actor-Threads"),
            "default": service.pool,
        }
        self.scheduler_delay = 0
        self.latency = 0.001
        self.plugins = {}
        self._pending_plugins = ()
        self.services = {}
        self.service_specs = {}
        self.metrics = {}
        self.startup_information = {}
        self.extensions = {}
        self.lifetime = None
        self.lifetime_restart = False
        self.stream_comms = {}
        own_handlers = (
            self.run,
            self.run_coroutine,
            self.upload_file,
            self.versions,
            self.get_logs,
            self.actor_execute,
            self.actor_attribute,
            self.benchmark_disk,
            self.benchmark_memory,
            self.benchmark_network,
            self.extensions_heartbeat,
        )
        handlers = {
            "call_stack": self.get_call_stack,
            "profile": self.get_profile,
            "profile_metadata": self.get_profile_metadata,
            "plugin-add": self.plugin_add,
            "plugin-remove": self.plugin_remove,
            **{handler.__name__: handler for handler in own_handlers},
        }
        directory = options["local_directory"]
        ServerNode.__init__(
            self,
            handlers=handlers,
            stream_handlers={},
            connection_args=self.connection_args,
            local_directory=directory,
            needs_workdir=False,
        )
        # Of Server's own operations only those that Python code serves.
        self.handlers = {name: handler for name, handler in self.handlers.items() if name in handlers}
        if self.local_directory != directory:
            with contextlib.suppress(ValueError):
                sys.path.remove(self.local_directory)
            self.local_directory = directory
            if directory not in sys.path:
                sys.path.insert(0, directory)
        self.memory_manager = SimpleNamespace(memory_limit=options.get("memory_limit"), data=service.store)  # type: ignore[assignment]
        state = State(
            nthreads=options["nthreads"],
            address=options["address"],
            data=service.store,
            threads=self.threads,
            plugins=self.plugins,
            resources=options.get("resources") or {},
            validate=False,
        )
        state.tasks = TasksView(service)  # type: ignore[assignment]
        state.service = service
        BaseWorker.__init__(self, state)
        self._address = options["address"]
        self.scheduler = self.rpc(options["scheduler_address"])
        self.execution_state = {"scheduler": self.scheduler.address, "ioloop": self.loop, "worker": self}
        self.preloads = preloading.process_preloads(
            self,
            options.get("preload") or dask.config.get("distributed.worker.preload"),
            options.get("preload_argv") or dask.config.get("distributed.worker.preload-argv"),
            file_dir=self.local_directory,
        )
        ServerNode.status.__set__(self, Status.running)  # type: ignore[attr-defined]
        stock.Worker._instances.add(self)

    def _init_profile(self) -> None:
        self.low_level_profiler = dask.config.get("distributed.worker.profile.low-level")
        self.profile_keys = defaultdict(profile.create)
        maxlen = dask.config.get("distributed.admin.low-level-log-length")
        self.profile_keys_history = deque(maxlen=maxlen)
        self.profile_history = deque(maxlen=maxlen)
        self.profile_recent = profile.create()

    async def start_unsafe(self) -> Worker:
        await self.rpc.start()
        await self.preloads.start()
        return self

    # ---- what stock does with its server, its state machine and its stream ----

    @property
    def data(self) -> Any:
        return self.service.store

    @ServerNode.status.setter  # type: ignore[attr-defined]
    def status(self, value: Status) -> None:
        """The C++ side decides; code that sets a status only changes what it sees here."""
        ServerNode.status.__set__(self, value)  # type: ignore[attr-defined]

    def log_event(self, topic: Any, msg: Any) -> None:
        if not _is_dumpable(msg):
            raise TypeError(f"Message must be msgpack serializable. Got {type(msg)=} instead.")
        frames = dumps([list(topic) if isinstance(topic, (set, frozenset)) else topic, msg])
        self.service.channel.send(["log-event", len(frames)], frames)

    async def set_resources(self, **resources: float) -> None:
        totals = {**self.state.total_resources, **resources}
        self.batched_send({"op": "set-resources-native", "resources": totals})  # for the C++ side, not for the scheduler
        await super().set_resources(**resources)

    def batched_send(self, msg: dict[str, Any]) -> None:
        if msg.get("op") == "log-event":
            return self.log_event(msg["topic"], msg["msg"])
        frames = dumps(msg)
        self.service.channel.send(["send", len(frames)], frames)

    def handle_stimulus(self, *stims: StateMachineEvent) -> None:
        for stim in stims:
            if isinstance(stim, SecedeEvent):
                self.service.seceded(stim.key, stim.compute_duration)
            elif isinstance(stim, UpdateDataEvent):
                self.update_data(stim.data)
            else:
                logger.warning("Python code sent %s, which this worker does not take from there", type(stim).__name__)

    def update_data(self, data: dict, stimulus_id: str | None = None) -> dict[str, Any]:
        described = [describe_value(key, value) for key, value in data.items()]
        for key, value in data.items():
            self.service.store[key] = value
        self.service.channel.send(["stored", described])
        return {"nbytes": {key: nbytes for key, nbytes, _, _ in described}, "status": "OK"}

    def digest_metric(self, name: Any, value: float) -> None:
        with self._digests_lock:
            first = not self._digests
            self._digests[name] = self._digests.get(name, 0) + value
        if first:
            self.service.on_loop(lambda: self.service.later(DIGESTS_SECONDS, self.send_digests))

    def send_digests(self) -> None:
        """From any thread. Tasks send what was measured so far before they are reported: a heartbeat that comes after their end has it."""
        if not self._digests:
            return
        with self._digests_lock:
            digests, self._digests = self._digests, {}
        for name, value in digests.items():
            frames = dumps([name, value])
            self.service.channel.send(["digest", len(frames)], frames)

    async def close(self, timeout: float = 30, executor_wait: bool = True, nanny: bool = True, reason: str = "worker-close") -> str | None:
        """Asks C++ to close the worker, which ends this process after teardown()."""
        self.service.channel.send(["close", clean_text(str(reason)), bool(nanny)])
        return "OK"

    async def teardown(self) -> None:
        """What stock's close() does with user code, before the process ends."""
        ServerNode.status.__set__(self, Status.closing)  # type: ignore[attr-defined]
        for name in list(self.plugins):
            await self.plugin_remove(name)
        for extension in self.extensions.values():
            if hasattr(extension, "close"):
                result = extension.close()
                if hasattr(result, "__await__"):
                    await result
        await self.preloads.teardown()
        for callback in self.periodic_callbacks.values():
            callback.stop()
        for client in list(stock.Worker._initialized_clients):
            client._asynchronous = True
            await client.close(timeout=1)

    async def plugin_remove(self, name: str) -> Any:
        if name not in self.plugins:  # stock logs a traceback, too, but a plugin may just have failed to be added
            return stock.error_message(KeyError(name))
        return await super().plugin_remove(name=name)

    def extensions_heartbeat(self) -> dict[str, Any]:
        """What extensions (P2P shuffle) want to say in the worker's heartbeat."""
        return {name: extension.heartbeat() for name, extension in self.extensions.items() if hasattr(extension, "heartbeat")}

    def wants_transitions(self) -> bool:
        return any(getattr(type(plugin), "transition", None) not in (None, WorkerPlugin.transition) for plugin in self.plugins.values())

    def transition(self, key: Any, start: str, finish: str) -> None:
        for plugin in list(self.plugins.values()):
            if hasattr(plugin, "transition"):
                try:
                    plugin.transition(key, start, finish)
                except Exception:
                    logger.info("Plugin '%s' failed with exception", plugin, exc_info=True)
