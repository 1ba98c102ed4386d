# What users set stays: their environment comes first, their labels beside ours, fields of later Kubernetes versions as they are.
cluster demo replicas=1 {"metadata": {"labels": {"team": "a"}, "annotations": {"note": "n", "kopf.zalando.org/x": "y"}}, "spec": {"scheduler": {"metadata": {"labels": {"tier": "s"}}, "spec": {"hostUsers": false}}, "worker": {"metadata": {"labels": {"team": "b"}, "annotations": {"w": "1"}}, "spec": {"containers": [{"name": "w", "resizePolicy": [{"resourceName": "cpu"}], "env": [{"name": "A", "value": "1"}, {"name": "DASK_WORKER_NAME", "value": "mine"}]}]}}}}
expect field Deployment demo-scheduler spec.strategy.type = Recreate
expect field Deployment demo-scheduler spec.template.spec.hostUsers = false
expect field Deployment demo-scheduler metadata.labels.team = a
expect field Deployment demo-scheduler spec.template.metadata.labels.tier = s
expect field Deployment demo-scheduler metadata.ownerReferences.0.kind = DaskCluster
expect field Deployment demo-scheduler metadata.annotations.note = n
expect field Deployment demo-scheduler metadata.annotations/kopf.zalando.org/x = absent
expect field Service demo-scheduler metadata.labels/dask.org/component = scheduler
plan
expect field Deployment demo-default/0 metadata.labels.team = b
expect field Deployment demo-default/0 spec.template.metadata.labels.team = b
expect field Deployment demo-default/0 metadata.annotations.w = 1
expect field Deployment demo-default/0 spec.template.spec.containers.0.env.0.name = A
expect field Deployment demo-default/0 spec.template.spec.containers.0.env.1.value = mine
expect field Deployment demo-default/0 spec.template.spec.containers.0.env.2.name = DASK_SCHEDULER_ADDRESS
expect field Deployment demo-default/0 spec.template.spec.containers.0.env.2.value = tcp://demo-scheduler.ns.svc.cluster.local:8786
expect field Deployment demo-default/0 spec.template.spec.containers.0.env.3 = absent
expect field Deployment demo-default/0 spec.template.spec.containers.0.resizePolicy.0.resourceName = cpu
expect field Deployment demo-default/0 metadata.ownerReferences.0.kind = DaskWorkerGroup
expect field Deployment demo-default/0 spec.template.metadata.labels/dask.org/workergroup-name = demo-default
