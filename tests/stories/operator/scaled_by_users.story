# What users scale stays: the cluster's replicas reach its default group only when they change.
given cluster demo replicas=2
scale demo-default 4
expect apply Deployment demo-default/{2..3}
expect no patch
given plan
expect no patch
expect field DaskWorkerGroup demo-default spec.worker.replicas = 4
edit DaskCluster demo {"spec": {"idleTimeout": 0, "worker": {"metadata": {"labels": {"a": "b"}}}}}
expect patch DaskWorkerGroup demo-default
expect field DaskWorkerGroup demo-default spec.worker.replicas = 4
expect field DaskWorkerGroup demo-default spec.worker.metadata.labels.a = b
scale cluster demo 3
expect patch DaskWorkerGroup demo-default
expect field DaskWorkerGroup demo-default spec.worker.replicas = 3
given plan
expect no patch
