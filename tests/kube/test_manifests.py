"""What people apply without helm: manifests/, examples/ and monitoring/, as a real API server sees them."""

import json
import shutil
import subprocess
import types

import pytest
import yaml
from dask_objects import dask_cluster
from operator_process import Operator, new_namespace, workers
from rig import ROOT, program


def kustomized():
    kubectl = program("kubectl", "tests/kube/build.sh --tier 1")
    done = subprocess.run([kubectl, "kustomize", ROOT / "manifests"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def test_everything_of_the_manifests_is_in_one_namespace_and_in_one_version():
    documents = kustomized()
    (deployment,) = [document for document in documents if document["kind"] == "Deployment"]
    version = next(line for line in (ROOT / "CMakeLists.txt").read_text().splitlines() if line.startswith("project(")).split()[2]
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == f"dask-native/operator:{version}"
    places = {document["metadata"].get("namespace") for document in documents}
    assert places <= {None, "dask-operator"}


def test_the_api_server_takes_the_manifests(control_plane):
    control_plane.dry_run(kustomized())


def test_the_api_server_takes_the_example(control_plane, dask_kinds):
    control_plane.dry_run(list(yaml.safe_load_all((ROOT / "examples/cluster.yaml").read_text())))


def test_the_api_server_takes_the_monitors(control_plane, monitoring_kinds):
    control_plane.dry_run(list(yaml.safe_load_all((ROOT / "monitoring/monitors.yaml").read_text())))


def test_the_chart_and_the_manifests_install_the_same_kinds():
    chart, manifests = ROOT / "charts/dask-kubernetes-operator/crds", ROOT / "manifests/crds"
    assert sorted(path.name for path in chart.iterdir()) == sorted(path.name for path in manifests.iterdir())
    assert all(path.read_bytes() == (manifests / path.name).read_bytes() for path in chart.iterdir())


def test_a_chart_that_is_copied_holds_its_monitoring(tmp_path):
    copied = shutil.copytree(ROOT / "charts/dask-kubernetes-operator", tmp_path / "chart")
    assert (copied / "monitoring/alerts.yaml").read_text() == (ROOT / "monitoring/alerts.yaml").read_text()


@pytest.fixture
def granted(control_plane, dask_kinds, tmp_path):
    """A kubeconfig with no more rights than the manifests grant: those of their service account."""
    control_plane.kubectl("apply", "-f", ROOT / "manifests/namespace.yaml")
    control_plane.kubectl("apply", "-n", "dask-operator", "-f", ROOT / "manifests/rbac.yaml")
    token = control_plane.kubectl("create", "token", "dask-operator", "-n", "dask-operator").strip()
    config = json.loads(control_plane.kubectl("config", "view", "--raw", "-o", "json"))
    config["users"] = [{"name": "operator", "user": {"token": token}}]
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(config))
    yield types.SimpleNamespace(kubeconfig=path)
    control_plane.kubectl("delete", "-n", "dask-operator", "-f", ROOT / "manifests/rbac.yaml")


def test_the_operator_needs_no_more_rights_than_the_manifests_grant(granted, control_plane, tmp_path):
    namespace = new_namespace(control_plane)
    lease = ("--leader-elect", "--leader-election-namespace", "dask-operator")
    with Operator(granted, tmp_path / "log", *lease) as operator:
        for workload in ("Deployment", "Pod"):
            name = f"with-{workload.lower()}s"
            control_plane.apply(dask_cluster(name, namespace, workerWorkload=workload))
            control_plane.kubectl("wait", "--for=jsonpath={.status.phase}=Running", f"daskcluster/{name}", "-n", namespace, "--timeout=30s")
            control_plane.kubectl("wait", "--for=jsonpath={.status.replicas}=2", f"daskcluster/{name}", "-n", namespace, "--timeout=30s")
        assert len(workers(control_plane, namespace, "with-deployments")) == 2
        assert operator.get("/readyz") == (200, "ok")
        control_plane.kubectl("delete", "daskclusters", "--all", "-n", namespace)
        assert operator.end() == 0  # its last Events are written by then
    assert "forbidden" not in operator.log().lower()
    events = control_plane.get("events.events.k8s.io", "-n", namespace)
    assert any("dask" in event["reportingController"] for event in events)
