"""dask_native.LocalCluster: Dask's arguments, scaling, adaptivity, context managers, widget; and what it says when the scheduler fails."""

import asyncio
import logging
import operator
import os
import pathlib
import signal
import socket
import subprocess
import sys

import distributed
import pytest
from cluster import IS_STOCK, child_environment, wait_until
from distributed import Client

from dask_native import LocalCluster

# Small and quick: no dashboard port of the machine is taken, workers have one thread.
SMALL = {"dashboard_address": ":0", "threads_per_worker": 1}


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=1, **SMALL) as cluster:
        yield cluster


def test_it_is_a_local_cluster_of_dask(cluster):
    assert isinstance(cluster, distributed.LocalCluster)
    assert cluster.scheduler_address.startswith("tcp://127.0.0.1:")
    assert repr(cluster).startswith("LocalCluster(")
    assert cluster.status == distributed.Status.running


def test_the_scheduler_is_a_process_of_its_own(cluster):
    assert cluster.scheduler.process.pid != os.getpid()
    assert cluster.scheduler.process.poll() is None


def test_a_client_computes_on_it(cluster):
    with Client(cluster) as client:
        assert client.submit(operator.add, 1, 2).result(timeout=10) == 3


def test_get_client(cluster):
    with cluster.get_client() as client:
        assert client.submit(operator.mul, 3, 4).result(timeout=10) == 12


def test_scheduler_info_and_widget(cluster):
    assert cluster.dashboard_link.startswith("http://127.0.0.1:")
    assert [worker["nthreads"] for worker in cluster.scheduler_info["workers"].values()] == [1]
    html = cluster._repr_html_()
    assert "LocalCluster" in html and cluster.dashboard_link in html
    with Client(cluster) as client:
        assert cluster.scheduler_address in client._repr_html_()
        assert client.dashboard_link == cluster.dashboard_link


def test_scale_up_and_down(cluster):
    with Client(cluster) as client:
        cluster.scale(2)
        client.wait_for_workers(2, timeout=30)
        cluster.scale(1)
        wait_until(lambda: len(client.scheduler_info()["workers"]) == 1, "the second worker leaves")
        assert client.submit(operator.add, 2, 2, pure=False).result(timeout=10) == 4


@pytest.mark.skipif(IS_STOCK, reason="the stock scheduler does not know the worker by the name that the cluster gives it")
def test_scaling_down_keeps_the_data(cluster):
    with Client(cluster) as client:
        cluster.scale(2)
        client.wait_for_workers(2, timeout=30)
        futures = client.scatter(list(range(10)))
        cluster.scale(1)
        wait_until(lambda: len(client.scheduler_info()["workers"]) == 1, "the second worker leaves")
        assert client.gather(futures) == list(range(10))


def test_adapt_starts_workers_for_work_and_ends_them_after():
    with LocalCluster(n_workers=0, **SMALL) as cluster, Client(cluster) as client:
        cluster.adapt(minimum=0, maximum=2, interval="100ms", wait_count=2)
        assert client.submit(operator.add, 1, 1).result(timeout=30) == 2
        wait_until(lambda: not cluster.scheduler_info["workers"], "idle workers leave")


def test_numbers_of_workers_and_threads():
    with LocalCluster(n_workers=2, threads_per_worker=3, memory_limit="1GiB", dashboard_address=":0", name="mine") as cluster:
        workers = cluster.scheduler_info["workers"].values()
        assert [worker["nthreads"] for worker in workers] == [3, 3]
        assert {worker["memory_limit"] for worker in workers} == {2**30}
        assert cluster.name == "mine"


def test_workers_as_threads_of_this_process():
    with LocalCluster(n_workers=1, processes=False, **SMALL) as cluster, Client(cluster) as client:
        assert client.submit(os.getpid).result(timeout=10) == os.getpid()


def test_worker_options_reach_the_workers():
    with LocalCluster(n_workers=1, resources={"GPU": 2}, **SMALL) as cluster, Client(cluster) as client:
        assert client.submit(operator.add, 1, 1, resources={"GPU": 1}).result(timeout=10) == 2


def test_the_scheduler_port_can_be_chosen():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with LocalCluster(n_workers=0, scheduler_port=port, **SMALL) as cluster:
        assert cluster.scheduler_address == f"tcp://127.0.0.1:{port}"


def test_the_dashboard_can_be_left_out():
    with LocalCluster(n_workers=0, dashboard_address=None, threads_per_worker=1) as cluster, Client(cluster) as client:
        assert client.scheduler_info()["workers"] == {}


def test_a_busy_dashboard_port_is_replaced():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with LocalCluster(n_workers=0, dashboard_address=f"127.0.0.1:{port}", threads_per_worker=1) as cluster:
            assert cluster.scheduler_info["services"]["dashboard"] != port


def test_asynchronous():
    async def run():
        async with LocalCluster(n_workers=1, asynchronous=True, **SMALL) as cluster, Client(cluster, asynchronous=True) as client:
            cluster.scale(2)
            await client.wait_for_workers(2, timeout=30)
            return await client.submit(operator.add, 4, 5)

    assert asyncio.run(run()) == 9


def test_two_clusters_side_by_side():
    with LocalCluster(n_workers=1, **SMALL) as one, LocalCluster(n_workers=1, **SMALL) as two:
        assert one.scheduler_address != two.scheduler_address
        with Client(one, set_as_default=False) as client, Client(two, set_as_default=False) as other:
            assert client.submit(abs, -1).result(timeout=10) == other.submit(abs, 1).result(timeout=10)


def test_dask_configuration_of_this_process_reaches_the_scheduler():
    import dask

    with dask.config.set({"distributed.scheduler.allowed-failures": "not a number"}):
        if IS_STOCK:
            pytest.skip("the stock scheduler does not look at this value when it starts")
        with pytest.raises(RuntimeError, match=r"allowed-failures"):
            LocalCluster(n_workers=0, **SMALL)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"security": True}, "security"),
        ({"protocol": "tls://"}, "protocol"),
        ({"host": "ws://127.0.0.1"}, "host"),
        ({"interface": "no-such-interface"}, "no-such-interface"),
        ({"blocked_handlers": ["feed"]}, "blocked_handlers"),
        ({"scheduler_kwargs": {"no_such": 1}}, "no_such"),
        ({"service_kwargs": {"other": {}}}, "service_kwargs"),
    ],
)
def test_what_the_scheduler_cannot_do_is_refused(arguments, named):
    with pytest.raises((NotImplementedError, RuntimeError), match=named):
        LocalCluster(n_workers=0, **SMALL, **arguments)


def test_a_scheduler_that_cannot_start_is_explained():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(RuntimeError, match=r"(?s)ended at its start.*in use"):
            LocalCluster(n_workers=0, scheduler_port=port, **SMALL)


def test_a_scheduler_that_is_not_there_is_explained(monkeypatch):
    monkeypatch.setenv("DASK_NATIVE_SCHEDULER", "/no/such/scheduler")
    with pytest.raises(RuntimeError, match="/no/such/scheduler"):
        LocalCluster(n_workers=0, **SMALL)


def test_a_scheduler_that_dies_is_reported_and_the_cluster_still_closes(caplog):
    with LocalCluster(n_workers=1, silence_logs=False, **SMALL) as cluster:
        caplog.set_level(logging.ERROR)
        logging.getLogger("distributed").addHandler(caplog.handler)
        try:
            os.kill(cluster.scheduler.process.pid, signal.SIGKILL)
            wait_until(lambda: "SIGKILL" in caplog.text, "the report")
        finally:
            logging.getLogger("distributed").removeHandler(caplog.handler)
        assert "ended unexpectedly" in caplog.text


def test_the_scheduler_ends_with_its_program(tmp_path):
    """Also when the program is killed and cannot say so; Ctrl-C in the program's terminal, on the other hand, does not reach it."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM_THAT_WAITS)
    process = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=child_environment())
    scheduler_pid = int(process.stdout.readline())
    assert os.getsid(scheduler_pid) == scheduler_pid
    process.kill()
    process.wait()
    wait_until(lambda: not is_running(scheduler_pid), "the scheduler's end", timeout_s=10)


PROGRAM_THAT_WAITS = """
import time
from dask_native import LocalCluster

if __name__ == "__main__":
    cluster = LocalCluster(n_workers=0, dashboard_address=":0")
    print(cluster.scheduler.process.pid, flush=True)
    time.sleep(60)
"""


def is_running(pid):
    """False for a process that has ended, also while nobody has asked for its exit code."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


# ---- with our workers ----


def test_our_workers_compute_scale_and_end():
    with LocalCluster(n_workers=1, worker="native", **SMALL) as cluster, Client(cluster) as client:
        assert client.submit(operator.add, 1, 2).result(timeout=30) == 3
        cluster.scale(2)
        client.wait_for_workers(2, timeout=30)
        cluster.scale(1)
        wait_until(lambda: len(client.scheduler_info()["workers"]) == 1, "the second worker's end")
        processes = [worker.process for worker in cluster.workers.values()]
    assert {process.poll() for process in processes} == {0}


def test_our_workers_take_dasks_keywords():
    options = {"resources": {"GPU": 2}, "memory_limit": "512MB", "worker": "native", "local_directory": None}
    with LocalCluster(n_workers=1, **SMALL, **options) as cluster, Client(cluster) as client:
        (worker,) = client.scheduler_info()["workers"].values()
        assert (worker["resources"], worker["memory_limit"], worker["nthreads"], worker["name"]) == ({"GPU": 2}, 512_000_000, 1, 0)


@pytest.mark.parametrize("arguments", [{"processes": False}, {"worker_class": distributed.Worker}, {"data": dict}])
def test_what_our_workers_cannot_do_is_refused(arguments):
    with pytest.raises((NotImplementedError, RuntimeError), match="worker"):
        LocalCluster(n_workers=1, worker="native", **SMALL, **arguments)


def test_a_wrong_choice_of_workers_is_named():
    with pytest.raises(ValueError, match="native"):
        LocalCluster(n_workers=0, worker="python", **SMALL)
