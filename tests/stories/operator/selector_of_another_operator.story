# A scheduler's Deployment that is there already keeps its selector, which cannot be changed, and becomes one that never runs twice.
object Deployment demo-scheduler {"metadata": {"labels": {"dask.org/cluster-name": "demo"}}, "spec": {"selector": {"matchLabels": {"dask.org/cluster-name": "demo", "dask.org/component": "scheduler", "team": "a"}}, "template": {"metadata": {"labels": {"dask.org/cluster-name": "demo", "dask.org/component": "scheduler", "team": "a"}}, "spec": {"containers": [{"name": "s"}]}}}}
given cluster demo replicas=0
expect field Deployment demo-scheduler spec.selector.matchLabels.team = a
expect field Deployment demo-scheduler spec.strategy = {"type":"Recreate"}
expect field Deployment demo-scheduler metadata.ownerReferences.0.kind = DaskCluster
plan
expect nothing
