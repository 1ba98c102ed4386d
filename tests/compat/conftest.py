"""Fixtures: a cluster that a whole file of tests shares, clusters of a test's own, and stock clients.

After each test the scheduler must still be there: nothing that a client or worker does may end it.
"""

import pytest
from cluster import Cluster, Gate
from distributed import Client


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Our scheduler and two stock workers with one thread each, shared by the tests of a file."""
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), workers=2)
    yield cluster
    cluster.end()


@pytest.fixture
def client(cluster):
    """A client of the shared cluster, in which both workers are there."""
    with Client(cluster.address) as client:
        client.wait_for_workers(2, timeout=30)
        yield client
    assert cluster.scheduler.is_running, cluster.scheduler.log


@pytest.fixture
def gate(tmp_path):
    """Tasks that call gate.wait run until the test ends or opens it."""
    gate = Gate(tmp_path)
    yield gate
    gate.open()


@pytest.fixture
def make_cluster(tmp_path_factory):
    """Makes clusters of the test's own: make_cluster(workers=2, options=["--no-dashboard"])."""
    clusters = []

    def make(**arguments):
        clusters.append(Cluster(tmp_path_factory.mktemp("cluster"), **arguments))
        return clusters[-1]

    yield make
    for cluster in clusters:
        cluster.end()
