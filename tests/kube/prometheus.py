"""A real Prometheus that watches the pods of a cluster, with the scrape jobs of monitoring/prometheus.yaml.

Debian's has no discovery of Kubernetes: the targets come from files that `look_around` writes, with the labels that discovery would give,
so that the jobs' own rules decide what is scraped and under which labels.
"""

import json
import re
import socket
import subprocess
import urllib.parse
import urllib.request

import yaml
from rig import ROOT, program

SCRAPE_INTERVAL = "2s"
STOP_TIMEOUT_S = 20


class Prometheus:
    def __init__(self, folder, cluster):
        self._program = program("prometheus", "tests/kube/prometheus.sh")
        self._folder, self._cluster, self._selectors = folder, cluster, {}
        self._process = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"

    def __enter__(self):
        self._folder.mkdir(parents=True, exist_ok=True)
        config = yaml.safe_load((ROOT / "monitoring/prometheus.yaml").read_text())
        config["global"] = {"scrape_interval": SCRAPE_INTERVAL}
        config["rule_files"] = [str(ROOT / "monitoring" / name) for name in config["rule_files"]]
        for job in config["scrape_configs"]:
            (discovery,) = job.pop("kubernetes_sd_configs")
            targets = self._folder / f"{job['job_name']}.json"
            targets.write_text("[]")
            self._selectors[targets] = discovery["selectors"][0]["label"]
            job["file_sd_configs"] = [{"files": [str(targets)], "refresh_interval": SCRAPE_INTERVAL}]
        (self._folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        command = [self._program, "--config.file", "prometheus.yaml", "--storage.tsdb.path", "data", "--web.listen-address", self.address]
        with (self._folder / "prometheus.log").open("w") as log:
            self._process = subprocess.Popen(command, cwd=self._folder, stdout=log, stderr=log)
        return self

    def __exit__(self, *_):
        self._process.terminate()
        self._process.wait(STOP_TIMEOUT_S)

    def look_around(self):
        """Takes the pods that there are now as the targets."""
        for path, selector in self._selectors.items():
            groups = []
            for pod in self._cluster.get("pods", "--all-namespaces", "--selector", selector):
                address = pod["status"].get("podIP")
                ports = [port for container in pod["spec"]["containers"] for port in container.get("ports", ())]
                for port in ports if address else ():
                    groups.append({"targets": [f"{address}:{port['containerPort']}"], "labels": labels_of(pod, port)})
            path.with_suffix(".new").write_text(json.dumps(groups))
            path.with_suffix(".new").replace(path)

    def query(self, expression):
        """The series that answer a query: a list of {metric, value}."""
        url = f"http://{self.address}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]["result"]


def labels_of(pod, port):
    """What Kubernetes discovery says about a port of a pod."""
    meta = pod["metadata"]
    labels = {f"__meta_kubernetes_pod_label_{re.sub('[^a-zA-Z0-9_]', '_', name)}": value for name, value in meta.get("labels", {}).items()}
    return labels | {
        "__meta_kubernetes_namespace": meta["namespace"],
        "__meta_kubernetes_pod_name": meta["name"],
        "__meta_kubernetes_pod_phase": pod["status"]["phase"],
        "__meta_kubernetes_pod_container_port_name": port.get("name", ""),
    }
