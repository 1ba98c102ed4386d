"""P2P shuffles: workers exchange the data, the scheduler says who gets what and starts over when one of them is lost. All of it with Dask's
workers and with ours.
"""

import contextlib

import dask.array as da
import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
from cluster import Cluster, wait_until
from distributed import Client
from distributed.core import clean_exception
from distributed.shuffle._core import ShuffleRunSpec
from distributed.shuffle._exceptions import P2PConsistencyError


def numbers(rows=1000, npartitions=8):
    """A frame whose partitions need each other's rows, and the same in pandas."""
    frame = pd.DataFrame({"a": range(rows), "b": [i * 7 % 13 for i in range(rows)]})
    return dd.from_pandas(frame, npartitions=npartitions), frame


def sorted_rows(frame):
    return frame.sort_values(list(frame.columns)).reset_index(drop=True)


def assert_same_rows(result, expected):
    assert sorted_rows(result).to_dict("list") == sorted_rows(expected).to_dict("list")


def active_runs(client):
    """{worker: ids of shuffles at work}"""
    return client.run(lambda dask_worker: list(dask_worker.plugins["shuffle"].shuffle_runs._active_runs))


def states_of(client, prefix):
    return client.sync(client.scheduler.get_task_prefix_states).get(prefix, {})


def held(frame, gate, last=None):
    """A partition that waits for the gate, or only the one that holds row `last`."""
    if last is None or last in set(frame["a"]):
        gate.wait()
    return frame


@pytest.fixture(scope="module", params=["stock workers", "our workers"])
def native(request):
    return request.param == "our workers"


@pytest.fixture(scope="module")
def cluster(native, tmp_path_factory):
    """Two workers with one thread each, shared by the tests of this file."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), workers=2, native=native)
    yield cluster
    cluster.end()


@pytest.fixture
def make_cluster(native, make_cluster):
    """Makes clusters of the test's own, with workers of the kind that is tested."""
    return lambda **arguments: make_cluster(native=native, **arguments)


@pytest.fixture
def shuffle_cluster(make_cluster):
    """Three workers of the test's own, and a client."""
    cluster = make_cluster(workers=3)
    with Client(cluster.address) as client:
        client.wait_for_workers(3, timeout=60)
        yield cluster, client
    assert cluster.scheduler.is_running, cluster.scheduler.log


def test_shuffle(client):
    df, frame = numbers()
    result = df.shuffle("b").map_partitions(lambda part: pd.DataFrame({"a": [part["a"].sum()], "b": [part["b"].nunique()]}), meta=frame[:0])
    result = result.compute()
    assert result["a"].sum() == frame["a"].sum()
    assert result["b"].sum() == 13, "rows with equal b are in one partition"
    wait_until(lambda: not any(active_runs(client).values()), "the workers let go of the shuffle")


def test_merge_of_two_frames(client):
    df, frame = numbers()
    other = pd.DataFrame({"b": range(13), "name": [f"n{i}" for i in range(13)]})
    result = df.merge(dd.from_pandas(other, npartitions=5), on="b", shuffle_method="p2p", broadcast=False)
    barriers = [key for key in result.optimize().__dask_graph__() if str(key).startswith("shuffle-barrier-")]
    assert len(barriers) == 2, "this is the join of two shuffles"
    assert_same_rows(result.compute(), frame.merge(other, on="b"))


def test_set_index(client):
    df, frame = numbers()
    result = df.set_index("b").compute()
    assert list(result.index) == sorted(frame["b"])
    assert result["a"].sum() == frame["a"].sum()


def test_rechunk(client):
    values = np.arange(90 * 80 * 3).reshape(90, 80, 3)
    array = da.from_array(values, chunks=(10, 80, 3)).rechunk((90, 7, 2), method="p2p")
    assert any(str(key).startswith("shuffle-barrier-") for key in array.__dask_graph__())
    assert (array.compute() == values).all()


def test_some_output_partitions(client):
    df, _ = numbers()
    shuffled = df.shuffle("b", npartitions=6)
    whole = [part.compute() for part in shuffled.partitions]
    some = shuffled.partitions[[1, 4]].compute()
    assert_same_rows(some, pd.concat([whole[1], whole[4]]))


def test_two_shuffles_at_once(client, gate):
    """The second begins while the first holds its inputs, and both give the right answer."""
    df, frame = numbers()
    first = client.compute(df.map_partitions(held, gate, last=999, meta=frame[:0]).shuffle("b"))
    wait_until(lambda: any(active_runs(client).values()), "the first shuffle's start")
    second = client.compute(df.assign(a=df["a"] + 1).shuffle("b"))
    wait_until(lambda: any(len(runs) == 2 for runs in active_runs(client).values()), "the second shuffle's start")
    gate.open()
    assert_same_rows(first.result(timeout=60), frame)
    assert_same_rows(second.result(timeout=60), frame.assign(a=frame["a"] + 1))


def test_more_outputs_than_the_workers_threads(client):
    df, frame = numbers(rows=4000, npartitions=60)
    assert_same_rows(df.shuffle("b", npartitions=50).compute(), frame)


def test_a_worker_killed_while_inputs_are_transferred(shuffle_cluster, gate):
    cluster, client = shuffle_cluster
    df, frame = numbers()
    future = client.compute(df.map_partitions(held, gate, last=999, meta=frame[:0]).shuffle("b"))
    wait_until(lambda: states_of(client, "shuffle-transfer").get("memory"), "some transferred partitions")
    cluster.workers["b"].kill()
    wait_until(lambda: "restarted due to stimulus" in cluster.scheduler.log, "the shuffle starts over")
    gate.open()
    assert_same_rows(future.result(timeout=120), frame)
    assert len(client.scheduler_info()["workers"]) == 2


def test_a_worker_killed_while_outputs_are_read(shuffle_cluster, gate):
    cluster, client = shuffle_cluster
    df, frame = numbers()
    future = client.compute(df.shuffle("b").map_partitions(held, gate, meta=frame[:0]))
    wait_until(lambda: states_of(client, "shuffle-barrier").get("memory"), "the barrier")
    cluster.workers["a"].kill()
    wait_until(lambda: "restarted due to stimulus" in cluster.scheduler.log, "the shuffle starts over")
    gate.open()
    assert_same_rows(future.result(timeout=120), frame)


def test_a_worker_killed_while_an_array_is_rechunked(shuffle_cluster, gate):
    cluster, client = shuffle_cluster
    values = np.arange(64 * 64).reshape(64, 64)

    def wait_at(block):
        gate.wait()
        return block

    array = da.from_array(values, chunks=(8, 64)).rechunk((64, 8), method="p2p").map_blocks(wait_at, meta=values[:0, :0])
    future = client.compute(array)
    wait_until(lambda: states_of(client, "shuffle-barrier").get("memory"), "the barrier")
    cluster.workers["c"].kill()
    wait_until(lambda: "restarted due to stimulus" in cluster.scheduler.log, "the shuffle starts over")
    gate.open()
    assert (future.result(timeout=120) == values).all()


def held_shuffle(client, gate):
    """A shuffle that has started and cannot end before the gate is opened; and what it shuffles."""
    df, frame = numbers()
    future = client.compute(df.map_partitions(held, gate, last=999, meta=frame[:0]).shuffle("b"))
    wait_until(lambda: any(active_runs(client).values()), "the shuffle's start")
    return future, frame


def test_a_worker_that_joins_in_the_middle_changes_nothing(make_cluster, gate):
    cluster = make_cluster()
    cluster.start_worker("a", nthreads=2)
    with Client(cluster.address) as client:
        client.wait_for_workers(1, timeout=60)
        future, frame = held_shuffle(client, gate)
        cluster.start_worker("b")
        client.wait_for_workers(2, timeout=60)
        gate.open()
        assert_same_rows(future.result(timeout=60), frame)


def test_cancelled_while_it_runs(client, gate):
    future, frame = held_shuffle(client, gate)
    future.cancel()
    wait_until(lambda: not any(active_runs(client).values()), "the workers let go of the shuffle")
    gate.open()
    assert_same_rows(numbers()[0].shuffle("b").compute(), frame)


def test_a_failing_input_fails_the_shuffle(client):
    df, frame = numbers()

    def fail(part):
        if 999 in set(part["a"]):
            raise ValueError("spoiled")
        return part

    with pytest.raises((ValueError, RuntimeError), match=r"spoiled|failed during transfer"):
        df.map_partitions(fail, meta=frame[:0]).shuffle("b").compute()
    wait_until(lambda: not any(active_runs(client).values()), "the workers let go of the shuffle")


def test_what_workers_are_told_and_what_is_refused(shuffle_cluster, gate):
    _, client = shuffle_cluster
    df, frame = numbers()
    future = client.compute(df.map_partitions(held, gate, last=999, meta=frame[:0]).shuffle("b"))
    runs = wait_until(lambda: set().union(*active_runs(client).values()), "the shuffle's start")
    (shuffle,) = runs
    workers = sorted(client.scheduler_info()["workers"])

    def ask(operation, **arguments):
        return client.sync(getattr(client.scheduler, operation), **arguments)

    run = ask("shuffle_get", id=shuffle, worker=workers[0])["run_spec"]
    assert isinstance(run, ShuffleRunSpec)
    assert run.id == shuffle and run.run_id >= 1 and run.span_id is None
    assert sorted(run.worker_for) == list(range(8)) and set(run.worker_for.values()) == set(workers)
    assert list(run.spec.output_partitions) == list(range(8))
    key = next(k for keys in client.processing().values() for k in keys)

    for operation, arguments in {
        "shuffle_get": {"id": "unknown", "worker": workers[0]},
        "shuffle_restrict_task": {"id": shuffle, "run_id": run.run_id - 1, "key": key, "worker": workers[0]},
        "shuffle_get_or_create": {"shuffle_id": "unknown", "key": key, "worker": workers[0]},
    }.items():
        answer = ask(operation, **arguments)
        assert answer["status"] == "error"
        assert isinstance(clean_exception(**answer)[1], P2PConsistencyError)
    with pytest.raises(ValueError, match="does not match"):
        ask("shuffle_barrier", id=shuffle, run_id=run.run_id + 1, consistent=True)
    with pytest.raises(KeyError):
        ask("shuffle_barrier", id="unknown", run_id=1, consistent=True)
    assert not ask("workers_to_close", n=1), "whoever takes part in a shuffle is not closed"
    gate.open()
    assert_same_rows(future.result(timeout=60), frame)


def test_inputs_of_different_runs_start_the_shuffle_over(shuffle_cluster, gate):
    cluster, client = shuffle_cluster
    future, frame = held_shuffle(client, gate)
    (shuffle,) = set().union(*active_runs(client).values())
    worker = next(iter(client.scheduler_info()["workers"]))
    run_id = client.sync(client.scheduler.shuffle_get, id=shuffle, worker=worker)["run_spec"].run_id
    client.sync(client.scheduler.shuffle_barrier, id=shuffle, run_id=run_id, consistent=False)
    assert "restarted due to data inconsistency" in cluster.scheduler.log
    gate.open()
    assert_same_rows(future.result(timeout=120), frame)


def test_a_restart_ends_shuffles(make_cluster, gate):
    cluster = make_cluster()
    cluster.start_worker("a", nthreads=2)
    with Client(cluster.address) as client:
        client.wait_for_workers(1, timeout=60)
        future, frame = held_shuffle(client, gate)
        with contextlib.suppress(Exception):
            client.restart(timeout=1)
        gate.open()
        cluster.start_worker("b")
        client.wait_for_workers(1, timeout=60)
        wait_until(lambda: future.status == "cancelled", "the restart forgets the graph")
        assert_same_rows(numbers()[0].shuffle("b").compute(), frame)
