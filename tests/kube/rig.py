"""The rig from Python: where its programs are, and clusters that up.sh starts and down.sh ends.

A test that needs a program which is not there is skipped, and the reason says how to get it.
"""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

FOLDER = pathlib.Path(__file__).parent
ROOT = FOLDER.parent.parent
UP_TIMEOUT_S = 240
KUBECTL_TIMEOUT_S = 60
TIER_PROGRAMS = {
    1: ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl"),
    2: ("kube-scheduler", "kwok"),
    3: ("kube-scheduler", "kubelet", "kube-proxy", "coredns", "pause"),
}


def cache():
    """The folder that build.sh fills."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache", "dask-native", "kube")


def program(name, how):
    """The path of a program of the cache or the PATH; skips the test where there is none."""
    built = cache() / "bin" / name
    found = str(built) if os.access(built, os.X_OK) else shutil.which(name)
    if not found:
        pytest.skip(f"{name} is absent: {how}")
    return found


def helm():
    return program("helm", "tests/kube/build.sh --with helm")


def promtool():
    return program("promtool", "tests/kube/prometheus.sh")


class Kubernetes:
    """A cluster of up.sh. `kubectl` runs as its administrator unless told otherwise."""

    def __init__(self, state, tier):
        for name in TIER_PROGRAMS[1] + TIER_PROGRAMS[tier]:
            if not (cache() / "bin" / name).exists():
                pytest.skip(f"{name} is absent: tests/kube/build.sh --tier {tier}")
        self._kubectl = cache() / "bin/kubectl"
        self.state, self.tier = state, tier
        self.kubeconfig = None

    def __enter__(self):
        command = [FOLDER / "up.sh", "--tier", str(self.tier), self.state]
        started = subprocess.run(command, capture_output=True, text=True, timeout=UP_TIMEOUT_S)
        if started.returncode != 0:
            raise RuntimeError(f"up.sh failed:\n{started.stderr}")
        self.kubeconfig = started.stdout.strip()
        return self

    def __exit__(self, *_):
        subprocess.run([FOLDER / "down.sh", "--delete", self.state], check=True, timeout=UP_TIMEOUT_S)

    def command(self, *arguments, context="admin"):
        """The command line of kubectl."""
        return [self._kubectl, "--kubeconfig", self.kubeconfig, "--context", context, *map(str, arguments)]

    def run(self, *arguments, stdin=None, context="admin"):
        """kubectl as a finished process, whatever came of it."""
        command = self.command(*arguments, context=context)
        return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=KUBECTL_TIMEOUT_S)

    def kubectl(self, *arguments, stdin=None, context="admin"):
        """What kubectl printed; an error of kubectl's is one of the test."""
        done = self.run(*arguments, stdin=stdin, context=context)
        assert done.returncode == 0, f"kubectl {' '.join(map(str, arguments))}: {done.stderr}"
        return done.stdout

    def get(self, *arguments):
        """An object, or the items of a list."""
        found = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found.get("items", found)

    def apply(self, manifest):
        """Applies a manifest (text, or an object)."""
        return self.kubectl("apply", "--server-side", "-f", "-", stdin=manifest if isinstance(manifest, str) else json.dumps(manifest))

    def dry_run(self, documents):
        """What server-side apply would do with objects, in namespaces made for the purpose. An error names each refused one."""
        for namespace in {document["metadata"].get("namespace", "default") for document in documents}:
            self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        listing = {"apiVersion": "v1", "kind": "List", "items": documents}
        self.kubectl("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-", stdin=json.dumps(listing))
