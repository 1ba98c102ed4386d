"""Failing user code ends in a clear error at the client, and everything else goes on."""

import operator
import os
import signal

import pytest
from cluster import IS_STOCK
from dask import delayed
from distributed import KilledWorker, wait
from distributed.scheduler import NoValidWorkerError, NoWorkerError


class RaisesOnArrival:
    """An argument that pickles but does not unpickle."""

    def __reduce__(self):
        return (_raise, ("this object does not unpickle",))


class EndsItsProcess:
    """An argument that ends the process that unpickles it."""

    def __reduce__(self):
        return (os._exit, (3,))


def _raise(message):
    raise ValueError(message)


def test_an_exception_arrives_with_its_type_and_text(client):
    future = client.submit(operator.truediv, 1, 0)
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        future.result(timeout=10)
    assert future.status == "error"


def test_the_traceback_arrives_too(client):
    def culprit():
        raise LookupError("lost")

    future = client.submit(culprit, pure=False)
    wait(future, timeout=10)
    names = []
    traceback = future.traceback()
    while traceback is not None:
        names.append(traceback.tb_frame.f_code.co_name)
        traceback = traceback.tb_next
    assert "culprit" in names


def test_tasks_that_depend_on_a_failed_one_fail_with_its_exception(client):
    failed = client.submit(operator.truediv, 2, 0)
    later = client.submit(abs, client.submit(operator.neg, failed))
    with pytest.raises(ZeroDivisionError):
        later.result(timeout=10)


def test_a_failure_does_not_stop_the_others(client):
    futures = client.map(lambda x: 1 // x, [0, 1, 2])
    wait(futures, timeout=10)
    assert [future.status for future in futures] == ["error", "finished", "finished"]
    assert client.gather(futures, errors="skip") == [1, 0]


def test_an_exception_inside_a_graph(client):
    with pytest.raises(ValueError, match="inside"):
        (delayed(_raise)("inside") + 1).compute()


def test_a_result_that_does_not_serialize_is_an_error(client):
    future = client.submit(lambda: (x for x in "ab"), pure=False)
    with pytest.raises(TypeError):
        future.result(timeout=10)
    assert client.submit(len, "abc").result(timeout=10) == 3


def test_a_graph_that_does_not_unpickle_is_an_error(client):
    future = client.submit(abs, RaisesOnArrival(), pure=False, key="does-not-unpickle")
    with pytest.raises(Exception, match=r"does not unpickle|deserialization"):
        future.result(timeout=15)
    assert client.submit(len, "abcd").result(timeout=10) == 4


@pytest.mark.skipif(IS_STOCK, reason="the stock scheduler unpickles graphs itself, and dies")
def test_a_graph_that_kills_the_graph_helper_fails_alone(client):
    future = client.submit(abs, EndsItsProcess(), pure=False, key="kills-the-helper")
    with pytest.raises(Exception, match="helper"):
        future.result(timeout=30)
    assert client.submit(len, "abcde").result(timeout=30) == 5


def test_a_task_that_kills_its_workers_is_given_up(make_cluster):
    from distributed import Client

    cluster = make_cluster(DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1")
    for name in "abc":
        cluster.start_worker(name)
    with Client(cluster.address) as client:
        client.wait_for_workers(3, timeout=30)
        future = client.submit(lambda: os.kill(os.getpid(), signal.SIGKILL), pure=False)
        with pytest.raises(KilledWorker, match="died while") as caught:
            future.result(timeout=30)
        assert caught.value.task == future.key
        assert caught.value.last_worker.address.startswith("tcp://")
        assert client.submit(len, "ab").result(timeout=10) == 2


def test_a_task_that_no_worker_may_run_is_given_up(make_cluster):
    from distributed import Client

    cluster = make_cluster(DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT="100ms")
    cluster.start_worker("a")
    with Client(cluster.address) as client:
        client.wait_for_workers(1, timeout=30)
        keys = [("x", 0), "y"]
        futures = [
            client.submit(abs, 1, key=keys[0], workers=["127.0.0.2:1234"]),
            client.submit(abs, 1, key=keys[1], resources={"GPU": 1}, workers=["elsewhere"]),
        ]
        with pytest.raises(NoValidWorkerError, match="restrictions") as caught:
            futures[0].result(timeout=30)
        assert caught.value.task == keys[0]
        assert {restriction.removeprefix("tcp://") for restriction in caught.value.worker_restrictions} == {"127.0.0.2:1234"}
        assert caught.value.timeout == 0.1
        with pytest.raises(NoValidWorkerError) as caught:
            futures[1].result(timeout=30)
        assert caught.value.host_restrictions == {"elsewhere"}
        assert caught.value.resource_restrictions == {"GPU": 1}
        told = [event for _, event in client.get_events("scheduler") if event["action"] == "no-workers-timeout-exceeded"]
        assert set().union(*(event["keys"] for event in told)) == set(keys)


def test_a_task_without_any_worker_is_given_up(make_cluster):
    from distributed import Client

    cluster = make_cluster(DASK_DISTRIBUTED__SCHEDULER__NO_WORKERS_TIMEOUT="100ms")
    with Client(cluster.address) as client:
        future = client.submit(abs, 1, key="x")
        with pytest.raises(NoWorkerError, match="without any running workers") as caught:
            future.result(timeout=30)
        assert (caught.value.task, caught.value.timeout) == ("x", 0.1)
