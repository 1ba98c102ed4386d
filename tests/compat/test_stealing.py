"""Work stealing: tasks that wait on a busy worker move to one that has nothing to do."""

import time

from distributed import Client, wait

TASK_S = 0.05


# Tasks with this many inputs are no roots: they are sent to the worker that has the inputs, not queued.
INPUTS = 6


def slow(x, *inputs):
    time.sleep(TASK_S)
    return x


def workers_that_ran(client, futures):
    return [address for addresses in client.who_has(futures).values() for address in addresses]


def test_tasks_bound_by_their_data_move_to_an_idle_worker(make_cluster):
    cluster = make_cluster(workers=2)
    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        first, second = client.scheduler_info()["workers"]
        wait(client.map(slow, range(4), pure=False), timeout=30)  # now the scheduler knows how long they take
        inputs = client.scatter(list(range(INPUTS)), workers=[first])
        futures = [client.submit(slow, 1, *inputs, pure=False) for _ in range(80)]
        assert client.gather(futures) == [1] * 80
        assert workers_that_ran(client, futures).count(second) > 5
        moves = [event for _, event in client.get_events("stealing")]
        assert any(move[0] == "confirm" and move[3:5] == (first, second) for move in moves)


def test_restricted_tasks_stay(make_cluster):
    cluster = make_cluster(workers=2)
    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        first, _ = client.scheduler_info()["workers"]
        futures = client.map(slow, range(60), workers=[first], pure=False)
        wait(futures, timeout=60)
        assert set(workers_that_ran(client, futures)) == {first}


def test_nothing_moves_when_stealing_is_switched_off(make_cluster):
    cluster = make_cluster(workers=2, DASK_DISTRIBUTED__SCHEDULER__WORK_STEALING="False")
    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        first, _ = client.scheduler_info()["workers"]
        wait(client.map(slow, range(4), pure=False), timeout=30)
        inputs = client.scatter(list(range(INPUTS)), workers=[first])
        futures = [client.submit(slow, 1, *inputs, pure=False) for _ in range(40)]
        wait(futures, timeout=60)
        assert set(workers_that_ran(client, futures)) == {first}
        assert not client.get_events("stealing")
