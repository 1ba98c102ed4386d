"""Both charts, for values that people set: what helm makes of them, and what a real API server says to it."""

import json
import subprocess

import pytest
import yaml
from rig import ROOT, helm

OPERATOR = "dask-kubernetes-operator"
MONITORS = {"metrics": {"operator": {"serviceMonitor": {"enabled": True}}}}
MONITORS["metrics"]["scheduler"] = {"enabled": True, "serviceMonitor": {"enabled": True}}
MONITORS["metrics"]["worker"] = {"enabled": True, "podMonitor": {"enabled": True}}
MONITORS["metrics"]["prometheusRule"] = {"enabled": True}
MONITORS["metrics"]["dashboards"] = {"enabled": True}
VALUES = {
    (OPERATOR, "defaults"): {},
    (OPERATOR, "one namespace"): {"rbac": {"cluster": False}},
    (OPERATOR, "namespaces"): {"rbac": {"cluster": False}, "watchNamespaces": ["default", "kube-system"]},
    (OPERATOR, "flags of the Python operator"): {
        "kopfArgs": ["--all-namespaces", "--verbose"],
        "workerAllocation": {"size": 5, "delay": 2},
    },
    (OPERATOR, "highly available"): {
        "replicas": 3,
        "priorityClassName": "system-cluster-critical",
        "tolerations": [{"operator": "Exists"}],
    },
    (OPERATOR, "monitored"): MONITORS,
    ("dask", "defaults"): {},
    ("dask", "in detail"): {
        "scheduler": {"serviceType": "NodePort", "extraArgs": ["--idle-timeout", "1 hour"], "env": [{"name": "A", "value": "b"}]},
        "webUI": {"ingress": {"enabled": True, "tls": True, "hostname": "dask.example.org"}},
        "worker": {
            "replicas": 2,
            "resources": {"limits": {"cpu": 2, "memory": "3G"}},
            "mounts": {"volumes": [{"name": "data", "emptyDir": {}}], "volumeMounts": [{"name": "data", "mountPath": "/data"}]},
        },
        "additional_worker_groups": [{"name": "high-mem", "replicas": 1, "resources": {"limits": {"memory": "32G"}}}],
    },
    ("dask", "workers only"): {"scheduler": {"enabled": False}, "worker": {"custom_scheduler_url": "tcp://elsewhere:8786"}},
    ("dask", "monitored"): {
        "scheduler": {"metrics": {"enabled": True, "serviceMonitor": {"enabled": True}}},
        "worker": {"metrics": {"enabled": True, "podMonitor": {"enabled": True}}},
    },
}
CASES = [pytest.param(chart, values, id=f"{chart}: {name}") for (chart, name), values in VALUES.items()]

# Values that are refused, and a word of the reason.
REFUSED = [
    (OPERATOR, {"imag": {}}, "imag"),
    (OPERATOR, {"replicas": "two"}, "replicas"),
    (OPERATOR, {"kopfArgs": ["--namespace", "a"]}, "write --namespace=NAME as one argument"),
    (OPERATOR, {"kopfArgs": ["--all-namespaces"], "rbac": {"cluster": False}}, "rbac.cluster is false"),
    (OPERATOR, {"replicas": 2, "leaderElection": {"enabled": False}}, "needs leaderElection.enabled"),
    ("dask", {"scheduler": {"replicas": 2}}, "replicas"),
    ("dask", {"jupyter": {"enabled": True}}, "jupyter"),
    ("dask", {"scheduler": {"enabled": False}}, "custom_scheduler_url"),
]


def run_helm(*arguments, values=None):
    """helm as a finished process; values go to its standard input."""
    command = [helm(), *map(str, arguments), *(["--values", "-"] if values is not None else [])]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, timeout=60)


def rendered(chart, values, namespace="default"):
    done = run_helm("template", "release", ROOT / "charts" / chart, "--namespace", namespace, "--include-crds", values=values)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(documents, kind):
    return [document for document in documents if document["kind"] == kind]


@pytest.mark.parametrize("chart,values", CASES)
def test_helm_finds_nothing_to_complain_about(chart, values):
    done = run_helm("lint", "--strict", ROOT / "charts" / chart, values=values)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("chart,values", CASES)
def test_the_api_server_takes_what_the_chart_makes(chart, values, control_plane, monitoring_kinds):
    control_plane.dry_run(rendered(chart, values))


@pytest.mark.parametrize("chart,values,reason", REFUSED)
def test_what_has_no_meaning_is_refused_in_words(chart, values, reason):
    done = run_helm("template", "release", ROOT / "charts" / chart, values=values)
    assert done.returncode != 0
    assert reason in done.stderr


def test_without_rbac_cluster_nothing_reaches_beyond_the_named_namespaces():
    documents = rendered(OPERATOR, {"rbac": {"cluster": False}, "watchNamespaces": ["a", "b"]}, namespace="ops")
    assert not of_kind(documents, "ClusterRole") + of_kind(documents, "ClusterRoleBinding")
    roles = {(role["metadata"].get("namespace"), role["metadata"]["name"]) for role in of_kind(documents, "Role")}
    name = "release-dask-kubernetes-operator"
    assert roles == {("a", name), ("b", name), (None, name + "-leader-election")}
    (deployment,) = of_kind(documents, "Deployment")
    arguments = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert {"--namespace=a", "--namespace=b"} <= set(arguments)


def test_the_manifests_grant_and_run_what_the_chart_does():
    chart = rendered(OPERATOR, {})
    manifests = [
        document for path in ("rbac", "operator") for document in yaml.safe_load_all((ROOT / f"manifests/{path}.yaml").read_text())
    ]
    own = [role for role in of_kind(chart, "ClusterRole") if "aggregate" not in json.dumps(role["metadata"])]
    assert own[0]["rules"] == of_kind(manifests, "ClusterRole")[0]["rules"]
    assert of_kind(chart, "Role")[0]["rules"] == of_kind(manifests, "Role")[0]["rules"]

    def pod(documents):
        spec = of_kind(documents, "Deployment")[0]["spec"]["template"]["spec"]
        spec["containers"][0]["image"] = spec["containers"][0]["image"].split(":")[0]
        return {key: value for key, value in spec.items() if key != "serviceAccountName"}

    ours, theirs = pod(manifests), pod(chart)
    ours["containers"][0]["args"].sort(), theirs["containers"][0]["args"].sort()
    assert ours == theirs
