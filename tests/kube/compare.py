#!/usr/bin/env python3
"""Our operator and the Python one under the same load, each on a fresh cluster of tier 2, in turns; prints medians and ratios.

What is measured is measure.py's. Needs `build.sh --tier 2`, `dask_kubernetes.sh` (fetches the Python operator) and `make build`.
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from rig import FOLDER, ROOT, Kubernetes, cache

START_S = 60
POLL_INTERVAL_S = 0.05
NO_SCHEDULER = "tcp://127.0.0.1:1"  # the addresses of fake pods lead out of the machine
SHOWN = {
    "kubectl create returned after": "s",
    "first worker pod created after": "s",
    "all worker pods created after": "s",
    "longest wait of a cluster for its pods": "s",
    "all worker pods ready after": "s",
    "requests of the operator until then": "",
    "CPU of the operator until then": "s",
    "memory of the operator": "MiB",
    "idle: requests of the operator": "/s",
    "idle: CPU of the operator": "%",
    "all worker pods deleted after": "s",
    "memory of the operator at the end": "MiB",
}


def ours(cluster):
    health = ["--health-address", "127.0.0.1:18080"]
    command = [ROOT / "build/bin/dask-operator", "--kubeconfig", cluster.kubeconfig, "--context", "operator", *health]
    return [*command, "--scheduler-address-template", NO_SCHEDULER], {}, "http://127.0.0.1:18080/readyz"


def python(cluster):
    environment = subprocess.run([FOLDER / "dask_kubernetes.sh"], capture_output=True, text=True, check=True).stdout.strip()
    kubeconfig = cluster.state / "operator.kubeconfig"
    kubeconfig.write_text(cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", context="operator"))
    live = "http://127.0.0.1:18081/healthz"
    command = [f"{environment}/bin/kopf", "run", "--all-namespaces", "--liveness", live, "-m", "dask_kubernetes.operator.controller"]
    return command, {"KUBECONFIG": str(kubeconfig)}, live


OPERATORS = {"ours": ours, "python": python}


def wait_for_answer(url, process):
    deadline, pause = time.monotonic() + START_S, threading.Event()
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args[0]} does not answer at {url}")
        pause.wait(POLL_INTERVAL_S)


def measured(operator, clusters, workers, idle_seconds):
    """measure.py's figures of one operator on a cluster of its own."""
    with tempfile.TemporaryDirectory() as folder, Kubernetes(pathlib.Path(folder) / "state", tier=2) as cluster:
        cluster.kubectl("create", "clusterrolebinding", "operator", "--clusterrole=cluster-admin", "--user=operator")
        cluster.kubectl("apply", "--server-side", "-f", ROOT / "manifests/crds")
        cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", ROOT / "manifests/crds")
        command, environment, answers_at = OPERATORS[operator](cluster)
        with open(pathlib.Path(folder) / "operator.log", "wb") as log:
            process = subprocess.Popen(list(map(str, command)), env=os.environ | environment, stdout=log, stderr=log)
        try:
            wait_for_answer(answers_at, process)
            figures = pathlib.Path(folder) / "figures.json"
            command = [sys.executable, FOLDER / "measure.py", cluster.kubeconfig, "--clusters", clusters, "--workers", workers]
            command += ["--idle-seconds", idle_seconds, "--pid", process.pid, "--json", figures]
            path = f"{cache() / 'bin'}:{os.environ['PATH']}"
            subprocess.run(list(map(str, command)), env=os.environ | {"PATH": path}, check=True, stdout=subprocess.DEVNULL)
            return json.loads(figures.read_text())
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=START_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def show(size, runs):
    print(f"\n{size}: {' and '.join(f'{len(found)} of {name}' for name, found in runs.items())}, medians (lowest to highest)")
    print(f"{'':38}" + "".join(f"{name:>26}" for name in runs) + f"{'ratio':>8}")
    for what, unit in SHOWN.items():
        medians, texts = [], []
        for found in runs.values():
            values = [one[what] for one in found]
            medians.append(statistics.median(values))
            texts.append(f"{medians[-1]:.2f} ({min(values):.2f}-{max(values):.2f}) {unit:>3}")
        ratio = f"{medians[0] / medians[1]:.2f}" if len(medians) == 2 and medians[1] else ""
        print(f"{what:38}" + "".join(f"{text:>26}" for text in texts) + f"{ratio:>8}", flush=True)


def size_of(text):
    """Clusters and workers of `20x5`."""
    clusters, _, workers = text.partition("x")
    if not (clusters.isdigit() and workers.isdigit() and int(clusters) and int(workers)):
        raise argparse.ArgumentTypeError(f"{text!r} is no size: give clusters x workers, such as 20x5")
    return int(clusters), int(workers)


def operator_of(text):
    if text not in OPERATORS:
        raise argparse.ArgumentTypeError(f"no operator is called {text!r}; there are {', '.join(OPERATORS)}")
    return text


def each(convert):
    """The type of an argument that is a list with commas."""
    return lambda text: [convert(one) for one in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=each(size_of), default="1x3,20x5,100x2", help="clusters x workers (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each operator (default: %(default)s)")
    parser.add_argument("--idle-seconds", type=int, default=30, help="how long the idle operator is watched (default: %(default)s)")
    parser.add_argument("--operators", type=each(operator_of), default="ours,python", help="which, in this order (default: %(default)s)")
    arguments = parser.parse_args()
    names = arguments.operators
    for clusters, workers in arguments.sizes:
        runs = {name: [] for name in names}
        for _ in range(arguments.repeats):
            for name in names:
                runs[name].append(measured(name, clusters, workers, arguments.idle_seconds))
        show(f"{clusters}x{workers}", runs)


if __name__ == "__main__":
    try:
        main()
    except (RuntimeError, subprocess.CalledProcessError) as error:
        sys.exit(f"compare.py: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
