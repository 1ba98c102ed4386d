# workerWorkload: Pod runs workers without Deployments; a pod that has ended is replaced under another name.
given cluster demo replicas=2 {"spec": {"workerWorkload": "Pod"}}
expect workers demo-default = 0 1
expect field Pod demo-default/0 spec.containers.0.env.0.name = DASK_WORKER_NAME
given runs demo-scheduler demo-default/{0..1}
expect field DaskCluster demo status.readyReplicas = 2
ended demo-default/0
expect apply Pod demo-default/2
expect delete Pod demo-default/0
plan
expect no apply
expect no delete
expect field DaskWorkerGroup demo-default status.retiredOrdinals = 0
