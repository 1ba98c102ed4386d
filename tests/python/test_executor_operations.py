"""The executor's operations, over its socket: Client.run, plugins, actors, uploads, profiles; and clients inside tasks."""

import os
import pickle
import threading
import time

import cloudpickle
import distributed
import numpy
import pytest
from dask._task_spec import TaskRef
from distributed import WorkerPlugin, get_client, get_worker
from distributed.core import clean_exception
from distributed.protocol import to_serialize
from executor_driver import Executor, ExecutorDied, inc


@pytest.fixture(scope="module")
def executor():
    with Executor(nthreads=2) as executor:
        executor.wait_for("ready")
        yield executor


def exception_of(reply):
    return clean_exception(**reply)[1]


# ---- Client.run ----


def test_run_gives_the_worker_to_functions_that_want_it(executor):
    reply = executor.run_function(lambda x, dask_worker: (dask_worker.address, x, threading.current_thread() is threading.main_thread()), 1)
    assert reply == {"status": "OK", "result": ("tcp://127.0.0.1:1", 1, True)}


def test_run_of_a_coroutine(executor):
    async def function(dask_worker, y=0):
        import asyncio

        await asyncio.to_thread(int)
        return dask_worker.name, y

    assert executor.run_function(function, y=2)["result"] == ("w", 2)


def test_run_that_raises_answers_with_the_error(executor):
    reply = executor.run_function(lambda: 1 / 0)
    assert reply["status"] == "error"
    assert isinstance(exception_of(reply), ZeroDivisionError)


def test_wrong_calls_are_answered_with_errors(executor):
    reply = executor.call("run", function=b"no pickle")
    assert reply["status"] == "uncaught-error"
    reply = executor.call("run", no_such_argument=1)
    assert reply["status"] == "uncaught-error" and isinstance(exception_of(reply), TypeError)
    assert executor.call("sing").op == "no-handler"


def test_a_result_that_does_not_serialise_is_an_error_for_whoever_asked(executor):
    with pytest.raises(TypeError, match="Could not serialize"):
        executor.run_function(threading.Lock)


def test_sys_exit_in_run_ends_the_process():
    with Executor() as executor:
        with pytest.raises(ExecutorDied) as died:
            executor.run_function(exit_now)
        assert died.value.args[0] == 4


def exit_now():
    raise SystemExit(4)


def test_logs_of_the_worker_are_kept(executor):
    executor.run_function(lambda: __import__("logging").getLogger("distributed.worker").warning("look at this"))
    level, line = executor.call("get_logs", n=1)[0]
    assert level == "WARNING" and "look at this" in line


def test_versions(executor):
    assert executor.call("versions", packages=None)["packages"]["distributed"] == distributed.__version__


# ---- plugins ----


class Plugin(WorkerPlugin):
    name = "plugin-under-test"

    def setup(self, worker):
        self.worker = worker
        worker.seen = []
        worker.handlers["plugin_op"] = self.operation
        worker.stream_handlers["plugin-stream"] = self.on_stream

    def operation(self, x):
        return {"status": "OK", "x": x + 1, "data": to_serialize([x])}

    def on_stream(self, y):
        self.worker.seen.append(y)

    def transition(self, key, start, finish, **kwargs):
        self.worker.seen.append((key, start, finish))

    def teardown(self, worker):
        worker.log_event("plugin", "torn down")


def test_plugins_add_operations_and_see_transitions(executor):
    assert executor.call("plugin-add", plugin=cloudpickle.dumps(Plugin()), name=None) == {"status": "OK"}
    known = executor.wait_for("operations", wants_transitions=True)
    assert "plugin_op" in known.operations and known.stream_operations == ("plugin-stream",)
    assert executor.call("plugin_op", x=1) == {"status": "OK", "x": 2, "data": [1]}
    import msgpack

    executor.send(["transition", "x", "waiting", "ready"], ["stream", 1], blobs=[msgpack.packb({"op": "plugin-stream", "y": 5})])
    assert executor.run_function(lambda dask_worker: dask_worker.seen)["result"] == [("x", "waiting", "ready"), 5]
    executor.send(["stream", 1], blobs=[msgpack.packb({"op": "nobody-knows"})])
    executor.send(["stream", 1], blobs=[msgpack.packb({"op": "plugin-stream", "wrong": 5})])
    assert executor.call("plugin-remove", name="plugin-under-test") == {"status": "OK"}
    assert executor.wait_for("log-event").value == ("plugin", "torn down")
    executor.wait_for("operations", wants_transitions=False)


def test_a_plugin_that_fails_is_answered_with_the_error(executor):
    class Bad(WorkerPlugin):
        def setup(self, worker):
            raise ValueError("no setup")

    reply = executor.call("plugin-add", plugin=cloudpickle.dumps(Bad()), name="bad")
    assert reply["status"] == "error" and str(exception_of(reply)) == "no setup"
    assert executor.call("plugin-remove", name="not-there")["status"] == "error"


def test_the_shuffle_plugin_is_at_home(executor):
    from distributed.shuffle._worker_plugin import ShuffleWorkerPlugin

    assert executor.call("plugin-add", plugin=pickle.dumps(ShuffleWorkerPlugin()), name="shuffle") == {"status": "OK"}
    known = executor.wait_for("operations")
    while "shuffle_receive" not in known.operations:
        known = executor.wait_for("operations")
    assert "shuffle-fail" in known.stream_operations
    assert executor.call("extensions_heartbeat") == {"shuffle": {}}


def test_stopping_tears_plugins_down():
    with Executor() as executor:
        executor.call("plugin-add", plugin=cloudpickle.dumps(Plugin()), name=None)
        executor.send(["stop"])
        assert executor.wait_for("log-event").value == ("plugin", "torn down")
        with pytest.raises(ExecutorDied) as died:
            executor.wait_for("finished")
        assert died.value.args[0] == 0


def test_a_file_that_is_uploaded_can_be_imported(tmp_path):
    with Executor(local_directory=str(tmp_path)) as executor:
        reply = executor.call("upload_file", filename="uploaded_for_test.py", data=b"x = 123", load=True)
        assert reply == {"status": "OK", "nbytes": 7}
        executor.run("import", import_it)
        assert executor.value("import") == 123
        assert os.path.exists(tmp_path / "uploaded_for_test.py")
        reply = executor.call("upload_file", filename="broken_for_test.py", data=b"x = ", load=True)
        assert reply["status"] == "uncaught-error" and isinstance(exception_of(reply), SyntaxError)


def import_it():
    import uploaded_for_test

    return uploaded_for_test.x


def test_preloads_are_set_up_and_torn_down(tmp_path):
    (tmp_path / "preload_for_test.py").write_text(
        "import click\n"
        "@click.command()\n"
        "@click.option('--value')\n"
        "def dask_setup(worker, value):\n    worker.preloaded = value\n"
        "def dask_teardown(worker):\n    worker.log_event('preload', 'torn down')\n"
    )
    options = {"preload": [str(tmp_path / "preload_for_test.py")], "preload_argv": [["--value", "v"]]}
    with Executor(**options) as executor:
        assert executor.run_function(lambda dask_worker: dask_worker.preloaded)["result"] == "v"
        executor.send(["stop"])
        assert executor.wait_for("log-event").value == ("preload", "torn down")


# ---- actors ----


class Counter:
    n = 0

    def increment(self, by=1):
        self.n += by
        return self.n, get_worker().address, distributed.utils.thread_state.key

    async def later(self):
        return "later"

    def fail(self):
        raise ValueError("no")


def test_an_actor_answers_with_arrays(executor):
    executor.run("array", Holder, actor=True)
    array = numpy.arange(1000.0).reshape(10, 100)
    call = {"actor": "array", "kwargs": {}}
    for view in (array, array[:, ::2], array.T):
        executor.call("actor_execute", function="put", args=[to_serialize(view)], **call)
        assert (executor.call("actor_execute", function="get", args=[], **call)["result"] == view).all()


class Holder:
    def put(self, value):
        self.value = value

    def get(self):
        return self.value


def test_an_actor_stays_and_its_methods_are_called(executor):
    finished = executor.run("counter", Counter, actor=True)
    assert finished.op == "finished" and finished.typename.endswith("Counter")
    call = {"actor": "counter", "args": [], "kwargs": {}}
    reply = executor.call("actor_execute", function="increment", **{**call, "args": [to_serialize(2)]})
    assert reply == {"status": "OK", "result": (2, "tcp://127.0.0.1:1", "counter.increment")}
    assert executor.call("actor_execute", function="later", **call)["result"] == "later"
    reply = executor.call("actor_execute", function="fail", **call)
    assert reply["status"] == "error" and isinstance(reply["exception"], ValueError)
    assert executor.call("actor_attribute", actor="counter", attribute="n") == {"status": "OK", "result": 2}
    assert executor.call("actor_attribute", actor="counter", attribute="m")["status"] == "error"
    # Others get a proxy.
    assert type(executor.value("counter")) is distributed.Actor
    assert executor.run("uses-actor", type_name, TaskRef("counter")).op == "finished"
    assert executor.value("uses-actor") == "Actor"
    executor.send(["drop", ["counter"]])
    assert executor.call("actor_execute", function="increment", **call)["status"] == "uncaught-error"


def type_name(x):
    return type(x).__name__


# ---- looking inside ----


def test_call_stack_and_profile_show_what_runs(executor):
    token = executor.execute("spins", spin, 0.5)
    while "spins" not in (stacks := executor.call("call_stack", keys=None)):
        pass
    assert any("def spin" in line or "spin" in line for line in stacks["spins"])
    executor.wait_for("finished", token=token)
    for key in None, "spins":
        profile = {}
        while "spin" not in str(profile):  # once the cycle of a second is over
            profile = executor.call("profile", start=None, stop=None, key=key)
        assert profile["count"] > 0
    assert executor.call("profile_metadata")["counts"]


def spin(seconds):
    end = time.time() + seconds
    while time.time() < end:
        sum(range(100))


def test_a_profile_of_short_tasks_takes_one_look_an_interval_and_no_more(executor):
    executor.run_function(count_timers)
    start = time.monotonic()
    for i in range(100):
        assert executor.run(f"short-{i}", inc, i).op == "finished"
    seconds = time.monotonic() - start
    timers = executor.run_function(stop_counting)["result"]
    assert 0 < timers <= seconds / PROFILE_INTERVAL_SECONDS + 2  # one ends the cycle


PROFILE_INTERVAL_SECONDS = 0.01


def count_timers(dask_worker):
    service = dask_worker.service
    later = service.later
    service.timers = 0

    def counting(seconds, work):
        service.timers += work.__qualname__.startswith("Sampler")
        later(seconds, work)

    service.later = counting


def stop_counting(dask_worker):
    service = dask_worker.service
    del service.later
    return service.timers


def test_what_is_measured_outside_of_tasks_is_summed_up(executor):
    executor.run_function(digest)
    event = executor.wait_for("digest")
    while event.value[0] != ("p2p", "bytes"):
        event = executor.wait_for("digest")
    assert event.value == (("p2p", "bytes"), 3.5)


def digest(dask_worker):
    dask_worker.digest_metric(("p2p", "bytes"), 1.5)
    dask_worker.digest_metric(("p2p", "bytes"), 2)


def test_what_a_task_measures_is_told_before_its_end(executor):
    executor.run("measures", digest_in_a_task)
    assert [event.value for event in executor.pending if event.op == "digest" and event.value[0] == ("p2p", "in a task")] == [
        (("p2p", "in a task"), 1.5)
    ]


def digest_in_a_task():
    get_worker().digest_metric(("p2p", "in a task"), 1.5)


def test_updates_change_what_is_seen(executor):
    executor.send(["update", {"nthreads": 4, "status": "paused", "scheduler_delay": 0.5}])
    seen = executor.run_function(lambda dask_worker: (dask_worker.state.nthreads, dask_worker.status.name, dask_worker.scheduler_delay))
    assert seen["result"] == (4, "paused", 0.5)
    barrier = [executor.execute(f"barrier-{i}", wait_for_four) for i in range(4)]
    for token in barrier:
        assert executor.wait_for("finished", "failed", token=token).op == "finished"
    executor.send(["update", {"nthreads": 2, "status": "running"}])


BARRIER = threading.Barrier(4, timeout=60)


def wait_for_four():
    BARRIER.wait()


def test_garbage_is_collected_when_asked(executor):
    executor.run_function(make_cycle)
    executor.send(["update", {"collect": True}])
    while executor.run_function(lambda: __import__("sys").modules["test_executor_operations"].COLLECTED)["result"] != [1]:
        pass


COLLECTED = []


class Collected:
    def __del__(self):
        COLLECTED.append(1)


def make_cycle():
    import gc

    gc.disable()  # only for this test: nothing else shall collect it
    one = Collected()
    one.itself = one


def test_code_may_ask_the_worker_to_close(executor):
    executor.run_function(close_worker)
    assert executor.wait_for("close").reason == "because"


async def close_worker(dask_worker):
    await dask_worker.close(reason="because")


# ---- clients inside tasks ----


def test_a_task_has_a_client_of_the_worker_s_scheduler():
    """The executor next to a stock scheduler with a stock worker: what get_client() submits runs there."""
    # Under the address of the stock worker, which the scheduler knows.
    with (
        distributed.LocalCluster(1, threads_per_worker=1, dashboard_address=None, processes=False, protocol="tcp") as cluster,
        Executor(scheduler_address=cluster.scheduler_address, address=cluster.workers[0].worker_address) as executor,
    ):
        finished = executor.run("uses-client", use_client)
        assert finished.op == "finished", finished
        assert executor.value("uses-client") == ([1, 2, 3], True, 42)
        topics = {executor.wait_for("log-event").value[0] for _ in range(4)}
        assert topics == {"worker-get-client", "worker-client"}
        executor.wait_for("seceded")
        executor.wait_for("stored")
        executor.run("uses-lock", use_lock)
        assert executor.value("uses-lock") == "locked"
        executor.send(["stop"])
        with pytest.raises(ExecutorDied) as died:
            executor.wait_for("finished")
        assert died.value.args[0] == 0


def use_client():
    client = get_client()
    assert client is get_client()
    with distributed.worker_client() as other:
        same = other is client
        results = client.gather(client.map(inc, range(3)))
    (future,) = client.scatter([42])
    return results, same, client.gather(future)


def use_lock():
    with distributed.Lock("l"):
        return "locked"
