"""From `kubectl apply` to the tutorial's answer: a real Kubernetes on this machine, our images, our operator, an unmodified client.

One round installs the operator with helm, the next with `kubectl apply -k manifests`; each runs the flights query on the pods of
examples/cluster.yaml, scales them while results lie there, asks Prometheus what the dashboards ask, and deletes everything.
scripts/demo-kube prepares what this needs: the rig's programs, the images, the tutorial's data.
"""

import argparse
import contextlib
import math
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import uuid

import dask.dataframe as dd
import yaml
from dashboards import boards, queries
from dask.distributed import Client, wait
from pods import EXAMPLE, WAIT_S, Wrong, port_forward, wait_until
from prometheus import Prometheus
from rig import FOLDER, ROOT, Kubernetes, cache, helm

import flights_answers

CLUSTER = yaml.safe_load(EXAMPLE.read_text())["metadata"]["name"]
DATA = pathlib.Path("/var/lib/dask-data")  # examples/cluster.yaml mounts it into its pods
OPERATOR_NAMESPACE = "dask-operator"
RESULTS = 300
DASHBOARD_WAIT_S = 90


def say(text):
    print("\n".join(f"   {line}" for line in text.rstrip().splitlines()), flush=True)


@contextlib.contextmanager
def step(what):
    print(f"\n-- {what}", flush=True)
    began = time.perf_counter()
    yield
    print(f"   {time.perf_counter() - began:.1f} s", flush=True)


def tagged(number):
    """A result that says whether it was computed again: it would be another one."""
    return number, uuid.uuid4().hex


def install_with_helm(cluster):
    chart = ROOT / "charts/dask-kubernetes-operator"
    command = [helm(), "--kubeconfig", cluster.kubeconfig, "install", "dask-operator", chart, "--namespace", OPERATOR_NAMESPACE]
    done = subprocess.run([*command, "--create-namespace", "--wait", "--timeout", f"{WAIT_S}s"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Wrong(f"helm install: {done.stderr}\n{cluster.run('describe', 'pods', '--namespace', OPERATOR_NAMESPACE).stdout}")
    say(done.stdout)


def uninstall_with_helm(cluster):
    command = [helm(), "--kubeconfig", cluster.kubeconfig, "uninstall", "dask-operator", "--namespace", OPERATOR_NAMESPACE, "--wait"]
    say(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    say(cluster.kubectl("delete", "-f", ROOT / "manifests/crds"))  # helm leaves them, for they may hold people's clusters
    say(cluster.kubectl("delete", "namespace", OPERATOR_NAMESPACE))


def install_with_kubectl(cluster):
    say(cluster.kubectl("apply", "-k", ROOT / "manifests"))
    say(cluster.kubectl("rollout", "status", "deployment/dask-operator", "--namespace", OPERATOR_NAMESPACE, f"--timeout={WAIT_S // 2}s"))


def uninstall_with_kubectl(cluster):
    say(cluster.kubectl("delete", "-k", ROOT / "manifests"))


ROUNDS = {
    "helm install dask-operator charts/dask-kubernetes-operator": (install_with_helm, uninstall_with_helm),
    "kubectl apply -k manifests": (install_with_kubectl, uninstall_with_kubectl),
}


def start_cluster(cluster):
    say(cluster.kubectl("apply", "-f", EXAMPLE))
    cluster.kubectl("wait", "--for=condition=Ready", f"daskcluster/{CLUSTER}", "--timeout=55s")
    say(cluster.kubectl("get", "daskclusters,daskworkergroups,deployments,services,pods", "--selector", f"dask.org/cluster-name={CLUSTER}"))
    say(cluster.kubectl("get", "daskclusters"))


def ask_about_flights(client, answers):
    folder = DATA / "nycflights"
    columns = {"parse_dates": {"Date": [0, 1, 2]}, "dtype": {"TailNum": object, "CRSElapsedTime": float, "Cancelled": bool}}
    df = dd.read_csv(str(folder / "*.csv"), **columns)
    answer = df[~df.Cancelled].groupby("Origin").DepDelay.mean().max().compute()
    say(
        f"largest mean delay of an airport: {answer:.2f} minutes (pandas: {answers['largest_delay']:.2f}), over {answers['rows']:,} flights"
    )
    if not math.isclose(answer, answers["largest_delay"], rel_tol=1e-9):
        raise Wrong(f"pandas' answer is {answers['largest_delay']}")


def scale(cluster, client, replicas):
    say(cluster.kubectl("scale", f"daskcluster/{CLUSTER}", f"--replicas={replicas}"))
    wait_until(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) == replicas, f"{replicas} workers at the scheduler")
    selector = f"dask.org/cluster-name={CLUSTER},dask.org/component=worker"
    wait_until(lambda: len(cluster.get("pods", "--selector", selector)) == replicas, f"{replicas} worker pods")
    say(cluster.kubectl("get", "daskclusters"))


def scale_with_results(cluster, client):
    """2 -> 4 -> 2 workers: what lies on those that go must be there afterwards, and be the same."""
    results = client.map(tagged, range(RESULTS), pure=False)
    wait(results)
    before = client.gather(results)
    scale(cluster, client, 4)
    more = client.map(tagged, range(RESULTS, 2 * RESULTS), pure=False)
    wait(more)
    before += client.gather(more)
    holders = {worker for workers in client.who_has(results + more).values() for worker in workers}
    say(f"{2 * RESULTS} results on {len(holders)} workers")
    scale(cluster, client, 2)
    after = client.gather(results + more)
    again = sum(a != b for a, b in zip(before, after))
    say(f"{len(after)} results are still there, {again} of them were computed again")
    if again or len(after) != 2 * RESULTS:
        raise Wrong("results were lost on the way")


def look_at_dashboards(prometheus):
    """Every query of every dashboard must have data."""
    waiting = {(name, title, query) for name, board in boards() for title, query in queries(board)}
    total, deadline, pause = len(waiting), time.monotonic() + DASHBOARD_WAIT_S, threading.Event()
    while waiting and time.monotonic() < deadline:
        prometheus.look_around()
        waiting = {entry for entry in waiting if not prometheus.query(entry[2])}
        pause.wait(1)
    for series in sorted(prometheus.query("up"), key=lambda series: sorted(series["metric"].items())):
        metric, state = series["metric"], "up" if series["value"][1] == "1" else "DOWN"
        say(f"{metric['job']:14} {metric.get('dask_org_component', ''):10} {metric['pod']:45} {state}")
    say(f"{total - len(waiting)} of {total} queries of the dashboards have data")
    if waiting:
        raise Wrong("without data: " + "; ".join(f"{name}, {title}: {query}" for name, title, query in sorted(waiting)))


def delete_cluster(cluster):
    say(cluster.kubectl("delete", "-f", EXAMPLE))
    kinds = "daskclusters,daskworkergroups,deployments,replicasets,services,pods"
    selector = ("--selector", f"dask.org/cluster-name={CLUSTER}")
    wait_until(lambda: not cluster.get(kinds, *selector), "everything of the cluster gone")
    say(cluster.run("get", kinds, *selector).stderr)


def make_data():
    """The tutorial's files where the pods look for them; their answers by pandas."""
    source, target = ROOT / "data/nycflights", DATA / "nycflights"
    target.mkdir(parents=True, exist_ok=True)
    for path in source.glob("*.csv"):
        copied = target / path.name
        if not copied.exists() or copied.stat().st_size != path.stat().st_size:
            shutil.copyfile(path, copied)
    return flights_answers.load(source)


def one_round(cluster, prometheus, install, uninstall, what, answers):
    with step(what):
        install(cluster)
        say(cluster.kubectl("get", "pods", "--namespace", OPERATOR_NAMESPACE))
    with step(f"kubectl apply -f {EXAMPLE.relative_to(ROOT)}"):
        start_cluster(cluster)
    prometheus.look_around()
    with port_forward(cluster, f"{CLUSTER}-scheduler") as address:
        with step(f"Client('{address}'), by kubectl port-forward: the flights query"), Client(address) as client:
            ask_about_flights(client, answers)
        with step("kubectl scale 2 -> 4 -> 2, with results on the workers"), Client(address) as client:
            scale_with_results(cluster, client)
            with step("what Prometheus sees"):
                look_at_dashboards(prometheus)
    with step(f"kubectl delete -f {EXAMPLE.relative_to(ROOT)}"):
        delete_cluster(cluster)
    with step("the operator goes"):
        uninstall(cluster)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--state", type=pathlib.Path, default=cache() / "demo", help="folder of the cluster (default: %(default)s)")
    arguments = parser.parse_args()
    answers = make_data()
    subprocess.run([FOLDER / "down.sh", "--delete", arguments.state], check=True)
    print("\n-- Kubernetes comes up, and takes our images", flush=True)
    with Kubernetes(arguments.state, tier=3) as cluster:
        subprocess.run([FOLDER / "images.sh", "load", arguments.state], check=True)
        say(cluster.kubectl("get", "nodes"))
        with Prometheus(arguments.state / "prometheus", cluster) as prometheus:
            try:
                for what, (install, uninstall) in ROUNDS.items():
                    one_round(cluster, prometheus, install, uninstall, what, answers)
            except Wrong as wrong:
                say(cluster.run("get", "all,daskclusters,daskworkergroups,events", "--all-namespaces").stdout)
                say(
                    cluster.run(
                        "logs", "--namespace", OPERATOR_NAMESPACE, "--selector", "app.kubernetes.io/name=dask-kubernetes-operator"
                    ).stdout
                )
                sys.exit(f"\nWRONG: {wrong}")
    print("\nAll as it should be, twice.")


if __name__ == "__main__":
    main()
