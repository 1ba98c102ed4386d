#!/usr/bin/env python3
# Measures a Dask operator that runs against a tier 2 or 3 cluster: creates DaskClusters, waits for their worker pods, watches the
# idle operator, deletes the clusters. Run the operator as the user `operator` (kubectl create clusterrolebinding operator
# --clusterrole=cluster-admin --user=operator) or in a pod: the flow schemas global-default and service-accounts then count its
# requests and nobody else's, because everything else here is an admin.
import argparse
import base64
import http.client
import json
import os
import pathlib
import re
import ssl
import subprocess
import threading
import time
import urllib.parse

from dask_objects import dask_cluster

parser = argparse.ArgumentParser()
parser.add_argument("kubeconfig")
parser.add_argument("--clusters", type=int, default=20)
parser.add_argument("--workers", type=int, default=5)
parser.add_argument("--idle-timeout-seconds", type=int, default=0, help="spec.idleTimeout of the clusters")
parser.add_argument("--autoscale", action="store_true", help="a DaskAutoscaler for each cluster")
parser.add_argument("--idle-seconds", type=int, default=60)
parser.add_argument("--image", default="dask-kubernetes:dev")
parser.add_argument("--pid", type=int, required=True, help="process id of the operator")
parser.add_argument("--timeout-seconds", type=int, default=300)
parser.add_argument("--json", type=pathlib.Path, help="file for the figures, by what they are, in the units that are printed")
args = parser.parse_args()

OPERATOR_REQUESTS = re.compile(r'apiserver_flowcontrol_dispatched_requests_total\{.*flow_schema="(global-default|service-accounts)"')
KUBECTL = ["kubectl", "--kubeconfig", args.kubeconfig, "--context", "admin"]
viewed = subprocess.run([*KUBECTL, "config", "view", "--raw", "--minify", "-o", "json"], capture_output=True, text=True)
if viewed.returncode != 0:
    parser.error(f"{args.kubeconfig}: {viewed.stderr.strip()}")
if not pathlib.Path(f"/proc/{args.pid}").exists():
    parser.error(f"--pid {args.pid}: there is no such process")
config = json.loads(viewed.stdout)
cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
server = urllib.parse.urlparse(cluster["server"])


def get(path):
    connection = http.client.HTTPSConnection(server.hostname, server.port, context=tls)
    connection.request("GET", path, headers={"Authorization": "Bearer " + user["token"]})
    response = connection.getresponse()
    assert response.status == 200, (path, response.status)
    return response


clusters = {}  # name -> when it was seen first
pods = {}  # name -> {"cluster": its cluster's name, milestone: when}
changed = threading.Condition()


def watch_clusters():
    for line in get("/apis/kubernetes.dask.org/v1/daskclusters?watch=1"):
        with changed:
            clusters.setdefault(json.loads(line)["object"]["metadata"]["name"], time.monotonic())


def watch_worker_pods():
    for line in get("/api/v1/pods?watch=1&labelSelector=dask.org/component%3Dworker"):
        event = json.loads(line)
        with changed:
            status, meta = event["object"]["status"], event["object"]["metadata"]
            milestones = pods.setdefault(meta["name"], {"cluster": meta["labels"]["dask.org/cluster-name"]})
            milestones.setdefault("created", time.monotonic())
            if any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", [])):
                milestones.setdefault("ready", time.monotonic())
            if event["type"] == "DELETED":
                milestones["deleted"] = time.monotonic()
            changed.notify()


def wait_for(milestone, begin):
    wanted = args.clusters * args.workers

    def seen():
        return sum(milestone in p for p in pods.values())

    with changed:
        assert changed.wait_for(lambda: seen() >= wanted, args.timeout_seconds), f"{seen()} of {wanted} worker pods {milestone}"
        return max(p[milestone] for p in pods.values()) - begin


def let_pass(seconds):
    threading.Event().wait(seconds)


def requests_total():
    totals = {"all": 0, "operator": 0}
    for line in get("/metrics").read().decode().splitlines():
        if line.startswith("apiserver_request_total{"):
            totals["all"] += float(line.split()[-1])
        elif OPERATOR_REQUESTS.match(line):
            totals["operator"] += float(line.split()[-1])
    return totals


def cpu_seconds():
    fields = pathlib.Path(f"/proc/{args.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib():
    return (
        next(int(line.split()[1]) for line in pathlib.Path(f"/proc/{args.pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
        / 1024
    )


def cluster_of(name):
    probe = {"httpGet": {"port": "http-dashboard", "path": "/health"}, "periodSeconds": 1, "timeoutSeconds": 300}
    return dask_cluster(name, None, args.workers, args.image, probe, idleTimeout=args.idle_timeout_seconds)


def autoscaler(name):
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskAutoscaler",
        "metadata": {"name": name},
        "spec": {"cluster": name, "minimum": args.workers, "maximum": args.workers},
    }


def create(objects):
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    subprocess.run([*KUBECTL, "create", "-f", "-"], input=manifest.encode(), check=True, stdout=subprocess.DEVNULL)


figures = {}


def report(what, value, unit):
    figures[what] = value
    print(f"{what:<42}{value:10.2f} {unit}", flush=True)


for watch in watch_clusters, watch_worker_pods:
    threading.Thread(target=watch, daemon=True).start()
names = [f"measured-{i}" for i in range(args.clusters)]
let_pass(1)
before, cpu, begin = requests_total(), cpu_seconds(), time.monotonic()
create([cluster_of(n) for n in names])
report("kubectl create returned after", time.monotonic() - begin, "s")
created = wait_for("created", begin)
report("first worker pod created after", min(p["created"] for p in pods.values()) - begin, "s")
report("all worker pods created after", created, "s")
# kubectl needs more than half a second to start and to ask what there is: a cluster's own wait begins when the API server has it.
report("longest wait of a cluster for its pods", max(p["created"] - clusters[p["cluster"]] for p in pods.values()), "s")
report("all worker pods ready after", wait_for("ready", begin), "s")
if args.autoscale:
    create([autoscaler(n) for n in names])
let_pass(10)
after = requests_total()
report("requests of the operator until then", after["operator"] - before["operator"], "")
report("CPU of the operator until then", cpu_seconds() - cpu, "s")
report("memory of the operator", memory_mib(), "MiB")

before, cpu = requests_total(), cpu_seconds()
let_pass(args.idle_seconds)
after = requests_total()
report("idle: requests of the operator", (after["operator"] - before["operator"]) / args.idle_seconds, "/s")
report("idle: requests of everybody", (after["all"] - before["all"]) / args.idle_seconds, "/s")
report("idle: CPU of the operator", 100 * (cpu_seconds() - cpu) / args.idle_seconds, "% of a core")

cpu, begin = cpu_seconds(), time.monotonic()
subprocess.run([*KUBECTL, "delete", "daskcluster", *names], check=True, stdout=subprocess.DEVNULL)
report("kubectl delete returned after", time.monotonic() - begin, "s")
report("all worker pods deleted after", wait_for("deleted", begin), "s")
report("CPU of the operator for the deletion", cpu_seconds() - cpu, "s")
report("memory of the operator at the end", memory_mib(), "MiB")
if args.json:
    args.json.write_text(json.dumps(figures))
