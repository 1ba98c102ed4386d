"""The DaskCluster that tests and measurements give to an operator."""


def dask_cluster(name, namespace=None, workers=2, image="dask-kubernetes:dev", probe=None, **spec):
    """One with a scheduler and some workers; `probe` is the scheduler's readinessProbe, `spec` what else is in its spec."""

    def container(role, *arguments, **more):
        return {"name": role, "image": image, "imagePullPolicy": "IfNotPresent", "args": [f"dask-{role}", *arguments], **more}

    ports = [("tcp-comm", 8786), ("http-dashboard", 8787)]
    scheduler = container("scheduler", ports=[{"name": n, "containerPort": p} for n, p in ports])
    if probe:
        scheduler["readinessProbe"] = probe
    service = {
        "type": "ClusterIP",
        "selector": {"dask.org/cluster-name": name, "dask.org/component": "scheduler"},
        "ports": [{"name": n, "port": p, "targetPort": n} for n, p in ports],
    }
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
        "spec": {
            "worker": {"replicas": workers, "spec": {"containers": [container("worker", "--name", "$(DASK_WORKER_NAME)")]}},
            "scheduler": {"spec": {"containers": [scheduler]}, "service": service},
            **spec,
        },
    }
