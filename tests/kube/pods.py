"""What the demo and the tests with real pods share: waiting for what a cluster does, and a way to a Service."""

import contextlib
import re
import subprocess
import threading
import time

from rig import ROOT

EXAMPLE = ROOT / "examples/cluster.yaml"
WAIT_S = 120
POLL_INTERVAL_S = 0.2


class Wrong(Exception):
    """Something is not as the demo promises."""


def wait_until(condition, what):
    """The first true value of `condition`."""
    deadline = time.monotonic() + WAIT_S
    pause = threading.Event()
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Wrong(f"after {WAIT_S} s not yet: {what}")
        pause.wait(POLL_INTERVAL_S)
    return value


@contextlib.contextmanager
def port_forward(cluster, service, namespace="default"):
    """kubectl port-forward to a Service's port 8786 while the block runs; its local address."""
    command = cluster.command("port-forward", "--namespace", namespace, f"service/{service}", ":8786")
    forward = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        first = forward.stdout.readline()
        port = re.search(r"127\.0\.0\.1:(\d+)", first)
        if not port:
            raise Wrong(f"kubectl port-forward said: {first!r}")
        yield f"tcp://127.0.0.1:{port[1]}"
    finally:
        forward.terminate()
        forward.wait()
