# A default group without our notes keeps the number that users gave it.
given cluster demo replicas=2
edit DaskWorkerGroup demo-default {"metadata": {"annotations": {"kubernetes.dask.org/propagated-replicas": null, "kubernetes.dask.org/propagated-spec": null}, "ownerReferences": null}, "spec": {"worker": {"replicas": 5}}}
expect patch DaskWorkerGroup demo-default saying ownerReferences
plan
expect patch DaskWorkerGroup demo-default saying propagated
expect field DaskWorkerGroup demo-default spec.worker.replicas = 5
plan
expect no patch
