"""Copies of results on workers with unmodified clients and workers: replicate, rebalance."""

import operator
import uuid

import pytest
from cluster import Cluster, holders_of
from distributed import Client, wait

# Numbers are about results alone, any difference counts, and nobody takes copies away.
EXACT = {
    "DASK_DISTRIBUTED__SCHEDULER__ACTIVE_MEMORY_MANAGER__START": "false",
    "DASK_DISTRIBUTED__WORKER__MEMORY__REBALANCE__MEASURE": "managed",
    "DASK_DISTRIBUTED__WORKER__MEMORY__REBALANCE__SENDER_MIN": "0",
    "DASK_DISTRIBUTED__WORKER__MEMORY__REBALANCE__SENDER_RECIPIENT_GAP": "0",
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), workers=3, **EXACT)
    yield cluster
    cluster.end()


@pytest.fixture
def client(cluster):
    with Client(cluster.address) as client:
        client.wait_for_workers(3, timeout=30)
        yield client
    assert cluster.scheduler.is_running, cluster.scheduler.log


def addresses(client):
    return sorted(client.scheduler_info(n_workers=-1)["workers"])


def test_replicate_copies_to_all_workers(client):
    future = client.submit(operator.add, 1, 2, key=f"x-{uuid.uuid4().hex}")
    client.replicate(future)
    assert sorted(holders_of(client, future.key)) == addresses(client)
    assert future.result() == 3


def test_replicate_copies_to_some_workers_and_takes_copies_back(client):
    a, b, c = addresses(client)
    [future] = client.scatter([b"x" * 1000], workers=[a], hash=False)
    client.replicate([future], n=2, workers=[b, c])
    assert sorted(holders_of(client, future.key)) == [a, b, c]
    client.replicate([future], n=1)
    assert len(holders_of(client, future.key)) == 1
    assert future.result() == b"x" * 1000


def test_replicate_does_not_delete_all_copies(client):
    future = client.submit(operator.add, 1, 2)
    wait(future)
    with pytest.raises(ValueError, match="Can not use replicate to delete data"):
        client.replicate(future, n=0)


def test_rebalance_evens_out_what_workers_hold(client):
    a, b, c = addresses(client)
    futures = client.scatter([i * b"x" for i in range(100_000, 100_009)], workers=[a], hash=False)
    assert {len(holders_of(client, future.key)) for future in futures} == {1}
    client.rebalance(futures)
    counts = {address: len(keys) for address, keys in client.has_what().items()}
    assert counts == {a: 3, b: 3, c: 3}
    assert client.gather(futures) == [i * b"x" for i in range(100_000, 100_009)]


def test_rebalance_moves_only_what_it_may(client):
    a, b, c = addresses(client)
    futures = client.scatter([i * b"x" for i in range(100_000, 100_006)], workers=[a], hash=False)
    client.rebalance(futures[:1])
    assert sum(holders_of(client, future.key) != (a,) for future in futures) == 1
    client.rebalance(workers=[a, b])
    assert not client.has_what()[c] or holders_of(client, futures[0].key) == (c,)


def test_rebalance_says_which_keys_are_lost(client):
    assert client.sync(client.scheduler.rebalance, keys=["no-such-key"]) == {"status": "partial-fail", "keys": ("no-such-key",)}


def test_rebalance_names_a_worker_that_is_not_there(client):
    with pytest.raises(KeyError, match=r"tcp://127\.0\.0\.1:1"):
        client.sync(client.scheduler.rebalance, keys=None, workers=["tcp://127.0.0.1:1"], stimulus_id="test")
