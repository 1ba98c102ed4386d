# A cluster that is deleted and made again at once does not adopt what the first one left: it waits until that is gone.
given cluster demo replicas=1
given runs demo-scheduler demo-default/0
delete DaskCluster demo
expect nothing
cluster demo replicas=1
expect delete Deployment demo-scheduler saying earlier cluster
expect delete Service demo-scheduler saying earlier cluster
expect delete DaskWorkerGroup demo-default saying earlier cluster
expect no apply
expect no create
expect again
plan
expect apply Deployment demo-scheduler
expect apply Service demo-scheduler
expect create DaskWorkerGroup demo-default
collect
expect apply Deployment demo-default/0
