"""Dask's coordination primitives with unmodified clients and workers: Lock, Semaphore, MultiLock, Event, Queue, Variable, datasets."""

import operator
import time
import urllib.request
import uuid

import dask
import pytest
from cluster import IS_STOCK, holders_of, wait_until
from distributed import Client, Event, Future, Lock, MultiLock, Queue, Semaphore, Variable, get_client, wait


def unique(name):
    """A name that no other test uses."""
    return f"{name}-{uuid.uuid4().hex}"


@pytest.fixture
def other_client(cluster, client):
    """A second client of the same cluster."""
    with Client(cluster.address, set_as_default=False) as other:
        yield other


def fail_with(message):
    raise ValueError(message)


# ---- Lock ----


def append_exclusively(path, lock_name, item):
    """Reads, waits and writes: without a lock, items of others would be lost."""
    with Lock(lock_name):
        text = path.read_text() if path.exists() else ""
        time.sleep(0.005)
        path.write_text(text + f"{item}\n")


def test_a_lock_keeps_tasks_apart(client, tmp_path):
    path, name = tmp_path / "items", unique("lock")
    client.gather([client.submit(append_exclusively, path, name, i, pure=False) for i in range(20)])
    assert sorted(map(int, path.read_text().split())) == list(range(20))


def test_a_lock_can_be_asked_without_waiting(client):
    name = unique("lock")
    first, second = Lock(name), Lock(name)
    assert first.acquire()
    assert first.locked()
    assert not second.acquire(blocking=False)
    assert not second.acquire(timeout="50ms")
    first.release()
    assert not first.locked()
    assert second.acquire(timeout=5)
    second.release()


def test_lock_names_may_be_tuples(client):
    name = (unique("lock"), 1)
    first, second = Lock(name), Lock(name)
    assert first.acquire(timeout=1)
    assert not second.acquire(timeout=0.05)
    first.release()


def pending_leases(cluster, name):
    """How many callers wait for the semaphore, from /metrics."""
    text = urllib.request.urlopen(cluster.http_url("/metrics"), timeout=10).read().decode()
    lines = [line for line in text.splitlines() if line.startswith("dask_semaphore_pending_leases{") and name in line]
    return float(lines[0].rsplit(" ", 1)[1]) if lines else 0


@pytest.mark.skipif(IS_STOCK, reason="Dask grants the lock to the caller that left, until the lease times out")
def test_a_waiting_caller_whose_connection_ends_is_not_granted_the_lock(cluster, client):
    name = unique("lock")
    lock, third = Lock(name), Lock(name)
    assert lock.acquire()
    with Client(cluster.address, set_as_default=False) as leaving:
        leaving.loop.add_callback(lambda: leaving.scheduler.semaphore_acquire(name=name, timeout=None, lease_id="lost"))
        wait_until(lambda: pending_leases(cluster, name) == 1, "the second caller")
    wait_until(lambda: pending_leases(cluster, name) == 0, "the second caller's departure")
    lock.release()
    assert third.acquire(timeout=1)
    third.release()


# ---- Semaphore ----


def with_lease(semaphore, gate):
    with semaphore:
        gate.wait()
        return True


def test_a_semaphore_limits_how_many_run(client, gate):
    semaphore = Semaphore(max_leases=1, name=unique("semaphore"))
    semaphore.register()
    futures = [client.submit(with_lease, semaphore, gate, pure=False) for _ in range(2)]
    wait_until(lambda: semaphore.get_value() == 1, "the first lease")
    gate.open()
    assert client.gather(futures) == [True, True]
    wait_until(lambda: semaphore.get_value() == 0, "the last release")


def test_leases_are_counted(client):
    semaphore = Semaphore(max_leases=2, name=unique("semaphore"))
    assert semaphore.acquire()
    assert semaphore.acquire()
    assert not semaphore.acquire(timeout=0.05)
    assert semaphore.get_value() == 2
    assert semaphore.release()
    assert semaphore.acquire(timeout=1)


def test_a_semaphore_has_one_size(client):
    name = unique("semaphore")
    Semaphore(max_leases=2, name=name).register()
    with pytest.raises(ValueError, match="Inconsistent max leases: 3, expected: 2"):
        Semaphore(max_leases=3, name=name).register()


def test_a_closed_semaphore_is_not_known(client):
    semaphore = Semaphore(name=unique("semaphore"))
    semaphore.register()
    semaphore.close()
    with pytest.raises(RuntimeError, match="not known"):
        semaphore.acquire()


def test_a_lease_that_is_not_refreshed_times_out(make_cluster):
    cluster = make_cluster(DASK_DISTRIBUTED__SCHEDULER__LOCKS__LEASE_VALIDATION_INTERVAL="50ms")
    with Client(cluster.address), dask.config.set({"distributed.scheduler.locks.lease-timeout": "400ms"}):
        name = unique("semaphore")
        frozen, other = Semaphore(name=name), Semaphore(name=name)
        assert frozen.acquire()
        assert not other.acquire(timeout=1), "a lease that is refreshed must stay"
        frozen.refresh_leases = False
        assert other.acquire(timeout=10)


# ---- MultiLock ----


def test_multi_locks_are_got_together(client):
    x, y, z = unique("x"), unique("y"), unique("z")
    first, second, third = MultiLock([x, y]), MultiLock([y, z]), MultiLock([z])
    assert first.acquire()
    assert not second.acquire(timeout=0.05)
    assert third.acquire(timeout=1)
    third.release()
    first.release()
    second = MultiLock([y, z])
    assert second.acquire(timeout=1)
    second.release()


def test_some_of_many_locks_are_enough(client):
    x, y, z = unique("x"), unique("y"), unique("z")
    first, second = MultiLock([x]), MultiLock([x, y, z])
    assert first.acquire()
    assert second.acquire(num_locks=2, timeout=1)
    first.release()
    second.release()


def count_up(path, names):
    with MultiLock(names):
        value = int(path.read_text()) if path.exists() else 0
        time.sleep(0.005)
        path.write_text(str(value + 1))


def test_multi_locks_keep_tasks_apart(client, tmp_path):
    path, names = tmp_path / "count", [unique("lock") for _ in range(3)]
    client.gather([client.submit(count_up, path, [names[i % 3], names[(i + 1) % 3], "all"], pure=False) for i in range(12)])
    assert path.read_text() == "12"


# ---- Event ----


def wait_for_event(name):
    return Event(name).wait(timeout=10)


def test_an_event_wakes_tasks(client):
    event = Event(unique("event"))
    assert not event.is_set()
    assert not event.wait(timeout=0.05)
    futures = [client.submit(wait_for_event, event.name, pure=False) for _ in range(2)]
    event.set()
    assert client.gather(futures) == [True, True]
    assert event.is_set()
    event.clear()
    assert not event.is_set()


def test_a_task_sets_an_event_that_a_client_waits_for(client):
    event = Event(unique("event"))
    future = client.submit(lambda name: Event(name).set(), event.name)
    assert event.wait(timeout=10)
    future.result(timeout=10)


# ---- Queue ----


def test_a_queue_shares_values_between_clients(client, other_client):
    queue = Queue(unique("queue"))
    other = Queue(queue.name, client=other_client)
    queue.put(1)
    queue.put({"x": [1, 2, "three"]})
    queue.put("last")
    assert other.qsize() == 3
    assert other.get(timeout=5) == 1
    assert other.get(batch=True) == [{"x": (1, 2, "three")}, "last"]
    with pytest.raises(TimeoutError):
        other.get(timeout="50ms")


def test_a_bounded_queue_makes_puts_wait(client):
    queue = Queue(unique("queue"), maxsize=1)
    queue.put(1)
    with pytest.raises(TimeoutError):
        queue.put(2, timeout=0.05)
    assert queue.get() == 1
    queue.put(3, timeout=5)
    assert queue.get(batch=1) == [3]


def test_batches_and_timeouts_exclude_each_other(client):
    queue = Queue(unique("queue"))
    with pytest.raises(NotImplementedError, match="simultaneous use"):
        queue.get(batch=2, timeout=1)


def test_a_queue_keeps_futures_alive(client, other_client):
    queue = Queue(unique("queue"))
    future = client.submit(operator.add, 1, 2, key=unique("sum"))
    key = future.key
    queue.put(future)  # the call may overtake the graph
    wait(future)
    del future
    got = Queue(queue.name, client=other_client).get(timeout=5)
    assert isinstance(got, Future) and got.key == key
    assert got.result(timeout=5) == 3
    queue.close()
    assert got.result(timeout=5) == 3
    del got
    wait_until(lambda: not holders_of(client, key), "the result's release")


def test_a_closed_queue_lets_its_futures_go(client):
    queue = Queue(unique("queue"))
    future = client.submit(operator.add, 1, 2, key=unique("sum"))
    key = future.key
    wait(future)
    queue.put(future)
    del future
    assert holders_of(client, key)
    queue.close()
    wait_until(lambda: not holders_of(client, key), "the result's release")


def test_a_failed_future_fails_also_out_of_a_queue(client, other_client):
    queue = Queue(unique("queue"))
    future = client.submit(fail_with, "on purpose", key=unique("failure"))
    wait(future)
    queue.put(future)
    got = Queue(queue.name, client=other_client).get(timeout=5)
    with pytest.raises(ValueError, match="on purpose"):
        got.result(timeout=5)


def put_a_future(name):
    client = get_client()
    queue = Queue(name, client=client)
    future = client.submit(operator.mul, 6, 7, key=f"product-of-{name}")
    queue.put(future)
    return True


def test_tasks_put_futures_into_queues(client):
    queue = Queue(unique("queue"))
    done = client.submit(put_a_future, queue.name)
    got = queue.get(timeout=10)
    assert got.result(timeout=10) == 42
    assert done.result(timeout=10)


@pytest.mark.skipif(IS_STOCK, reason="Dask hands the item to the caller that left, and it is lost")
def test_a_get_of_a_client_that_left_takes_nothing(cluster, client):
    queue = Queue(unique("queue"))
    with Client(cluster.address, set_as_default=False) as leaving:
        leaving.loop.add_callback(lambda: leaving.scheduler.queue_get(name=queue.name, timeout=None, batch=False))
        leaving.sync(leaving.scheduler.identity)
    queue.put("for those who stay")
    assert queue.get(timeout=5) == "for those who stay"


# ---- Variable ----


def test_a_variable_is_shared(client, other_client):
    variable = Variable(unique("variable"))
    other = Variable(variable.name, client=other_client)
    with pytest.raises(TimeoutError):
        other.get(timeout=0.05)
    variable.set(123)
    assert other.get() == 123
    other.set([1, "two"])
    assert variable.get() == (1, "two")
    variable.delete()


def test_a_variable_keeps_its_future_alive_until_it_changes(client, other_client):
    variable = Variable(unique("variable"))
    future = client.submit(operator.add, 1, 2, key=unique("sum"))
    key = future.key
    variable.set(future)
    wait(future)
    del future
    got = Variable(variable.name, client=other_client).get(timeout=5)
    assert got.result(timeout=5) == 3
    variable.set("something else")
    assert got.result(timeout=5) == 3
    del got
    wait_until(lambda: not holders_of(client, key), "the result's release")


def test_a_deleted_variable_lets_its_future_go(client):
    variable = Variable(unique("variable"))
    future = client.submit(operator.add, 1, 2, key=unique("sum"))
    key = future.key
    wait(future)
    variable.set(future)
    del future
    assert holders_of(client, key)
    variable.delete()
    wait_until(lambda: not holders_of(client, key), "the result's release")
    with pytest.raises(TimeoutError):
        variable.get(timeout=0.05)


def stop_when_told(name):
    variable = Variable(name)
    count = 0
    while not variable.get(timeout=10):
        count += 1
        time.sleep(0.005)
    return count


def test_tasks_read_variables(client):
    stop = Variable(unique("stop"))
    stop.set(False)
    future = client.submit(stop_when_told, stop.name)
    assert stop.get() is False
    stop.set(True)
    assert future.result(timeout=10) >= 0


def test_a_future_that_nobody_knows_times_out(client):
    variable = Variable(unique("variable"))
    unknown = Future(unique("unknown"), client)
    with pytest.raises(TimeoutError, match="unknown to scheduler"):
        variable.set(unknown, timeout="50ms")


# ---- datasets ----


def test_datasets_are_published_listed_and_taken_back(client, other_client):
    name = unique("dataset")
    x = dask.delayed(operator.add)(1, 2).persist()
    client.publish_dataset(x, name=name)
    del x
    assert name in other_client.list_datasets()
    assert other_client.get_dataset(name).compute(scheduler=other_client) == 3
    with pytest.raises(KeyError, match="already exists"):
        other_client.publish_dataset(5, name=name)
    other_client.publish_dataset(5, name=name, override=True)
    assert client.get_dataset(name) == 5
    client.unpublish_dataset(name)
    assert name not in client.list_datasets()
    with pytest.raises(KeyError):
        client.get_dataset(name)
    assert client.get_dataset(name, default="nothing") == "nothing"


def test_a_dataset_outlives_its_client(cluster, client):
    name = unique("dataset")
    with Client(cluster.address, set_as_default=False) as publisher:
        future = publisher.submit(operator.add, 20, 22, key=unique("sum"))
        publisher.datasets[name] = [future]
        key = future.key
    assert client.get_dataset(name)[0].result(timeout=10) == 42
    del client.datasets[name]
    wait_until(lambda: not holders_of(client, key), "the result's release")


def test_tasks_publish_datasets(client):
    name = unique("dataset")
    client.submit(lambda n: get_client().publish_dataset("from a task", name=n), name).result(timeout=10)
    assert client.get_dataset(name) == "from a task"
