"""The active memory manager with unmodified clients and workers: superfluous copies of results go, needed ones stay."""

import operator

from cluster import holders_of, wait_until
from distributed import Client, wait


def copies(client, futures):
    return [len(holders_of(client, future.key)) for future in futures]


def test_copies_are_dropped_by_themselves(make_cluster):
    cluster = make_cluster(workers=2, DASK_DISTRIBUTED__SCHEDULER__ACTIVE_MEMORY_MANAGER__INTERVAL="50ms")
    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        assert client.amm.running()
        futures = client.scatter([b"x" * 1000, b"y" * 1000], broadcast=True, hash=False)
        wait_until(lambda: copies(client, futures) == [1, 1], "the copies' end")
        assert client.gather(futures) == [b"x" * 1000, b"y" * 1000]


def test_the_manager_obeys_its_client(make_cluster, gate):
    cluster = make_cluster(workers=2, DASK_DISTRIBUTED__SCHEDULER__ACTIVE_MEMORY_MANAGER__START="false")
    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        assert not client.amm.running()
        a, b = sorted(client.scheduler_info(n_workers=-1)["workers"])
        [x] = client.scatter([b"x" * 1000], broadcast=True, hash=False)
        assert copies(client, [x]) == [2]

        # A copy that a task on each worker needs stays.
        needy = [client.submit(lambda x, wait_: wait_() and len(x), x, gate.wait, workers=[w], pure=False) for w in (a, b)]
        wait_until(lambda: sum(map(len, client.processing().values())) == 2, "the tasks' start")
        client.amm.run_once()
        assert copies(client, [x]) == [2]

        gate.open()
        assert client.gather(needy) == [1000, 1000]
        client.amm.run_once()
        assert copies(client, [x]) == [1]
        client.amm.start()
        assert client.amm.running()
        client.amm.stop()
        assert not client.amm.running()


def test_inputs_that_were_fetched_are_not_kept_twice(make_cluster):
    cluster = make_cluster(workers=2, DASK_DISTRIBUTED__SCHEDULER__ACTIVE_MEMORY_MANAGER__INTERVAL="50ms")
    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        a, b = sorted(client.scheduler_info(n_workers=-1)["workers"])
        x = client.submit(bytes, 1000, workers=[a])
        y = client.submit(operator.add, x, b"!", workers=[b])
        wait(y)
        wait_until(lambda: copies(client, [x, y]) == [1, 1], "the copy's end")
        assert len(y.result()) == 1001
