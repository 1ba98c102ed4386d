"""Whoever leaves, leaves silently: the output of whole programs is compared with nothing.

After client.shutdown() the tutorial's author saw "Failed to reconnect to scheduler" and a CancelledError in red: what must not come back.
"""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from cluster import IS_STOCK, child_environment, wait_until
from distributed import Client

PROGRAM_TIMEOUT_S = 60


def run(program, script):
    """Runs a Python program from the file `script` and returns what it printed; it must succeed and print nothing red."""
    script.write_text(textwrap.dedent(program))
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=PROGRAM_TIMEOUT_S, env=child_environment(), check=False
    )
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


def test_shutdown_of_a_local_cluster(tmp_path):
    program = """
        from dask.distributed import Client
        from dask_native import LocalCluster

        if __name__ == "__main__":
            client = Client(LocalCluster(dashboard_address=":0"))
            futures = client.map(abs, range(10))
            print(sum(client.gather(futures)))
            client.shutdown()
        """
    assert run(program, tmp_path / "program.py") == "45\n"


def test_the_end_of_a_program_that_never_closes_its_cluster(tmp_path):
    program = """
        from dask.distributed import Client
        from dask_native import LocalCluster

        if __name__ == "__main__":
            client = Client(LocalCluster(dashboard_address=":0"))
            print(client.submit(sum, [1, 2]).result())
        """
    assert run(program, tmp_path / "program.py") == "3\n"


def test_shutdown_of_a_remote_scheduler(make_cluster, tmp_path):
    cluster = make_cluster(workers=2)
    program = f"""
        from dask.distributed import Client
        client = Client({cluster.address!r})
        print(client.submit(sum, [1, 2]).result())
        client.shutdown()
        """
    assert run(program, tmp_path / "program.py") == "3\n"
    assert cluster.scheduler.wait() == 0
    for worker in cluster.workers.values():
        worker.wait()


def test_shutdown_while_a_second_client_is_attached(make_cluster, tmp_path):
    """The second client hears at once that the cluster is gone, in one clear error, and prints nothing red when it leaves."""
    cluster = make_cluster(workers=1)
    ready = tmp_path / "ready"
    program = f"""
        import pathlib, time
        from dask.distributed import Client
        client = Client({cluster.address!r})
        future = client.submit(sum, [1, 2])
        future.result()
        pathlib.Path({str(ready)!r}).touch()
        while client.status == "running":
            time.sleep(0.05)
        print("gone:", future.status)
        client.close()
        """
    second = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(),
    )
    try:
        wait_until(ready.exists, "the second client")
        with Client(cluster.address) as first:
            first.shutdown()
        output, errors = second.communicate(timeout=PROGRAM_TIMEOUT_S)
    finally:
        second.kill()
    assert output == "gone: cancelled\n"
    if not IS_STOCK:
        assert errors == ""


def test_a_client_that_closes_leaves_the_cluster_alone(make_cluster, tmp_path):
    cluster = make_cluster(workers=1)
    program = f"""
        from dask.distributed import Client
        with Client({cluster.address!r}) as client:
            print(client.submit(sum, [1, 2]).result())
        """
    assert run(program, tmp_path / "program.py") == "3\n"
    assert run(program, tmp_path / "program.py") == "3\n"
    assert cluster.scheduler.is_running


def test_a_signal_ends_the_scheduler(make_cluster):
    cluster = make_cluster(workers=1)
    with Client(cluster.address) as client:
        client.wait_for_workers(1, timeout=30)
    cluster.scheduler.terminate()
    assert cluster.scheduler.wait() == 0
    cluster.workers["a"].wait()


@pytest.mark.skipif(IS_STOCK, reason="the stock scheduler has no graph helper")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_whole_process_group_ends_it_without_an_error(make_cluster, sent):
    scheduler = make_cluster().scheduler
    wait_until(lambda: "Graph helper is ready" in scheduler.log, "the graph helper's start")
    os.killpg(scheduler.pid, sent)
    assert scheduler.wait() == 0
    assert " ERROR " not in scheduler.log
