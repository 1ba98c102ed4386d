# A group that comes before its cluster says what is missing, and works when the cluster is there.
group extra replicas=1 cluster=demo
expect condition DaskWorkerGroup extra Degraded = True ClusterNotFound
expect event ClusterNotFound extra
expect status DaskWorkerGroup extra
expect no apply
plan
expect nothing
cluster demo replicas=0
expect patch DaskWorkerGroup extra saying ownerReferences
expect apply Deployment demo-scheduler
expect apply Service demo-scheduler
expect create DaskWorkerGroup demo-default
expect status DaskWorkerGroup extra
expect event Creating demo
plan
expect apply Deployment extra/0
expect status DaskWorkerGroup extra
expect status DaskWorkerGroup demo-default
expect event ScalingUp extra
expect field DaskWorkerGroup extra metadata.labels/dask.org/cluster-name = absent
