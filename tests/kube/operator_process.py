"""dask-operator as a process beside a cluster of the rig, and what tests ask of both.

It runs as the rig's user `operator`, is told of one namespace, and dials no scheduler unless a test has one: nothing answers at the
addresses of fake pods.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
import urllib.request
import uuid

import pytest
from rig import ROOT

PROGRAM = ROOT / "build/bin/dask-operator"
PATIENCE_S = 60
NO_SCHEDULER = "tcp://127.0.0.1:1"


class Operator:
    def __init__(self, kubernetes, log, *arguments, scheduler=NO_SCHEDULER, **environment):
        if not PROGRAM.exists():
            pytest.skip(f"{PROGRAM.name} is absent: make build")
        self._log = log
        command = [PROGRAM, "--kubeconfig", kubernetes.kubeconfig, "--context", "operator", "--health-address", "127.0.0.1:0"]
        command += ["--scheduler-address-template", scheduler, *arguments]
        with open(log, "ab") as output:
            self._begin = output.tell()
            self.process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output, env={**os.environ, **environment})

    def log(self):
        return self._log.read_bytes()[self._begin :].decode()

    def get(self, path):
        """The status and body that its port answers with."""
        port = eventually(lambda: re.search(r"/metrics at port (\d+)", self.log()), "the operator says its port")[1]
        with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
        return 500, ""

    def metric(self, name):
        """The sum of a metric's series."""
        lines = self.get("/metrics")[1].splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith((name + " ", name + "{")))

    def goes_on_for(self, seconds):
        """Waits for its end, which must not come within this time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            raise AssertionError(f"it ended with exit code {self.process.wait(timeout=seconds)}\n{self.log()}")

    def end(self, sent=signal.SIGTERM):
        """Its exit code after a signal."""
        if self.process.poll() is None:
            self.process.send_signal(sent)
        return self.process.wait(timeout=PATIENCE_S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end(signal.SIGKILL)


def eventually(look, what, patience_s=PATIENCE_S):
    """Looks until the answer is true; says what did not happen when it never is."""
    deadline = time.monotonic() + patience_s
    while True:
        if found := look():
            return found
        assert time.monotonic() < deadline, f"in {patience_s} s it did not happen that {what}"
        time.sleep(0.05)


def new_namespace(kubernetes):
    name = f"test-{uuid.uuid4().hex[:8]}"
    kubernetes.kubectl("create", "namespace", name)
    return name


def workers(kubernetes, namespace, cluster):
    """The names of a cluster's worker Deployments that are to stay."""
    found = kubernetes.get("deployment", "-n", namespace, "-l", f"dask.org/cluster-name={cluster},dask.org/component=worker")
    return {one["metadata"]["name"] for one in found if "deletionTimestamp" not in one["metadata"]}


def condition(kubernetes, namespace, name, kind):
    """A condition of a DaskCluster, or {}."""
    status = kubernetes.get("daskcluster", name, "-n", namespace).get("status", {})
    return next((one for one in status.get("conditions", []) if one["type"] == kind), {})


def pid_of(kubernetes, program):
    """The process of the rig's cluster that runs a program."""
    return int((kubernetes.state / "run" / f"{program}.pid").read_text().split()[0])


@contextlib.contextmanager
def stopped(pid):
    """Holds a process as a hanging machine would."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
