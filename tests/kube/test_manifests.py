"""What people apply without helm: manifests/, examples/ and monitoring/, as a real API server sees them."""

import shutil
import subprocess

import yaml
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
