"""Clients and workers whose packages differ from the cluster's are told so at once, in Dask's words."""

import os
import pathlib
import warnings

import distributed.client
import pytest
from cluster import Cluster, wait_until
from distributed import Client
from distributed.versions import VersionMismatchWarning, get_versions


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.end()


def helper_is_ready(cluster):
    """The scheduler knows its packages once its graph helper has told it; who asks before waits."""
    with Client(cluster.address) as client:
        assert client.sync(client.scheduler.versions)["packages"]["dask"]


def mismatch_of(cluster):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        Client(cluster.address).close()
    return [str(w.message) for w in caught if issubclass(w.category, VersionMismatchWarning)]


def other_package(folder, name, version):
    """A folder in which Python finds this version of a package first: only its description."""
    info = pathlib.Path(folder, f"{name}-{version}.dist-info")
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return os.pathsep.join([str(folder), str(pathlib.Path(__file__).parent)])


def test_equal_packages_are_no_reason_to_warn(cluster):
    worker = cluster.start_worker("a")
    helper_is_ready(cluster)
    with Client(cluster.address) as client:
        client.wait_for_workers(1, timeout=30)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            client.get_versions(check=True)
    assert mismatch_of(cluster) == []
    assert "Mismatched" not in worker.log


def test_a_client_with_another_version_is_warned(cluster, monkeypatch):
    helper_is_ready(cluster)
    mine = get_versions()
    mine["packages"]["dask"] = "0.0.1"
    monkeypatch.setattr(distributed.client.version_module, "get_versions", lambda **_: mine)
    (warning,) = mismatch_of(cluster)
    assert "Mismatched versions found" in warning
    assert "| dask    | 0.0.1  |" in warning
    assert "numpy" not in warning


@pytest.mark.parametrize("native", [False, True], ids=["stock worker", "our worker"])
def test_a_worker_with_another_version_is_warned_and_so_is_who_comes_later(cluster, tmp_path, native):
    helper_is_ready(cluster)
    path = other_package(tmp_path / "other", "toolz", "0.0.2")
    worker = cluster.start_worker("a", native=native, PYTHONPATH=path)
    wait_until(lambda: "Mismatched versions found" in worker.log, "the warning in the worker's log")
    assert "toolz" in worker.log and "0.0.2" in worker.log
    with warnings.catch_warnings(), Client(cluster.address) as client:
        warnings.simplefilter("ignore", VersionMismatchWarning)
        client.wait_for_workers(1, timeout=30)
        with pytest.warns(UserWarning, match=r"toolz .* 0\.0\.2"):
            client.get_versions(check=True)
    (warning,) = mismatch_of(cluster)
    assert "toolz" in warning and "0.0.2" in warning

    worker.terminate()
    worker.wait()
    with Client(cluster.address) as client:
        wait_until(lambda: not client.scheduler_info()["workers"], "the worker's departure")
    assert mismatch_of(cluster) == []
