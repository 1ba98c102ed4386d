"""The futures API of an unmodified client: submit, map, gather, scatter, cancel, retry, release, as_completed, wait, fire_and_forget."""

import operator
import time
import uuid

import distributed
import numpy as np
import pytest
from cluster import holders_of, wait_until
from distributed import Client, as_completed, fire_and_forget, wait


def unique(name):
    """A key that no other test uses."""
    return f"{name}-{uuid.uuid4().hex}"


def test_submit_returns_a_future_with_the_result(client):
    future = client.submit(operator.add, 1, 2)
    assert future.result(timeout=10) == 3
    assert future.done() and future.status == "finished"


def test_the_same_call_is_the_same_task(client):
    first, second = client.submit(operator.add, 5, 6), client.submit(operator.add, 5, 6)
    assert first.key == second.key
    assert second.result(timeout=10) == 11


def test_impure_calls_are_different_tasks(client):
    keys = {client.submit(uuid.uuid4, pure=False).key for _ in range(3)}
    assert len(keys) == 3


def test_futures_are_arguments_of_later_tasks(client):
    chain = client.submit(operator.add, 1, 1)
    for _ in range(10):
        chain = client.submit(operator.add, chain, 1)
    assert chain.result(timeout=10) == 12
    assert client.submit(sum, [chain, chain, 1]).result(timeout=10) == 25


def test_map_and_gather_keep_the_order(client):
    futures = client.map(lambda x: x * x, range(200))
    assert client.gather(futures) == [x * x for x in range(200)]


def test_gather_keeps_the_shape_of_what_it_is_given(client):
    futures = {"a": client.submit(abs, -1), "b": [client.submit(abs, -2)]}
    assert client.gather(futures) == {"a": 1, "b": [2]}


def test_a_large_result_arrives_whole(client):
    result = client.submit(np.arange, 4_000_000).result(timeout=30)
    assert result.sum() == 4_000_000 * 3_999_999 // 2


def test_scatter_puts_data_on_workers(client):
    futures = client.scatter([1, 2, 3])
    assert client.gather(futures) == [1, 2, 3]
    assert client.submit(sum, futures).result(timeout=10) == 6


def test_scatter_with_names(client):
    key = unique("scattered")
    futures = client.scatter({key: np.ones(1000)})
    assert client.submit(np.sum, futures[key]).result(timeout=10) == 1000


def test_scatter_with_broadcast_reaches_every_worker(client):
    future = client.scatter(unique("data"), broadcast=True)
    assert len(client.who_has(future)[future.key]) == 2


def test_scatter_directly_to_the_workers(client):
    future = client.scatter(unique("data"), direct=True)
    assert client.submit(len, future).result(timeout=10) == len("data-") + 32


def test_workers_are_obeyed(client):
    for address in client.scheduler_info()["workers"]:
        future = client.submit(lambda: distributed.get_worker().address, workers=[address], pure=False)
        assert future.result(timeout=10) == address


def test_workers_may_be_named(client):
    future = client.submit(lambda: distributed.get_worker().name, workers="b", pure=False)
    assert future.result(timeout=10) == "b"


def test_as_completed_yields_every_future_once(client):
    futures = client.map(operator.neg, range(20))
    assert {future.result() for future in as_completed(futures, timeout=10)} == {-x for x in range(20)}


def test_as_completed_with_results(client):
    pairs = as_completed(client.map(operator.neg, range(100, 110)), with_results=True, timeout=10)
    assert sorted(result for _, result in pairs) == list(range(-109, -99))


def test_wait_returns_when_all_are_done(client):
    futures = client.map(operator.pos, range(20))
    done, not_done = wait(futures, timeout=10)
    assert len(done) == 20 and not not_done


def test_wait_for_the_first_one(client, gate):
    quick, slow = client.submit(abs, -7), client.submit(gate.wait, pure=False)
    done, not_done = wait([quick, slow], return_when="FIRST_COMPLETED", timeout=10)
    assert quick in done and slow in not_done
    gate.open()
    assert slow.result(timeout=10)


def test_wait_gives_up_after_its_timeout(client, gate):
    future = client.submit(gate.wait, pure=False)
    with pytest.raises(distributed.TimeoutError):
        wait(future, timeout=0.2)
    gate.open()


def test_cancelled_futures_say_so(client, gate):
    blockers = [client.submit(gate.wait, pure=False) for _ in range(2)]
    future = client.submit(abs, blockers[0])
    future.cancel()
    assert future.cancelled()
    with pytest.raises(distributed.client.FutureCancelledError):
        future.result(timeout=10)
    gate.open()
    wait(blockers, timeout=10)


def test_a_cancelled_future_is_cancelled_for_other_clients(client, cluster, gate):
    key = unique("waiting")
    future = client.submit(gate.wait, key=key)
    with Client(cluster.address, set_as_default=False) as other:
        theirs = other.submit(lambda: None, key=key)
        assert other.submit(abs, -1).result(timeout=10) == 1  # what was sent before has arrived, too
        client.cancel(future, force=True)
        wait_until(theirs.cancelled, "the other client hears of it", timeout_s=10)
    gate.open()


def test_released_results_leave_the_workers(client):
    future = client.submit(operator.add, 20, 1)
    assert future.result(timeout=10) == 21
    key = future.key
    assert holders_of(client, key)
    future.release()
    wait_until(lambda: not holders_of(client, key), "the result's release", timeout_s=10)


def test_results_stay_while_another_client_wants_them(client, cluster):
    key = unique("wanted")
    mine = client.submit(operator.add, 1, 1, key=key)
    assert mine.result(timeout=10) == 2
    with Client(cluster.address, set_as_default=False) as other:
        theirs = other.submit(operator.add, 1, 1, key=key)
        assert theirs.result(timeout=10) == 2
        mine.release()
        assert theirs.result(timeout=10) == 2


def test_a_failed_task_can_be_retried(client, tmp_path):
    marker = tmp_path / "marker"

    def fails_once():
        if not marker.exists():
            marker.touch()
            raise RuntimeError("the first time")
        return "the second time"

    future = client.submit(fails_once, pure=False)
    assert "first time" in str(future.exception(timeout=10))
    future.retry()
    assert future.result(timeout=10) == "the second time"


def test_retries_are_counted_down(client, tmp_path):
    def fails_twice(counter=tmp_path / "counter"):
        count = int(counter.read_text()) if counter.exists() else 0
        counter.write_text(str(count + 1))
        if count < 2:
            raise RuntimeError(f"attempt {count}")
        return count

    assert client.submit(fails_twice, retries=2, pure=False).result(timeout=10) == 2


def test_fire_and_forget_runs_without_a_future(client, tmp_path):
    marker = tmp_path / "done"
    future = client.submit(marker.touch, pure=False)
    fire_and_forget(future)
    del future
    wait_until(marker.exists, "the forgotten task", timeout_s=10)


def test_priorities_decide_who_is_first(client, gate):
    blockers = [client.submit(gate.wait, pure=False) for _ in range(4)]
    low = client.map(lambda _: time.time(), range(8), pure=False, priority=-10)
    high = client.map(lambda _: time.time(), range(8), pure=False, priority=10)
    gate.open()
    wait(blockers, timeout=10)
    low_times, high_times = client.gather([low, high])
    assert sorted(high_times)[len(high_times) // 2] < sorted(low_times)[len(low_times) // 2]


def test_thousands_of_small_tasks(client):
    futures = client.map(operator.pos, range(3_000))
    total = client.submit(sum, futures)
    assert total.result(timeout=60) == sum(range(3_000))


def test_asynchronous_client(cluster):
    import asyncio

    async def run():
        async with Client(cluster.address, asynchronous=True) as client:
            assert await client.submit(operator.add, 30, 3) == 33
            return await client.gather(client.map(operator.neg, range(3)))

    assert asyncio.run(run()) == [0, -1, -2]


def test_who_has_and_nbytes_know_the_results(client):
    future = client.submit(bytes, 1000)
    wait(future, timeout=10)
    assert len(client.who_has(future)[future.key]) == 1
    assert client.nbytes(summary=False)[future.key] >= 1000
    holders = [address for address, keys in client.has_what().items() if future.key in keys]
    assert len(holders) == 1


def test_the_client_sees_the_workers(client):
    workers = client.scheduler_info()["workers"]
    assert sorted(worker["name"] for worker in workers.values()) == ["a", "b"]
    assert client.ncores() == dict.fromkeys(workers, 1)
    assert set(client.nthreads().values()) == {1}
    assert "Client" in client._repr_html_() and "tcp://127.0.0.1" in repr(client)
    assert client.dashboard_link.startswith("http://127.0.0.1:")


def test_run_calls_a_function_on_every_worker(client):
    names = client.run(lambda dask_worker: dask_worker.name)
    assert sorted(names.values()) == ["a", "b"]


def test_metadata_is_a_tree_of_names(client):
    for missing in ("meta-a", ["meta-a"], ["meta-a", "b"]):
        with pytest.raises(KeyError):
            client.get_metadata(missing)
        assert client.get_metadata(missing, None) is None
    client.set_metadata(["meta-a", "b"], 1)
    assert client.get_metadata("meta-a") == {"b": 1} and client.get_metadata(["meta-a", "b"]) == 1
    with pytest.raises(TypeError):
        client.get_metadata(["meta-a", "b", "c"], None)
