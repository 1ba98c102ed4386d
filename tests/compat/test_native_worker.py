"""Our worker as Dask's clients and schedulers see it: under our scheduler and under Dask's own, beside Dask's workers, when its Python dies
in every phase, when a task holds the GIL, and when the disk is full.
"""

import ctypes
import os
import pathlib
import signal
import sys
import urllib.request

import numpy
import pytest
from cluster import Cluster, addresses, client_of, wait_until
from distributed import Client, Environ, KilledWorker, WorkerPlugin, get_client, get_worker, wait

STOCK_SCHEDULER = f"{sys.executable} {pathlib.Path(__file__).parent / 'stock_scheduler.py'}"


@pytest.fixture(params=["our scheduler", "a stock scheduler"])
def cluster(request, tmp_path, monkeypatch):
    """A cluster without workers; tests start the ones they want."""
    if request.param == "a stock scheduler":
        monkeypatch.setenv("DASK_NATIVE_SCHEDULER", STOCK_SCHEDULER)
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.end()


def executor_pid():
    return os.getpid()


def holding_the_gil(started, release):
    """A function of C that is called with the GIL held, as an extension module might do it: waits until the file `release` is there."""
    pathlib.Path(started).touch()
    libc = ctypes.PyDLL(None)
    while libc.access(str(release).encode(), 0) != 0:
        libc.usleep(1000)


def test_tasks_run_and_their_errors_come_back(cluster):
    for name in ("a", "b"):
        cluster.start_worker(name, native=True, nanny=True)
    with client_of(cluster, 2) as client:
        assert client.submit(sum, client.map(lambda x: x * 2, range(100))).result(timeout=30) == 9900
        with pytest.raises(ZeroDivisionError):
            client.submit(lambda: 1 / 0).result(timeout=30)


def test_inputs_travel_between_our_worker_and_a_stock_one(cluster):
    cluster.start_worker("ours", native=True)
    cluster.start_worker("stock", native=False)
    with client_of(cluster, 2) as client:
        where = addresses(client)
        for source, target in (("ours", "stock"), ("stock", "ours")):
            array = client.submit(numpy.arange, 100_000, workers=where[source], pure=False)
            total = client.submit(lambda a: int(a.sum()), array, workers=where[target], pure=False)
            assert total.result(timeout=30) == 4_999_950_000


def test_scattered_data_is_gathered_replicated_and_freed(cluster):
    for name in ("a", "b"):
        cluster.start_worker(name, native=True)
    with client_of(cluster, 2) as client:
        future = client.scatter({"x": 1}, direct=False)["x"]
        array = client.scatter(numpy.ones(1000), broadcast=True)
        assert client.gather(future) == 1
        assert len(client.who_has(array)[array.key]) == 2
        assert client.submit(lambda a: float(a.sum()), array).result(timeout=30) == 1000
        assert client.nbytes(summary=False)[array.key] >= 8000
        del array
        wait_until(lambda: sum(map(len, client.has_what().values())) <= 2, "the array's release")


def test_python_code_finds_its_worker_and_a_client(cluster):
    cluster.start_worker("a", native=True, nthreads=2)
    with client_of(cluster, 1) as client:
        assert client.submit(lambda: get_worker().name).result(timeout=30) == "a"
        assert client.submit(lambda: get_client().submit(abs, -3).result()).result(timeout=30) == 3
        assert list(client.run(lambda dask_worker: dask_worker.address).items()) == [(addresses(client)["a"],) * 2]


class Counter:
    n = 0

    def increment(self):
        self.n += 1
        return self.n


def test_actors_keep_their_state(cluster):
    for name in ("a", "b"):
        cluster.start_worker(name, native=True)
    with client_of(cluster, 2) as client:
        counter = client.submit(Counter, actor=True).result(timeout=30)
        assert [counter.increment().result() for _ in range(3)] == [1, 2, 3]
        assert counter.n == 3


def test_restart_gives_new_workers_with_nothing_in_them(cluster):
    for name in ("a", "b"):
        cluster.start_worker(name, native=True, nanny=True)
    with client_of(cluster, 2) as client:
        before = set(client.scheduler_info()["workers"])
        client.run(lambda dask_worker: setattr(dask_worker, "mark", 1))
        client.restart(timeout=30)
        assert not before & set(client.scheduler_info()["workers"])
        assert set(client.run(lambda dask_worker: hasattr(dask_worker, "mark")).values()) == {False}


def test_health_and_metrics_have_dasks_names(cluster):
    cluster.start_worker("a", native=True)
    with client_of(cluster, 1) as client:
        client.submit(abs, -1).result(timeout=30)
        worker = next(iter(client.scheduler_info()["workers"].values()))
        url = f"http://127.0.0.1:{worker['services']['dashboard']}"
        assert urllib.request.urlopen(url + "/health").read() == b"ok"
        metrics = urllib.request.urlopen(url + "/metrics").read().decode()
    for name in ("tasks", "threads", "memory_bytes", "latency_seconds", "transfer_incoming_bytes", "tick_count_total", "spill_bytes_total"):
        assert f"\ndask_worker_{name}" in metrics


# ---- deaths ----


def test_an_executor_killed_while_it_runs_a_task_is_replaced_and_the_task_runs_again(cluster, tmp_path):
    worker = cluster.start_worker("a", native=True, nanny=True)
    once = tmp_path / "died"

    def die_once():
        if not once.exists():
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 7

    with client_of(cluster, 1) as client:
        assert client.submit(die_once).result(timeout=60) == 7
    assert "signal 9" in worker.log


def test_a_task_that_always_kills_its_worker_is_given_up(cluster):
    cluster.start_worker("a", native=True, nanny=True)
    with client_of(cluster, 1) as client, pytest.raises(KilledWorker):
        client.submit(lambda: os._exit(3)).result(timeout=100)


def test_an_executor_killed_while_it_holds_data_has_them_computed_again(cluster):
    cluster.start_worker("a", native=True, nanny=True)
    with client_of(cluster, 1) as client:
        future = client.submit(executor_pid)
        first = future.result(timeout=30)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: future.status == "finished" and client.submit(executor_pid, pure=False).result() != first, "the restart", 60)
        assert future.result(timeout=30) != first


def test_an_executor_killed_while_idle_is_replaced(cluster):
    cluster.start_worker("a", native=True, nanny=True)
    with client_of(cluster, 1) as client:
        first = set(client.run(executor_pid).values())
        os.kill(*first, signal.SIGKILL)
        wait_until(lambda: client.submit(executor_pid, pure=False).result(timeout=60) not in first, "the restart", 60)


def test_without_a_nanny_the_worker_ends_with_its_executor(cluster):
    worker = cluster.start_worker("a", native=True)
    with client_of(cluster, 1) as client:
        os.kill(next(iter(client.run(executor_pid).values())), signal.SIGKILL)
        assert worker.wait(30) == 1
        wait_until(lambda: not client.nthreads(), "the worker's removal")
    assert "signal 9" in worker.log


def test_a_python_that_is_none_is_named(cluster):
    worker = cluster.start_worker("a", "--python", "/nowhere/python", native=True, nanny=True)
    assert worker.wait(30) == 1
    assert "/nowhere/python" in worker.log and "--python" in worker.log


def test_a_python_without_dask_is_named(cluster):
    worker = cluster.start_worker("a", "--python", "/usr/bin/python3", native=True, nanny=True, PYTHONPATH="", PYTHONNOUSERSITE="1")
    assert worker.wait(30) == 1
    assert "/usr/bin/python3" in worker.log and "--python" in worker.log


def test_no_scheduler_within_the_death_timeout_ends_the_worker(cluster):
    cluster.address = "tcp://127.0.0.1:1"
    worker = cluster.start_worker("a", "--death-timeout", "500ms", native=True, nanny=True)
    assert worker.wait(30) == 1
    assert "--death-timeout" in worker.log


# ---- the GIL ----


def test_heartbeats_and_transfers_go_on_while_a_task_holds_the_gil(cluster, tmp_path):
    cluster.start_worker("a", native=True, nthreads=2)
    cluster.start_worker("b", native=True)
    started, release = tmp_path / "started", tmp_path / "release"
    with client_of(cluster, 2) as client:
        where = addresses(client)
        data = client.submit(bytes, 1000, workers=where["a"])
        assert client.submit(len, data, workers=where["b"]).result(timeout=30) == 1000  # it has been serialised
        scattered = client.scatter(b"x" * 1000, workers=[where["a"]], hash=False)
        holder = client.submit(holding_the_gil, str(started), str(release), workers=where["a"])
        try:
            wait_until(started.exists, "the task's start")
            seen = client.scheduler_info()["workers"][where["a"]]["last_seen"]
            assert client.gather(scattered) == b"x" * 1000
            assert client.submit(len, scattered, workers=where["b"], pure=False).result(timeout=30) == 1000
            assert client.submit(lambda x: len(x) + 1, data, workers=where["b"]).result(timeout=30) == 1001
            wait_until(lambda: client.scheduler_info()["workers"][where["a"]]["last_seen"] > seen, "a heartbeat")
        finally:
            release.touch()
        holder.result(timeout=30)


# ---- memory ----


def block(number, megabytes=20):
    return numpy.full(megabytes << 17, number, dtype=float)


def on_disk(client):
    return sum(worker["metrics"]["spilled_bytes"]["disk"] for worker in client.scheduler_info()["workers"].values())


def test_what_does_not_fit_goes_to_disk_and_comes_back(cluster):
    cluster.start_worker("a", "--memory-limit", "600MB", native=True)
    with client_of(cluster, 1) as client:
        blocks = client.map(block, range(30))
        wait(blocks, timeout=60)
        wait_until(lambda: on_disk(client) > 100e6, "spilling")
        assert client.submit(lambda *b: [x[0] for x in b], *blocks[:5]).result(timeout=60) == [0, 1, 2, 3, 4]
        assert client.gather(blocks[0])[-1] == 0


def test_a_full_disk_keeps_data_in_memory_and_says_so(cluster):
    # A limit on the size of files is what a full disk is to the one who writes.
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        worker = cluster.start_worker("a", "--memory-limit", "1GB", native=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with client_of(cluster, 1) as client:
        blocks = client.map(block, range(30))
        wait(blocks, timeout=60)
        wait_until(lambda: "Spill to disk failed" in worker.log, "the complaint")
        assert client.submit(lambda *b: sum(x[0] for x in b), *blocks[:5]).result(timeout=60) == 10
        assert on_disk(client) == 0


def test_a_worker_that_leaves_hands_its_data_over(cluster):
    leaving = cluster.start_worker("a", native=True, nanny=True)
    cluster.start_worker("b", native=True)
    with client_of(cluster, 2) as client:
        future = client.submit(executor_pid, workers=["a"])
        pid = future.result(timeout=30)
        leaving.terminate()
        assert leaving.wait(30) == 0
        assert client.gather(future) == pid
        assert list(client.who_has(future)[future.key]) == [addresses(client)["b"]]


# ---- plugins ----


def test_a_nanny_plugin_sets_the_environment_and_restarts_the_worker(cluster):
    cluster.start_worker("a", native=True, nanny=True)
    with client_of(cluster, 1) as client:
        before = client.submit(executor_pid).result(timeout=30)
        client.register_plugin(Environ({"COMPAT_TEST": "yes"}))
        client.wait_for_workers(1, timeout=30)
        assert client.submit(lambda: os.environ.get("COMPAT_TEST"), pure=False).result(timeout=60) == "yes"
        assert client.submit(executor_pid, pure=False).result(timeout=30) != before


class Marker(WorkerPlugin):
    name = "marker"

    def setup(self, worker):
        worker.marked = True


def test_worker_plugins_are_set_up_before_tasks_run(cluster):
    with Client(cluster.address) as client:
        client.register_plugin(Marker())
        cluster.start_worker("a", native=True)
        assert client.submit(lambda: get_worker().marked).result(timeout=30)


def test_an_uploaded_module_can_be_imported(cluster, tmp_path):
    module = tmp_path / "uploaded_to_native_workers.py"
    module.write_text("answer = 42\n")
    cluster.start_worker("a", native=True)
    with client_of(cluster, 1) as client:
        client.upload_file(str(module))

        def answer():
            import uploaded_to_native_workers

            return uploaded_to_native_workers.answer

        assert client.submit(answer).result(timeout=30) == 42


class Transitions(WorkerPlugin):
    name = "transitions"

    def setup(self, worker):
        worker.seen = self.seen = []

    def transition(self, key, start, finish, **kwargs):
        self.seen.append((key, start, finish))


def test_worker_plugins_see_transitions(cluster):
    cluster.start_worker("a", native=True)
    with client_of(cluster, 1) as client:
        client.register_plugin(Transitions())
        client.submit(abs, -1, key="x").result(timeout=30)
        wait_until(lambda: ("x", "executing", "memory") in next(iter(client.run(lambda dask_worker: dask_worker.seen).values())), "it")


async def set_resources(dask_worker):
    await dask_worker.set_resources(GPU=1)


def test_resources_can_be_added(cluster):
    cluster.start_worker("a", native=True)
    with client_of(cluster, 1) as client:
        client.run(set_resources)
        assert client.submit(abs, -1, resources={"GPU": 1}).result(timeout=30) == 1
