"""What people do with KubeCluster of the package dask-kubernetes, unmodified, in order; one line of JSON for each answer.

Runs under that package's own interpreter (dask_kubernetes.sh); KUBECONFIG says where. Arguments: name, namespace, image.
"""

import asyncio
import json
import sys

from dask.distributed import Client, wait
from dask_kubernetes.operator import KubeCluster

WAIT_S = 60
CALLS = 20
POLL_INTERVAL_S = 0.2


def say(what, answer):
    print(json.dumps({what: answer}), flush=True)


def squares(client):
    return sum(client.gather(client.map(lambda x: x * x, range(CALLS), pure=False)))


async def until_there_are(client, count):
    """Waits until the scheduler has as many workers, no more and no fewer, and says how many."""
    async with asyncio.timeout(WAIT_S):
        while len(workers := (await client.scheduler.identity(n_workers=-1))["workers"]) != count:
            await asyncio.sleep(POLL_INTERVAL_S)
    return len(workers)


def workers_of(client, count):
    return client.sync(until_there_are, client, count)


def main(name, namespace, image):
    made = KubeCluster(name=name, namespace=namespace, image=image, n_workers=1, resource_timeout=WAIT_S, quiet=True)
    with made as cluster, Client(cluster) as client:
        say("created", workers_of(client, 1))
        say("squares", squares(client))
        cluster.scale(2)
        say("scaled up", workers_of(client, 2))
        cluster.add_worker_group("more", n_workers=1, image=image)
        say("group added", workers_of(client, 3))
        say("logs", sorted({"scheduler" if "-scheduler-" in pod else "worker" for pod, text in cluster.get_logs().items() if text}))
        results = client.map(lambda x: x + 1, range(CALLS), pure=False)
        wait(results)
        cluster.delete_worker_group("more")
        cluster.scale(1)
        say("scaled down", workers_of(client, 1))
        say("results afterwards", sum(client.gather(results)))
        with KubeCluster.from_name(name, namespace=namespace, quiet=True) as same, Client(same) as other:
            say("found by name", squares(other))
    say("closed", True)


main(*sys.argv[1:])
