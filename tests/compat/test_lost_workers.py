"""Workers come, go, and die in the middle of work; the answers stay right."""

import operator
import time

from cluster import wait_until
from distributed import Client, wait


def test_a_worker_killed_in_the_middle_loses_no_task(make_cluster):
    cluster = make_cluster(workers=2)
    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        futures = client.map(lambda x: time.sleep(0.05) or x * 2, range(60), pure=False)
        total = client.submit(sum, futures)
        wait_until(lambda: sum(future.done() for future in futures) > 10, "some tasks")
        cluster.workers["a"].kill()
        assert total.result(timeout=60) == sum(x * 2 for x in range(60))


def test_lost_results_are_computed_again(make_cluster):
    cluster = make_cluster(workers=2)
    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        futures = client.map(operator.neg, range(50))
        wait(futures, timeout=30)
        cluster.workers["b"].kill()
        wait_until(lambda: len(client.scheduler_info()["workers"]) == 1, "the scheduler notices")
        assert client.gather(futures) == [-x for x in range(50)]


def test_lost_scattered_data_is_reported(make_cluster):
    cluster = make_cluster(workers=1)
    with Client(cluster.address) as client:
        client.wait_for_workers(1, timeout=30)
        future = client.scatter("only here")
        assert future.result(timeout=10) == "only here"
        cluster.workers["a"].kill()
        wait_until(lambda: future.status != "finished", "the loss is reported")
        assert future.status in ("lost", "cancelled")


def test_tasks_wait_for_the_first_worker(make_cluster):
    cluster = make_cluster()
    with Client(cluster.address) as client:
        future = client.submit(operator.add, 1, 1)
        assert not future.done()
        cluster.start_worker("a")
        assert future.result(timeout=30) == 2


def test_a_worker_that_joins_late_gets_work(make_cluster):
    cluster = make_cluster(workers=1)
    with Client(cluster.address) as client:
        client.wait_for_workers(1, timeout=30)
        futures = client.map(lambda x: time.sleep(0.1) or x, range(80), pure=False)
        cluster.start_worker("b")
        wait(futures, timeout=60)
        assert len({holder for holders in client.who_has(futures).values() for holder in holders}) == 2


def test_a_retired_worker_hands_its_data_over(make_cluster):
    cluster = make_cluster(workers=2)
    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        data = client.scatter(list(range(20)))
        address = next(address for address, worker in client.scheduler_info()["workers"].items() if worker["name"] == "a")
        client.retire_workers([address], close_workers=True)
        wait_until(lambda: len(client.scheduler_info()["workers"]) == 1, "the worker leaves")
        assert client.gather(data) == list(range(20))
        assert cluster.workers["a"].wait() == 0


def test_a_worker_that_is_told_to_end_leaves(make_cluster):
    cluster = make_cluster(workers=1)
    with Client(cluster.address) as client:
        client.wait_for_workers(1, timeout=30)
        cluster.workers["a"].terminate()
        cluster.workers["a"].wait()
        wait_until(lambda: not client.scheduler_info()["workers"], "the worker leaves")
