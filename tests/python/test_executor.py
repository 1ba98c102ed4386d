"""The executor alone, over its socket: tasks, their results and failures, data of peers, and how it ends."""

import asyncio
import operator
import os
import pickle
import sys
import threading
import time

import distributed
import msgpack
import numpy as np
import pytest
from dask._task_spec import Task, TaskRef
from distributed import get_worker
from executor_driver import Executor, UnpacksWithError, inc, pack, spec_of, unpack


@pytest.fixture(scope="module")
def executor():
    with Executor(nthreads=2) as executor:
        executor.wait_for("ready")
        yield executor


# ---- tasks and data ----


def test_says_what_it_is_and_what_it_serves():
    with Executor() as executor:
        ready = executor.wait_for("ready")
        assert ready.pid == executor.process.pid
        assert ready.value["packages"]["distributed"] == distributed.__version__
        known = executor.wait_for("operations")
        assert {"run", "plugin-add", "actor_execute", "call_stack", "get_logs"} <= set(known.operations)
        assert "get_data" not in known.operations


def test_runs_a_task_and_keeps_its_result(executor):
    before = time.time()
    finished = executor.run("x-1", inc, 1)
    assert finished.op == "finished"
    assert pickle.loads(finished.type) is int
    assert finished.typename == "int"
    assert finished.nbytes == sys.getsizeof(2)
    assert before <= finished.start <= finished.stop <= time.time()
    assert dict((label, unit) for label, unit, _ in finished.metrics) == {"thread-cpu": "seconds", "thread-noncpu": "seconds"}
    assert executor.value("x-1") == 2


def test_a_task_gets_results_that_are_held_as_they_are(executor):
    executor.run("list", list, (1, 2))
    executor.run("append", operator.iadd, TaskRef("list"), [3])
    assert executor.value("list") == [1, 2, 3]


@pytest.mark.parametrize("key", ["text", ("tuple", 1, 2.5), 12, 1.5, ("nested", ("a", 0)), "ü-\N{SNOWMAN}"])
def test_every_kind_of_key_comes_back_unchanged(executor, key):
    assert executor.run(key, inc, 1).op == "finished"
    assert executor.value(key) == 2
    assert executor.run("after", inc, TaskRef(key)).op == "finished"


def test_data_of_peers_is_unpacked_when_a_task_needs_it_and_stays(executor):
    value = np.arange(100_000)
    executor.run("sum", np.sum, TaskRef("array"), packed={"array": pack(value)})
    assert executor.value("sum") == value.sum()
    assert executor.run("again", np.max, TaskRef("array")).op == "finished"
    # Writable, as after a transfer to a stock worker.
    assert executor.run("write", operator.setitem, TaskRef("array"), 0, 7).op == "finished"
    assert executor.value("array")[0] == 7


def test_put_measures_what_it_stores(executor):
    header, *frames = pack({"a": list(range(10))})
    request = executor.number()
    executor.send(["put", request, [["put-1", header, len(frames)]]], blobs=frames)
    ((key, nbytes, typ, name, failure),) = executor.wait_for("put-done", request=request)["items"]
    assert (key, name, failure) == ("put-1", "dict", None)
    assert 200 < nbytes < 2000
    assert pickle.loads(typ) is dict


def test_data_that_was_not_used_travels_on_as_it_came(executor):
    header, *frames = pack(UnpacksWithError())
    executor.send(["put", None, [["unused", header, len(frames)]]], blobs=frames)
    assert executor.serialise("unused") == {"unused": [header, *frames]}


def test_data_that_cannot_be_unpacked_fails_the_task_and_the_put(executor):
    packed = pack(UnpacksWithError())
    failed = executor.run("uses-bad", inc, TaskRef("bad"), packed={"bad": packed})
    assert failed.op == "failed" and failed.exception_text == "ValueError('cannot be unpacked')"
    assert failed.start is None
    request = executor.number()
    executor.send(["put", request, [["bad-2", packed[0], len(packed) - 1]]], blobs=packed[1:])
    ((_, _, _, _, failure),) = executor.wait_for("put-done", request=request)["items"]
    assert failure[2] == "ValueError('cannot be unpacked')"
    assert executor.serialise("bad-2") == {"bad-2": None}


def test_a_long_sub_header_may_be_a_blob(executor):
    big = "x" * 100_000
    header, *frames = spec_of(Task("long", len, big))
    token = executor.number()
    executor.send(["execute", token, "long", 1, "pickled", None, 1, (), (), False, 0], blobs=[header, *frames])
    assert executor.wait_for("finished", token=token)
    assert executor.value("long") == 100_000


class Gate:
    """A named pipe at which one task waits; who comes first, task or test, waits for the other."""

    def __init__(self, folder):
        self.path = str(folder / "gate")
        os.mkfifo(self.path)

    def wait_for_arrival(self):
        self._end = os.open(self.path, os.O_WRONLY)

    def open(self):
        os.close(self._end)


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path)


def return_at_gate(path, x):
    with open(path) as pipe:
        pipe.read()
    return x


def test_drop_forgets_and_running_tasks_keep_what_they_were_given(executor, gate):
    executor.run("kept", inc, 1)
    token = executor.execute("uses-kept", return_at_gate, gate.path, TaskRef("kept"))
    gate.wait_for_arrival()
    executor.send(["drop", ["kept", "never-there"]])
    assert executor.serialise("kept") == {"kept": None}
    gate.open()
    assert executor.wait_for("finished", "failed", token=token).op == "finished"
    assert executor.value("uses-kept") == 2


def test_a_task_whose_input_is_not_held_fails(executor):
    failed = executor.run("lost", inc, TaskRef("nowhere"))
    assert failed.op == "failed"
    assert failed.exception_text == "KeyError('nowhere')"


def test_many_tasks_in_one_message(executor):
    messages, blobs = [], []
    tokens = set()
    for i in range(500):
        token = executor.number()
        tokens.add(token)
        header, n, inputs, items, actor, n_annotations, more = executor.execute_message(spec_of(Task(f"many-{i}", inc, i)))
        messages.append(["execute", token, f"many-{i}", 1, "pickled", header, n, inputs, items, actor, n_annotations])
        blobs.extend(more)
    executor.send(*messages, blobs=blobs)
    for _ in range(500):
        tokens.remove(executor.wait_for("finished").token)
    assert executor.value("many-499") == 500


def test_reports_do_not_wait_for_a_long_task_behind_them(executor, gate):
    quick = [executor.execute(f"quick-{i}", inc, i) for i in range(3)]
    long = executor.execute("long-one", return_at_gate, gate.path, 0)
    for token in quick:
        executor.wait_for("finished", token=token)  # would time out: the long one ends only now
    gate.wait_for_arrival()
    gate.open()
    executor.wait_for("finished", token=long)


def test_serialised_results_are_what_a_stock_worker_sends(executor):
    values = {
        "int": 1,
        "array": np.arange(1000).reshape(10, 100),
        "bytes": b"x" * 1000,
        "list-of-arrays": [np.ones(3), np.zeros(2)],
        "dict": {"a": np.ones(3)},
        "empty": np.empty((0, 3)),
        "none": None,
    }
    for key, value in values.items():
        executor.run(key, operator.itemgetter(0), [value])
    got = executor.serialise(*values)
    for key, value in values.items():
        back = unpack(got[key])
        np.testing.assert_equal(back, value)
        assert type(back) is type(value)
        assert msgpack.unpackb(got[key][0]).keys() == msgpack.unpackb(pack(value)[0]).keys()


def test_serializers_are_respected(executor):
    executor.run("ser", inc, 1)
    (packed,) = executor.serialise("ser", serializers=["msgpack"]).values()
    assert b"msgpack" in packed[0]


def test_a_result_that_does_not_serialise_says_so(executor):
    finished = executor.run("lock", threading.Lock)
    assert finished.op == "finished"
    request = executor.number()
    executor.send(["serialise", request, ["lock"], None, False])
    event = executor.wait_for("serialised", request=request)
    ((_, header, _, failure),) = event["items"]
    assert "Could not serialize object of type" in failure[2]
    with pytest.raises(TypeError, match="Could not serialize"):
        unpack([header, *event["frames"][0]])
    executor.run("locks", make_locks)
    assert "Could not serialize" in executor.serialise("locks")["locks"]


def make_locks():
    return [1, {"a": np.ones(2), "b": threading.Lock()}]


def test_a_type_that_does_not_pickle_is_sent_as_its_name(executor):
    finished = executor.run("local", make_local)
    assert "Local" in finished.typename
    loaded = pickle.loads(finished.type)
    assert loaded == "Local" or loaded.__name__ == "Local"


def make_local():
    class Local:
        pass

    return Local()


# ---- what a task sees ----


def describe_worker():
    worker = get_worker()
    state = distributed.utils.thread_state
    return {
        "address": worker.address,
        "name": worker.name,
        "nanny": worker.nanny,
        "nthreads": worker.state.nthreads,
        "scheduler": worker.scheduler.address,
        "local_directory": worker.local_directory,
        "memory_limit": worker.memory_manager.memory_limit,
        "current": worker.get_current_task(),
        "key": state.key,
        "start_time": state.start_time > 0,
        "state": worker.state.tasks[worker.get_current_task()].state,
        "held": "seen" in worker.data,
        "value": worker.data["seen"],
        "repr": repr(worker),
        "status": worker.status.name,
        "active": list(worker.active_threads.values()),
        "is_worker": isinstance(worker, distributed.Worker),
        "resources": worker.state.total_resources,
        "thread": threading.current_thread().name,
    }


def test_get_worker_describes_this_worker(tmp_path):
    options = {"name": 3, "nanny": "tcp://127.0.0.1:9", "memory_limit": 10**9, "local_directory": str(tmp_path), "resources": {"GPU": 2}}
    with Executor(nthreads=3, **options) as executor:
        executor.run("seen", inc, 1)
        executor.run("describe", describe_worker)
        seen = executor.value("describe")
        assert seen.pop("repr").startswith("<Worker 'tcp://127.0.0.1:1', name: 3, status: running, stored: 1, running: 1/3")
        assert "Dask-Default-Threads" in seen.pop("thread")
        assert seen == {
            "address": "tcp://127.0.0.1:1",
            "name": 3,
            "nanny": "tcp://127.0.0.1:9",
            "nthreads": 3,
            "scheduler": "tcp://127.0.0.1:2",
            "local_directory": str(tmp_path),
            "memory_limit": 10**9,
            "current": "describe",
            "key": "describe",
            "start_time": True,
            "state": "executing",
            "held": True,
            "value": 2,
            "status": "running",
            "active": ["describe"],
            "is_worker": True,
            "resources": {"GPU": 2},
        }


def test_no_worker_is_seen_outside_of_tasks(executor):
    assert executor.run_function(outside)["result"] == "none"


def outside():
    try:
        get_worker()
    except ValueError:
        return "none"


def test_a_coroutine_task_runs_on_the_loop(executor):
    assert executor.run("coro", coroutine, 1).op == "finished"
    assert executor.value("coro") == (2, "tcp://127.0.0.1:1", True)
    failed = executor.run("coro-fails", coroutine, "a")
    assert failed.op == "failed" and "TypeError" in failed.exception_text


async def coroutine(x):
    await asyncio.to_thread(int)
    return x + 1, get_worker().address, threading.current_thread() is threading.main_thread()


def test_secede_frees_the_thread_and_says_so():
    with Executor(nthreads=1) as executor:
        token = executor.execute("seceder", secede_and_wait)
        assert executor.wait_for("seceded").token == token
        assert executor.run("release", set_flag).op == "finished"  # on the only thread
        assert executor.wait_for("finished", token=token)
        assert executor.value("seceder") == "released"
        assert executor.run("after", inc, 1).op == "finished"


FLAG = threading.Event()


def secede_and_wait():
    distributed.secede()
    FLAG.wait(60)
    distributed.rejoin()
    return "released"


def set_flag():
    FLAG.set()


def test_events_of_tasks_are_passed_on(executor):
    executor.run("log", log_things)
    topics = {}
    for _ in range(4):
        topic, message = executor.wait_for("log-event").value
        topics[topic] = message
    assert topics["print"]["args"] == ("hello", "1")
    assert topics["print"]["file"] == 2
    assert pickle.loads(topics["warn"]["message"]) == "careful"
    assert topics["mine"] == {"x": 1}
    assert topics[("a", "b")] == "both"
    failed = executor.run("log-bad", log_bad)
    assert "msgpack serializable" in failed.exception_text


def log_things():
    distributed.print("hello", 1, file=sys.stderr)
    distributed.warn("careful")
    get_worker().log_event("mine", {"x": 1})
    get_worker().log_event(["a", "b"], "both")


def log_bad():
    get_worker().log_event("mine", object())


def test_a_task_that_updates_data_tells(executor):
    executor.run("updates", update_data)
    ((key, nbytes, _, name),) = executor.wait_for("stored")["items"]
    assert (key, name) == ("scattered", "bytes") and nbytes >= 1000
    assert executor.value("scattered") == b"x" * 1000


def update_data():
    get_worker().update_data({"scattered": b"x" * 1000})


def test_metrics_of_users_are_reported(executor):
    finished = executor.run("metrics", measure_things)
    metrics = {label: (unit, value) for label, unit, value in finished.metrics}
    assert metrics["my-bytes"] == ("bytes", 12.0)
    assert metrics[("a", 1)][0] == "seconds"
    assert {"thread-cpu", "thread-noncpu"} <= set(metrics)


def measure_things():
    distributed.metrics.context_meter.digest_metric("my-bytes", 12, "bytes")
    with distributed.metrics.context_meter.meter(("a", 1)):
        pass


def test_the_span_of_a_task_is_known_to_what_it_submits(executor):
    executor.run("span", current_annotations, annotations={"span": {"name": ("n",), "ids": ("i",)}})
    assert executor.value("span") == {"span": {"name": ("n",), "ids": ("i",)}}
    executor.run("no-span", current_annotations)
    assert executor.value("no-span") == {}


def current_annotations():
    import dask

    return dict(dask.get_annotations())


def test_context_variables_of_one_task_are_not_seen_by_the_next(executor):
    for i in range(4):
        executor.run(f"context-{i}", use_context)
        assert executor.value(f"context-{i}") == "unset"


def use_context():
    import contextvars

    global VARIABLE
    variable = globals().get("VARIABLE")
    if variable is None:
        variable = VARIABLE = contextvars.ContextVar("v", default="unset")
    seen = variable.get()
    variable.set("set")
    return seen
