"""The operator, both charts and our images on real pods: one node of tier 3, as `make test-kube` prepares it.

Slow, and in need of root: everything that a fake pod can show is tested elsewhere.
"""

import contextlib
import json
import math
import os
import subprocess
import uuid

import pytest
import yaml
from distributed import Client
from pods import EXAMPLE, port_forward, wait_until
from rig import FOLDER, ROOT, Kubernetes, cache, helm

WORKERS = "dask.org/component=worker,dask.org/cluster-name="
READY_S = 55
SESSION_S = 240
RESULTS = 300
SCALE_DOWNS = 20

pytestmark = [
    pytest.mark.skipif("DASK_NATIVE_REAL_PODS" not in os.environ, reason="make test-kube runs the tests with real pods"),
    pytest.mark.timeout(300),
]


def run_helm(cluster, *arguments, values=None):
    command = [helm(), "--kubeconfig", cluster.kubeconfig, *map(str, arguments), *(["--values", "-"] if values is not None else [])]
    done = subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def node():
    """A cluster with one real node that has our images."""
    state = cache() / "test"
    subprocess.run([FOLDER / "down.sh", "--delete", state], check=True)
    with Kubernetes(state, tier=3) as cluster:
        subprocess.run([FOLDER / "images.sh", "load", state], check=True)
        yield cluster


@pytest.fixture(scope="module")
def operator(node):
    """The operator's chart on that node, for all namespaces."""
    run_helm(
        node,
        "install",
        "dask-operator",
        ROOT / "charts/dask-kubernetes-operator",
        "--namespace",
        "dask-operator",
        "--create-namespace",
        "--wait",
    )
    yield node
    run_helm(node, "uninstall", "dask-operator", "--namespace", "dask-operator", "--wait")


def example(name, replicas=2):
    """examples/cluster.yaml under another name."""
    text = EXAMPLE.read_text().replace("flights", name)
    manifest = yaml.safe_load(text)
    manifest["spec"]["worker"]["replicas"] = replicas
    return manifest


@contextlib.contextmanager
def dask_cluster(node, manifest):
    """The cluster of a manifest, Ready, and a client of it; gone afterwards."""
    name, namespace = manifest["metadata"]["name"], manifest["metadata"].get("namespace", "default")
    node.apply(manifest)
    try:
        node.kubectl("wait", "--for=condition=Ready", f"daskcluster/{name}", "--namespace", namespace, f"--timeout={READY_S}s")
        with port_forward(node, f"{name}-scheduler", namespace) as address, Client(address) as client:
            client.wait_for_workers(manifest["spec"]["worker"]["replicas"], timeout=READY_S)
            yield client
    finally:
        node.kubectl("delete", "daskcluster", name, "--namespace", namespace)
        wait_until(lambda: not node.get("pods", "--namespace", namespace, "--selector", f"dask.org/cluster-name={name}"), "its pods gone")


def test_an_operator_of_one_namespace_leaves_the_others_alone(node):
    """The first test, for the others share an operator of all namespaces."""
    values = {"rbac": {"cluster": False}, "leaderElection": {"enabled": True}}
    chart = ROOT / "charts/dask-kubernetes-operator"
    run_helm(node, "install", "small", chart, "--namespace", "small", "--create-namespace", "--wait", values=values)
    try:
        elsewhere, here = example("elsewhere", replicas=1), example("here", replicas=1)
        here["metadata"]["namespace"] = "small"
        elsewhere["metadata"]["namespace"] = "other"
        node.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
        node.apply(elsewhere)
        with dask_cluster(node, here) as client:
            assert client.submit(sum, [1, 2]).result(timeout=30) == 3
        assert not node.get("deployments", "--namespace", "other")
        log = node.kubectl("logs", "--namespace", "small", "--selector", "app.kubernetes.io/instance=small", "--tail=-1")
        assert "forbidden" not in log.lower()
    finally:
        run_helm(node, "uninstall", "small", "--namespace", "small", "--wait")
        node.kubectl("delete", "namespace", "other")


def test_the_operators_image_holds_no_python_and_runs_as_nobody_in_particular(operator):
    (pod,) = operator.get("pods", "--namespace", "dask-operator")
    inside = ("exec", "--namespace", "dask-operator", pod["metadata"]["name"], "--", "sh", "-c")
    assert operator.kubectl(*inside, "id -u").strip() == "1000"
    assert operator.run(*inside, "command -v python3 python perl5").returncode != 0
    assert "Read-only file system" in operator.run(*inside, "touch /x /tmp/x").stderr
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_tasks_run_on_pods_and_a_worker_that_is_killed_is_replaced(operator):
    with dask_cluster(operator, example("killed")) as client:
        before = set(client.scheduler_info()["workers"])
        assert client.submit(math.factorial, 20).result(timeout=30) == math.factorial(20)
        victim = operator.get("pods", "--selector", WORKERS + "killed")[0]["metadata"]["name"]
        operator.kubectl("delete", "pod", victim, "--grace-period=0", "--force")
        wait_until(lambda: set(client.scheduler_info()["workers"]) - before, "another worker")
        client.wait_for_workers(2, timeout=READY_S)
        assert client.gather(client.map(math.factorial, range(50)), errors="raise") == [math.factorial(n) for n in range(50)]


def test_an_image_that_is_nowhere_is_named_in_the_status(operator):
    manifest = example("imageless", replicas=1)
    manifest["spec"]["worker"]["spec"]["containers"][0]["image"] = "dask-native/nowhere:0"
    operator.apply(manifest)

    def degraded():
        conditions = operator.get("daskcluster", "imageless").get("status", {}).get("conditions", [])
        return [c for c in conditions if c["type"] == "Degraded" and c["status"] == "True"]

    (condition,) = wait_until(degraded, "Degraded")
    assert condition["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert "dask-native/nowhere:0" in condition["message"]
    operator.kubectl("delete", "daskcluster", "imageless")


@pytest.mark.timeout(900)
def test_twenty_times_fewer_workers_and_no_result_is_lost_or_computed_again(operator):
    def tagged(number):
        """A result that says whether it was computed again: it would be another one."""
        return number, uuid.uuid4().hex

    with dask_cluster(operator, example("shrinking", replicas=3)) as client:
        results = client.map(tagged, range(RESULTS), pure=False)
        before = client.gather(results)
        for _ in range(SCALE_DOWNS):
            for replicas in (2, 3):
                operator.kubectl("scale", "daskcluster/shrinking", f"--replicas={replicas}")
                wait_until(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) == replicas, f"{replicas} workers")  # noqa: B023
            more = client.map(tagged, range(RESULTS // SCALE_DOWNS), pure=False)  # so that there is something on the new one, too
            before += client.gather(more)
            results += more
        assert client.gather(results) == before


def test_logs_and_labels_are_where_clients_look_for_them(operator):
    with dask_cluster(operator, example("logs", replicas=1)):
        (scheduler,) = operator.get("pods", "--selector", "dask.org/cluster-name=logs,dask.org/component=scheduler")
        assert scheduler["metadata"]["name"].startswith("logs-scheduler-")
        assert "Scheduler at" in operator.kubectl("logs", scheduler["metadata"]["name"])


def test_the_chart_of_a_static_cluster_computes(node):
    limits = {"limits": {"cpu": 1, "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "128Mi"}}
    values = {"worker": {"replicas": 2, "resources": limits}, "additional_worker_groups": [{"name": "more", "replicas": 1}]}
    run_helm(node, "install", "lab", ROOT / "charts/dask", "--namespace", "lab", "--create-namespace", "--wait", values=values)
    try:
        with port_forward(node, "lab-dask-scheduler", "lab") as address, Client(address) as client:
            client.wait_for_workers(3, timeout=READY_S)
            assert client.submit(sum, [1, 2]).result(timeout=30) == 3
            assert {worker["nthreads"] for worker in client.scheduler_info()["workers"].values()} == {1}
            assert {worker["memory_limit"] for worker in client.scheduler_info()["workers"].values()} == {2**30}
        run_helm(node, "uninstall", "lab", "--namespace", "lab", "--wait")

    finally:
        node.kubectl("delete", "namespace", "lab")


def test_the_unmodified_kube_cluster_creates_scales_adds_groups_reads_logs_and_closes(operator):
    environment = subprocess.run([FOLDER / "dask_kubernetes.sh"], capture_output=True, text=True, check=True).stdout.strip()
    image = yaml.safe_load(EXAMPLE.read_text())["spec"]["worker"]["spec"]["containers"][0]["image"]
    command = [f"{environment}/bin/python", FOLDER / "kube_cluster_session.py", "session", "default", image]
    done = subprocess.run(
        command, env=os.environ | {"KUBECONFIG": str(operator.kubeconfig)}, capture_output=True, text=True, timeout=SESSION_S
    )
    answers = {what: answer for line in done.stdout.splitlines() if line.startswith("{") for what, answer in json.loads(line).items()}
    assert answers == {
        "created": 1,
        "squares": sum(x * x for x in range(20)),
        "scaled up": 2,
        "group added": 3,
        "logs": ["scheduler", "worker"],
        "scaled down": 1,
        "results afterwards": sum(range(1, 21)),
        "found by name": sum(x * x for x in range(20)),
        "closed": True,
    }, done.stderr
    assert not operator.get("daskclusters,daskworkergroups,deployments,services", "--selector", "dask.org/cluster-name=session")
