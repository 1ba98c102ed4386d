"""What must not stop the operator: its own death at any moment, an API server that hangs or throttles, another operator."""

import random
import signal

import pytest
from dask_objects import dask_cluster
from operator_process import (
    PATIENCE_S,
    Operator,
    eventually,
    pid_of,
    stopped,
    workers,
)

KILLS = 20
HANG_S = 12  # longer than a leader may go without renewing its lease


def test_killed_at_twenty_moments_it_always_finishes(kubernetes, namespace, tmp_path):
    """Every round asks for something else: new clusters, more and fewer workers, an end. The operator dies somewhere within it."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    wanted = {}
    for number in range(KILLS):
        with Operator(kubernetes, tmp_path / "operator.log", "--namespace", namespace) as operator:
            name = f"c{number % 4}"
            if name in wanted and chance.random() < 0.3:
                kubernetes.kubectl("delete", "daskcluster", name, "-n", namespace, "--wait=false")
                del wanted[name]
            elif name in wanted:
                wanted[name] = chance.randrange(1, 6)
                kubernetes.kubectl("scale", "daskcluster", name, "-n", namespace, f"--replicas={wanted[name]}")
            else:
                wanted[name] = chance.randrange(1, 4)
                kubernetes.apply(dask_cluster(name, namespace, wanted[name]))
            operator.goes_on_for(chance.random() * 0.6)
            operator.end(signal.SIGKILL)
    with Operator(kubernetes, tmp_path / "operator.log", "--namespace", namespace) as operator:

        def finished():
            found = {f"c{i}": len(workers(kubernetes, namespace, f"c{i}")) for i in range(4)}
            schedulers = {
                one["metadata"]["name"]
                for one in kubernetes.get("deployment,service", "-n", namespace, "-l", "dask.org/component=scheduler")
            }
            return found == {f"c{i}": 0 for i in range(4)} | wanted and schedulers == {f"{name}-scheduler" for name in wanted}

        eventually(finished, f"all is as wanted: {wanted}")
        assert operator.end() == 0, operator.log()


def test_an_api_server_that_hangs_is_waited_for(kubernetes, namespace, tmp_path):
    with Operator(kubernetes, tmp_path / "operator.log", "--namespace", namespace) as operator:
        kubernetes.apply(dask_cluster("before", namespace, 2))
        eventually(lambda: len(workers(kubernetes, namespace, "before")) == 2, "there are workers")
        kubernetes.apply(dask_cluster("during", namespace, 4))
        with stopped(pid_of(kubernetes, "kube-apiserver")):
            operator.goes_on_for(HANG_S)
            assert operator.get("/healthz")[0] == 200
        eventually(lambda: len(workers(kubernetes, namespace, "during")) == 4, "it goes on", 3 * PATIENCE_S)


def test_one_of_two_operators_leads_and_the_other_takes_over(kubernetes, namespace, tmp_path):
    flags = ["--namespace", namespace, "--leader-elect", "--leader-election-namespace", namespace]

    def holder():
        found = kubernetes.get("lease", "-n", namespace)
        return found[0]["spec"].get("holderIdentity") if found else None

    def leading(operator):
        return operator.metric("leader_election_master_status") == 1

    with Operator(kubernetes, tmp_path / "a.log", *flags) as first:
        eventually(lambda: leading(first), "the first leads")
        before = holder()
        with Operator(kubernetes, tmp_path / "b.log", *flags) as second:
            eventually(lambda: second.get("/readyz")[0] == 200, "the second is warm")
            assert not leading(second)
            assert first.end() == 0, first.log()
            eventually(lambda: leading(second), "the second leads")
            assert holder() not in (None, "", before)
            kubernetes.apply(dask_cluster("taken-over", namespace, 2))
            eventually(lambda: len(workers(kubernetes, namespace, "taken-over")) == 2, "the second works")
            with Operator(kubernetes, tmp_path / "c.log", *flags) as third:
                eventually(lambda: third.get("/readyz")[0] == 200, "the third is warm")
                second.end(signal.SIGKILL)
                eventually(lambda: leading(third), "the third leads once the lease has run out")


def test_a_leader_that_cannot_renew_its_lease_ends(kubernetes, namespace, tmp_path):
    flags = ["--namespace", namespace, "--leader-elect", "--leader-election-namespace", namespace]
    with Operator(kubernetes, tmp_path / "operator.log", *flags) as operator:
        eventually(lambda: operator.metric("leader_election_master_status") == 1, "it leads")
        with stopped(pid_of(kubernetes, "kube-apiserver")):
            assert operator.process.wait(timeout=PATIENCE_S) == 1
        assert "Lost the leadership" in operator.log()


def test_a_resource_that_is_defined_later_is_found(kubernetes, namespace, tmp_path):
    """Right after a definition the API server answers 404 or 429 for a while."""
    with Operator(kubernetes, tmp_path / "operator.log", "--namespace", namespace) as operator:
        kubernetes.apply(dask_cluster("later", namespace, 1))
        eventually(lambda: len(workers(kubernetes, namespace, "later")) == 1, "there is a worker")
        assert operator.end(signal.SIGINT) == 0


def test_what_cannot_start_says_why(tmp_path):
    import subprocess

    from operator_process import PROGRAM

    if not PROGRAM.exists():
        pytest.skip(f"{PROGRAM.name} is absent: make build")

    def said(*arguments):
        done = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, env={"HOME": str(tmp_path)})
        return done.returncode, done.stderr

    code, text = said("--kubeconfig", tmp_path / "absent")
    assert (code, "absent" in text) == (1, True)
    code, text = said()
    assert (code, "no Kubernetes to talk to" in text) == (1, True)
    code, text = said("--namespace", "Wrong Name")
    assert (code, "Wrong Name" in text) == (2, True)
    code, text = said("--namespace", "a", "--all-namespaces")
    assert (code, "exclude each other" in text) == (2, True)
    assert said("--no-such-flag")[0] == 2
    (tmp_path / "config").write_text("apiVersion: v1\nkind: Config\n")
    code, text = said("--kubeconfig", tmp_path / "config")
    assert (code, "current-context" in text) == (1, True)
    code, text = said("--verbose", "--standalone", "-n", "b", "--kubeconfig", tmp_path / "config")
    assert (code, "mean nothing here: --verbose --standalone" in text) == (1, True)
