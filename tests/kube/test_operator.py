"""The operator on a real API server without kubelets: what `kubectl` does to a DaskCluster, and what must come of it."""

import base64
import json
import subprocess
import types

import pytest
from dask_objects import dask_cluster
from operator_process import Operator, condition, eventually, workers


@pytest.fixture
def operator(kubernetes, namespace, tmp_path):
    with Operator(kubernetes, tmp_path / "operator.log", "--namespace", namespace) as running:
        yield running
        assert running.process.poll() is None, running.log()


def phase(kubernetes, namespace, name):
    return kubernetes.get("daskcluster", name, "-n", namespace).get("status", {}).get("phase")


def create(kubernetes, namespace, name, count=2, **spec):
    kubernetes.apply(dask_cluster(name, namespace, count, **spec))
    eventually(lambda: len(workers(kubernetes, namespace, name)) == count, f"{name} has {count} workers")


def test_applying_a_cluster_makes_all_that_it_needs_and_says_so(kubernetes, namespace, operator):
    create(kubernetes, namespace, "simple", 3)
    cluster = kubernetes.get("daskcluster", "simple", "-n", namespace)
    scheduler = kubernetes.get("deployment", "simple-scheduler", "-n", namespace)
    assert scheduler["spec"]["strategy"]["type"] == "Recreate"
    assert scheduler["metadata"]["ownerReferences"][0]["uid"] == cluster["metadata"]["uid"]
    assert kubernetes.get("service", "simple-scheduler", "-n", namespace)["spec"]["ports"][0]["port"] == 8786
    assert kubernetes.get("daskworkergroup", "simple-default", "-n", namespace)["spec"]["worker"]["replicas"] == 3
    eventually(lambda: phase(kubernetes, namespace, "simple") == "Running", "the phase is Running")
    eventually(lambda: condition(kubernetes, namespace, "simple", "Ready").get("status") == "False", "it says that it is not ready")
    status = kubernetes.get("daskcluster", "simple", "-n", namespace)["status"]
    assert status["observedGeneration"] == cluster["metadata"]["generation"]
    assert status["schedulerAddress"].startswith("tcp://simple-scheduler.")


def test_it_is_quiet_once_everything_is_as_wanted(kubernetes, namespace, operator):
    create(kubernetes, namespace, "quiet")
    pods = ["pod", "-n", namespace, "-l", "dask.org/cluster-name=quiet"]
    eventually(lambda: len(kubernetes.get(*pods)) == 3, "all pods are there")
    eventually(lambda: kubernetes.get("daskcluster", "quiet", "-n", namespace).get("status", {}).get("replicas") == 2, "the status is")

    seen = []

    def settled():
        seen.append(operator.metric("rest_client_requests_total"))
        return len(seen) > 20 and len(set(seen[-20:])) == 1

    eventually(settled, "the operator stops to send requests")


def test_scaling_the_group_or_the_cluster_changes_the_workers(kubernetes, namespace, operator):
    create(kubernetes, namespace, "scaled")
    before = workers(kubernetes, namespace, "scaled")
    kubernetes.kubectl("scale", "daskworkergroup", "scaled-default", "-n", namespace, "--replicas=5")
    eventually(lambda: len(workers(kubernetes, namespace, "scaled")) == 5, "there are 5 workers")
    assert before <= workers(kubernetes, namespace, "scaled")
    kubernetes.kubectl("scale", "daskcluster", "scaled", "-n", namespace, "--replicas=1")
    eventually(lambda: len(workers(kubernetes, namespace, "scaled")) == 1, "there is 1 worker")
    kubernetes.kubectl("scale", "daskworkergroup", "scaled-default", "-n", namespace, "--replicas=2")
    eventually(lambda: len(workers(kubernetes, namespace, "scaled")) == 2, "the cluster's own number does not undo it")


def test_a_group_of_a_user_gets_workers_and_goes_with_the_cluster(kubernetes, namespace, operator):
    create(kubernetes, namespace, "grouped", 1)
    worker = dask_cluster("x", namespace)["spec"]["worker"] | {"replicas": 2}
    kubernetes.apply(
        {
            "apiVersion": "kubernetes.dask.org/v1",
            "kind": "DaskWorkerGroup",
            "metadata": {"name": "grouped-more", "namespace": namespace},
            "spec": {"cluster": "grouped", "worker": worker},
        }
    )
    eventually(lambda: len(workers(kubernetes, namespace, "grouped")) == 3, "both groups have their workers")
    kubernetes.kubectl("delete", "daskcluster", "grouped", "-n", namespace)
    eventually(lambda: not kubernetes.get("daskworkergroup,deployment,service", "-n", namespace), "everything is gone")


def test_children_that_are_deleted_or_changed_by_hand_become_what_they_were(kubernetes, namespace, operator):
    create(kubernetes, namespace, "mended")
    names = workers(kubernetes, namespace, "mended")
    scheduler = kubernetes.get("deployment", "mended-scheduler", "-n", namespace)["metadata"]["uid"]
    kubernetes.kubectl("delete", "service/mended-scheduler", "deployment/mended-scheduler", f"deployment/{min(names)}", "-n", namespace)
    kubernetes.kubectl("scale", "deployment", max(names), "-n", namespace, "--replicas=3")

    def mended():
        found = {one["metadata"]["name"]: one for one in kubernetes.get("deployment", "-n", namespace)}
        uid = found.get("mended-scheduler", {}).get("metadata", {}).get("uid")
        ones = [name for name in found if name != "mended-scheduler" and found[name]["spec"]["replicas"] == 1]
        return uid not in (None, scheduler) and len(ones) == 2 and kubernetes.get("service", "-n", namespace)

    eventually(mended, "scheduler, service and workers are back")


def test_a_cluster_that_is_deleted_and_made_again_at_once_is_a_new_one(kubernetes, namespace, operator):
    create(kubernetes, namespace, "again")
    old = {one["metadata"]["uid"] for one in kubernetes.get("deployment", "-n", namespace)}
    kubernetes.kubectl("delete", "daskcluster", "again", "-n", namespace, "--wait=false")
    kubernetes.apply(dask_cluster("again", namespace, 2))

    def new():
        found = kubernetes.get("deployment", "-n", namespace)
        return len(found) == 3 and not old & {one["metadata"]["uid"] for one in found}

    eventually(new, "all Deployments are new ones")
    eventually(lambda: phase(kubernetes, namespace, "again") == "Running", "it runs")


@pytest.mark.parametrize("name", ["a" * 54, "invalid.chars.in.name"])
def test_a_name_that_cannot_be_used_ends_in_an_error_that_names_it(kubernetes, namespace, operator, name):
    kubernetes.apply(dask_cluster(name, namespace))
    eventually(lambda: phase(kubernetes, namespace, name) == "Error", "the phase is Error")
    assert name in json.dumps(kubernetes.get("daskcluster", name, "-n", namespace)["status"]["conditions"])
    assert not kubernetes.get("deployment", "-n", namespace)


def test_what_the_api_server_refuses_is_a_condition_and_an_event_and_others_go_on(kubernetes, namespace, operator):
    wrong = dask_cluster("wrong", namespace)
    wrong["spec"]["worker"]["spec"]["containers"][0]["name"] = "Not A Name"
    kubernetes.apply(wrong)
    create(kubernetes, namespace, "right")
    eventually(lambda: condition(kubernetes, namespace, "wrong", "Degraded").get("reason") == "SpecInvalid", "the condition names it")
    assert "Not A Name" in condition(kubernetes, namespace, "wrong", "Degraded")["message"]
    about = ["events", "-n", namespace, "--field-selector", "involvedObject.name=wrong,type=Warning"]
    eventually(lambda: kubernetes.get(*about), "an Event tells it")
    wrong["spec"]["worker"]["spec"]["containers"][0]["name"] = "worker"
    kubernetes.apply(wrong)
    eventually(lambda: len(workers(kubernetes, namespace, "wrong")) == 2, "mending the spec is enough")
    eventually(lambda: condition(kubernetes, namespace, "wrong", "Degraded").get("status") == "False", "the condition goes")


def test_a_quota_that_is_too_small_is_named(kubernetes, namespace, operator):
    hard = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": namespace},
        "spec": {"hard": {"pods": "1"}},
    }
    kubernetes.apply(hard)
    kubernetes.apply(dask_cluster("poor", namespace, 3))
    eventually(lambda: condition(kubernetes, namespace, "poor", "Degraded").get("reason") == "QuotaExceeded", "the condition names it")


def test_jobs_and_autoscalers_say_that_nobody_handles_them_yet(kubernetes, namespace, operator):
    spec = {"cluster": "any", "minimum": 1, "maximum": 2}
    kind = {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskAutoscaler",
        "metadata": {"name": "any", "namespace": namespace},
        "spec": spec,
    }
    kubernetes.apply(kind)
    said = ["daskautoscaler", "any", "-n", namespace]
    eventually(lambda: "NotHandledYet" in json.dumps(kubernetes.get(*said).get("status", {})), "the condition says so")


def test_metrics_and_probes_have_the_names_that_boards_and_kubernetes_know(kubernetes, namespace, operator):
    create(kubernetes, namespace, "measured")
    eventually(lambda: operator.get("/readyz")[0] == 200, "it is ready")
    assert operator.get("/healthz") == (200, "ok")
    running = 'dask_operator_clusters{phase="Running"} 1'
    eventually(lambda: running in operator.get("/metrics")[1], "its metrics tell of the cluster")
    text = operator.get("/metrics")[1]
    for name in (
        'controller_runtime_reconcile_total{controller="daskcluster"',
        "controller_runtime_reconcile_time_seconds_bucket",
        "workqueue_depth{",
        "workqueue_queue_duration_seconds_bucket",
        "rest_client_requests_total{code=",
        'leader_election_master_status{name="dask-operator"} 1',
        'dask_operator_workers{state="desired"} 2',
        "process_resident_memory_bytes",
    ):
        assert name in text, name


def test_the_authority_of_the_kubeconfig_is_trusted_and_no_other(kubernetes, namespace, tmp_path):
    config = json.loads(kubernetes.kubectl("config", "view", "--raw", "--flatten", "-o", "json"))
    (authority,) = {entry["cluster"]["certificate-authority-data"] for entry in config["clusters"]}
    machines = tmp_path / "machines.pem"
    machines.write_bytes(base64.b64decode(authority))
    key, other = tmp_path / "key.pem", tmp_path / "other.pem"
    new = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other", "-keyout", key, "-out", other]
    subprocess.run(new, check=True, capture_output=True)
    for entry in config["clusters"]:
        entry["cluster"]["certificate-authority-data"] = base64.b64encode(other.read_bytes()).decode()
    strange = types.SimpleNamespace(kubeconfig=tmp_path / "kubeconfig")
    strange.kubeconfig.write_text(json.dumps(config))
    with Operator(strange, tmp_path / "operator.log", "--namespace", namespace, SSL_CERT_FILE=str(machines)) as operator:
        eventually(lambda: "signed by the authority that was given" in operator.log(), "it does not trust the API server")
        assert operator.get("/readyz")[0] == 500
