"""Dashboards and alerts: that they ring when they should, and ask for metrics that our programs have."""

import json
import re
import subprocess
import urllib.request

import pytest
import yaml
from dashboards import boards, metrics_of, queries
from dask_objects import dask_cluster
from distributed import Client
from operator_process import Operator, new_namespace
from rig import ROOT, promtool

import dask_native

ALERTS = ROOT / "monitoring/alerts.yaml"
# Those that there is no series of before something has happened: a drain, a cluster that was created, a request that was repeated.
ONLY_AFTER_SOMETHING = {
    "controller_runtime_reconcile_errors_total",
    "dask_operator_cluster_start_seconds_bucket",
    "dask_operator_drain_seconds_bucket",
}
# What Prometheus itself adds.
OF_PROMETHEUS = {"up"}


def names_in(text):
    """The names of the series in a metrics page, those of families without series as well."""
    return set(re.findall(r"^(?:# TYPE )?([a-z_][a-z0-9_]*)", text, re.MULTILINE))


def exposed(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
        return names_in(answer.read().decode())


@pytest.fixture(scope="module")
def engine_metrics():
    """What a scheduler and a worker of ours expose that have run a task."""
    with dask_native.LocalCluster(n_workers=1, worker="native", dashboard_address=":0") as cluster, Client(cluster) as client:
        assert client.submit(sum, [1, 2]).result(timeout=30) == 3
        (worker,) = client.scheduler_info()["workers"].values()
        dashboard = re.match(r"https?://([^/]+)", client.dashboard_link)[1]
        return exposed(dashboard) | exposed(f"{worker['host']}:{worker['services']['dashboard']}")


@pytest.fixture(scope="module")
def operator_metrics(kubernetes, tmp_path_factory):
    """What the operator exposes that has taken a cluster into its care."""
    namespace = new_namespace(kubernetes)
    with Operator(kubernetes, tmp_path_factory.mktemp("operator") / "log", "--namespace", namespace) as operator:
        kubernetes.apply(dask_cluster("watched", namespace))
        kubernetes.kubectl("wait", "--for=jsonpath={.status.phase}=Running", "daskcluster/watched", "-n", namespace, "--timeout=30s")
        return names_in(operator.get("/metrics")[1])


def wanted_of(prefix):
    """The metrics that dashboards and alerts read and whose names begin so."""
    expressions = [query for _, board in boards() for _, query in queries(board)]
    expressions += [rule["expr"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
    names = {name for expression in expressions for name in metrics_of(expression)} - OF_PROMETHEUS - ONLY_AFTER_SOMETHING
    return {name for name in names if name.startswith(prefix)}


ENGINE, OPERATORS = (
    ("dask_scheduler_", "dask_worker_", "dask_native_", "process_"),
    (
        "dask_operator_",
        "controller_runtime_",
        "workqueue_",
        "rest_client_",
        "leader_election_",
    ),
)


def test_every_metric_is_one_of_the_operators_or_of_the_engines():
    assert wanted_of("") == wanted_of(ENGINE) | wanted_of(OPERATORS)


def test_schedulers_and_workers_have_what_the_dashboards_and_alerts_read(engine_metrics):
    wanted = wanted_of(ENGINE)
    assert len(wanted) > 20
    assert wanted <= engine_metrics


def test_the_operator_has_what_the_dashboards_and_alerts_read(operator_metrics):
    wanted = wanted_of(OPERATORS)
    assert len(wanted) > 10
    assert wanted <= operator_metrics


def test_alerts_ring_when_they_should():
    done = subprocess.run([promtool(), "test", "rules", "alerts_test.yaml"], cwd=ALERTS.parent, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test():
    rules = {rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]}
    tests = yaml.safe_load(ALERTS.with_name("alerts_test.yaml").read_text())["tests"]
    assert {case["alertname"] for test in tests for case in test["alert_rule_test"] if case.get("exp_alerts")} == rules


@pytest.mark.parametrize("name,board", boards())
def test_panels_have_titles_descriptions_and_places_of_their_own(name, board):
    panels = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    places = [(at["x"] + x, at["y"] + y) for p in board["panels"] for at in [p["gridPos"]] for x in range(at["w"]) for y in range(at["h"])]
    assert len(places) == len(set(places)), "panels overlap"
    assert json.dumps(board).count("${datasource}") > 2 * len(panels), "a panel has a data source of its own"
