# Deleting a cluster needs nobody: everything has an owner.
given cluster demo replicas=2
given group extra replicas=1
given runs demo-scheduler demo-default/{0..1} extra/0
delete DaskCluster demo
expect nothing
collect
expect nothing
expect workers demo-default = nothing
expect field DaskWorkerGroup extra spec.cluster = gone
expect field Service demo-scheduler spec.type = gone
