# Children that somebody has edited or deleted become again what they were; changes to what is not ours stay.
given cluster demo replicas=1
given runs demo-scheduler demo-default/0
edit Deployment demo-scheduler {"spec": {"replicas": 3, "minReadySeconds": 5}}
expect apply Deployment demo-scheduler
expect field Deployment demo-scheduler spec.replicas = 1
expect field Deployment demo-scheduler spec.minReadySeconds = 5
plan
expect apply Deployment demo-scheduler
plan
expect no apply
edit Deployment demo-default/0 {"spec": {"replicas": 0}}
expect apply Deployment demo-default/0
expect field Deployment demo-default/0 spec.replicas = 1
plan
expect apply Deployment demo-default/0
plan
expect no apply
edit Deployment demo-default/0 {"spec": {"minReadySeconds": 5}}
expect apply Deployment demo-default/0
plan
expect apply Deployment demo-default/0
plan
expect no apply
edit Deployment demo-default/0 {"metadata": {"labels": {"dask.org/workergroup-name": "other"}}}
expect apply Deployment demo-default/0
plan
expect apply Deployment demo-default/0
plan
expect no apply
edit Service demo-scheduler {"spec": {"selector": {"dask.org/component": "web"}}}
expect apply Service demo-scheduler
expect field Service demo-scheduler spec.selector/dask.org/component = scheduler
plan
expect no apply
delete Deployment demo-scheduler
expect apply Deployment demo-scheduler
delete Service demo-scheduler
expect apply Service demo-scheduler
expect phase demo = Pending
plan
expect phase demo = Running
delete DaskWorkerGroup demo-default
expect create DaskWorkerGroup demo-default
