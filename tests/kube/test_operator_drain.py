"""Workers leave with nothing lost: the operator on a real API server, our scheduler and Dask's workers as processes of this machine.

There are no kubelets. `Pods` does their part: a worker process for each worker's pod, under the name that the operator gave it, a status
for the pod, and the process's end when the Deployment is gone. Every task says in a file that it has run: what is lost would run twice.
"""

import json
import pathlib
import signal
import sys

import pytest
from dask_objects import dask_cluster
from operator_process import Operator, condition, eventually, stopped, workers
from rig import ROOT

sys.path.insert(0, str(ROOT / "tests/compat"))
from cluster import Cluster, Gate

NAME = "drained"
RETIRING = "kubernetes.dask.org/retiring"
RESULTS = 40


class Pods:
    """What kubelets would do for a cluster's workers, and what of their results is only theirs."""

    def __init__(self, kubernetes, namespace, dask):
        self._kubernetes, self._namespace, self._dask = kubernetes, namespace, dask
        self.running = set()

    def _pods(self, component, count):
        def found():
            pods = self._kubernetes.get("pod", "-n", self._namespace, "-l", f"dask.org/component={component}")
            return pods if len(pods) == count else None

        return eventually(found, f"there are {count} pods: {component}")

    def _show_as_running(self, pod, number):
        ready = [{"type": "Ready", "status": "True"}]
        name = pod["spec"]["containers"][0]["name"]
        started = {"name": name, "ready": True, "restartCount": 0, "image": "", "imageID": "", "state": {"running": {}}}
        status = {"phase": "Running", "podIP": f"198.18.77.{number}", "conditions": ready, "containerStatuses": [started]}
        patch = ["--subresource=status", "--type=merge", "-p", json.dumps({"status": status})]
        self._kubernetes.kubectl("patch", "pod", pod["metadata"]["name"], "-n", self._namespace, *patch)

    def start(self, count):
        """The scheduler runs, and starts the workers of this many Deployments, once all of their pods are there."""
        self._show_as_running(self._pods("scheduler", 1)[0], 254)
        for number, pod in enumerate(self._pods("worker", count)):
            self._show_as_running(pod, number + 1)
            name = next(one["value"] for one in pod["spec"]["containers"][0]["env"] if one["name"] == "DASK_WORKER_NAME")
            self._dask.start_worker(name)
            self.running.add(name)

    def gone(self):
        """The workers whose Deployments are gone, and whose processes still run."""
        return self.running - workers(self._kubernetes, self._namespace, NAME)

    def end(self, name):
        self._dask.workers[name].kill()
        self.running.remove(name)

    def retiring(self):
        found = self._kubernetes.get("deployment", "-n", self._namespace, "-l", "dask.org/component=worker")
        return {one["metadata"]["name"] for one in found if RETIRING in one["metadata"].get("annotations", {})}


class Work:
    """Tasks of a client whose results nobody else has."""

    def __init__(self, client, folder):
        self.client, self.folder = client, folder
        self.futures = {}

    def submit(self, key, wait=None, **where):
        ran = str(self.folder / f"ran-{key}")

        def task(key):
            if wait:
                wait()
            with open(ran, "a") as file:
                file.write("x")
            return key.encode() * 1000

        self.futures[key] = self.client.submit(task, key, key=key, pure=False, **where)
        return self.futures[key]

    def names(self):
        """The workers by address."""
        return {address: worker["name"] for address, worker in self.client.scheduler_info(n_workers=-1)["workers"].items()}

    def only_on(self, name):
        """The results that would go with this worker."""
        names = self.names()
        holders = self.client.who_has(list(self.futures.values()))
        return {key for key, found in holders.items() if {names.get(address) for address in found} <= {name}}

    def check(self):
        """Every result is there, and nothing ran twice."""
        assert self.client.gather(self.futures) == {key: key.encode() * 1000 for key in self.futures}
        runs = {key: pathlib.Path(self.folder / f"ran-{key}").read_text() for key in self.futures}
        assert runs == dict.fromkeys(self.futures, "x")


@pytest.fixture
def dask(tmp_path):
    cluster = Cluster(tmp_path, native=False)
    yield cluster
    cluster.end()


@pytest.fixture
def start_operator(kubernetes, namespace, tmp_path, dask):
    return lambda: Operator(kubernetes, tmp_path / "operator.log", "--namespace", namespace, scheduler=dask.address)


@pytest.fixture
def pods(kubernetes, namespace, dask):
    return Pods(kubernetes, namespace, dask)


@pytest.fixture
def work(dask, tmp_path):
    from distributed import Client

    with Client(dask.address) as client:
        yield Work(client, tmp_path)


def begin(kubernetes, namespace, pods, work, count):
    """A cluster with workers that share results of which each has its own. The operator has seen that it runs."""
    kubernetes.apply(dask_cluster(NAME, namespace, count))
    pods.start(count)
    eventually(lambda: condition(kubernetes, namespace, NAME, "Ready").get("status") == "True", "the cluster is ready")
    work.client.wait_for_workers(count, timeout=30)
    for number in range(RESULTS):
        work.submit(f"result-{number}", workers=sorted(pods.running)[number % count])
    work.client.gather(work.futures)
    assert all(work.only_on(name) for name in pods.running)


def scale(kubernetes, namespace, count):
    kubernetes.kubectl("scale", "daskworkergroup", f"{NAME}-default", "-n", namespace, f"--replicas={count}")


def see_off(pods, work, count):
    """Ends the processes of workers that are deleted, each once nothing is seen to be only there, until this many are left."""

    def left():
        for name in pods.gone():
            assert not work.only_on(name), f"{name} was deleted with results that only it has"
            pods.end(name)
        return len(pods.running) == count

    eventually(left, f"{count} workers are left")
    work.check()


def test_workers_hand_their_results_over_before_they_are_deleted(kubernetes, namespace, start_operator, pods, work):
    with start_operator() as operator:
        begin(kubernetes, namespace, pods, work, 4)
        scale(kubernetes, namespace, 2)
        see_off(pods, work, 2)
        scale(kubernetes, namespace, 1)
        see_off(pods, work, 1)
        assert operator.log().count(": drained") >= 3, operator.log()
    events = [event["retired"] for _, event in work.client.get_events("all") if event.get("action") == "retire-workers"]
    assert events, "the scheduler was never asked"


def test_a_worker_that_still_runs_a_task_waits_for_it_also_across_a_kill_of_the_operator(
    kubernetes, namespace, start_operator, pods, work, tmp_path
):
    gate = Gate(tmp_path)
    with start_operator() as operator:
        begin(kubernetes, namespace, pods, work, 3)
        for name in sorted(pods.running):
            work.submit(f"late-{name}", wait=gate.wait, workers=name, allow_other_workers=True)
        eventually(lambda: len(work.client.processing()) == 3 and all(work.client.processing().values()), "every worker runs a task")
        scale(kubernetes, namespace, 1)
        marked = eventually(lambda: len(pods.retiring()) == 2 and pods.retiring(), "two are marked")
        operator.end(signal.SIGKILL)
    assert not pods.gone()
    with start_operator() as operator:
        eventually(lambda: operator.get("/readyz")[0] == 200, "it is ready again")
        operator.goes_on_for(3)
        assert not pods.gone(), "a worker that runs a task was deleted"
        assert pods.retiring() == marked
        gate.open()
        see_off(pods, work, 1)
        assert not marked & pods.running


def test_the_operator_killed_again_and_again_loses_nothing(kubernetes, namespace, start_operator, pods, work):
    count = 5
    with start_operator():
        begin(kubernetes, namespace, pods, work, count)
    for delay_s in (0.05, 0.4, 0.9, 1.5):
        count -= 1
        scale(kubernetes, namespace, count)
        with start_operator() as operator:
            eventually(lambda: "Leading" in operator.log() or operator.get("/readyz")[0] == 200, "it has begun")
            operator.goes_on_for(delay_s)
            operator.end(signal.SIGKILL)
    with start_operator():
        see_off(pods, work, count)


def test_nobody_is_deleted_while_the_scheduler_does_not_answer(kubernetes, namespace, start_operator, pods, work, dask):
    with start_operator() as operator:
        begin(kubernetes, namespace, pods, work, 3)
        with stopped(dask.scheduler.pid):
            scale(kubernetes, namespace, 1)
            eventually(lambda: "does not answer" in operator.log(), "the operator finds that out")
            assert not pods.gone()
            assert not pods.retiring()
        see_off(pods, work, 1)
