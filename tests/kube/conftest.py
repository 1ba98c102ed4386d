"""A real Kubernetes API for the tests of this folder, started once for all of them.

`control_plane` (tier 1) has objects, watches and owners, and pods stay Pending; in `fake_pods` (tier 2) pods become Ready and run nothing.
"""

import pytest
from operator_process import new_namespace
from rig import ROOT, Kubernetes


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory):
    with Kubernetes(tmp_path_factory.mktemp("kubernetes") / "tier1", tier=1) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def fake_pods(tmp_path_factory):
    with Kubernetes(tmp_path_factory.mktemp("kubernetes") / "tier2", tier=2) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def dask_kinds(control_plane):
    """Dask's resources, as the operator's manifests install them."""
    control_plane.kubectl("apply", "--server-side", "-f", ROOT / "manifests/crds")
    control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", ROOT / "manifests/crds")


@pytest.fixture(scope="session")
def monitoring_kinds(control_plane):
    """The Prometheus Operator's kinds by name alone: enough for the API server to take them."""
    kinds = {"servicemonitors": "ServiceMonitor", "podmonitors": "PodMonitor", "prometheusrules": "PrometheusRule"}
    for plural, kind in kinds.items():
        schema = {"type": "object", "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}
        names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": kind + "List"}
        versions = [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]
        control_plane.apply(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": f"{plural}.monitoring.coreos.com"},
                "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced", "names": names, "versions": versions},
            }
        )
        control_plane.kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/{plural}.monitoring.coreos.com")


@pytest.fixture(scope="module")
def kubernetes(control_plane, dask_kinds):
    """The control plane with Dask's resources, where the user `operator` may do everything while this module's tests run: what it needs
    at least is a matter of the manifests' tests.
    """
    control_plane.kubectl("create", "clusterrolebinding", "operator", "--clusterrole=cluster-admin", "--user=operator")
    yield control_plane
    control_plane.kubectl("delete", "clusterrolebinding", "operator")


@pytest.fixture
def namespace(kubernetes):
    name = new_namespace(kubernetes)
    yield name
    kubernetes.kubectl("delete", "namespace", name, "--wait=false")
