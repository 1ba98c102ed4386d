# A cluster gets a scheduler, its Service and a default group, and then its workers. It is Running once it has an address. Its first status
# is written when all of that is there, so that it is not in the way of the pods.
cluster demo replicas=2
expect apply Deployment demo-scheduler
expect apply Service demo-scheduler
expect create DaskWorkerGroup demo-default
expect event Creating demo saying 2 workers
plan
expect apply Deployment demo-default/{0..1}
expect status DaskWorkerGroup demo-default
expect event ScalingUp demo-default
plan
expect status DaskCluster demo
expect status DaskWorkerGroup demo-default
expect phase demo = Running
expect condition DaskCluster demo SchedulerReady = False Starting
expect field DaskCluster demo status.schedulerAddress = tcp://demo-scheduler.ns.svc.cluster.local:8786
expect field DaskCluster demo status.workers.pending = 2
plan
expect nothing
runs demo-scheduler demo-default/{0..1}
expect status DaskCluster demo
expect status DaskWorkerGroup demo-default
expect event Ready demo
expect condition DaskCluster demo Ready = True Ready
expect field DaskWorkerGroup demo-default status.readyReplicas = 2
plan
expect nothing
