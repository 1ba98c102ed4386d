# Conditions and events name the cause that the pods give.
given cluster demo replicas=2
trouble demo-scheduler ImagePullBackOff saying Back-off pulling image "nope"
expect condition DaskCluster demo SchedulerReady = False ImagePullBackOff
expect condition DaskCluster demo Degraded = True ImagePullBackOff
expect event ImagePullBackOff demo saying Back-off pulling image
expect phase demo = Running
plan
given runs demo-scheduler demo-default/0
trouble demo-default/1 Unschedulable saying 0/3 nodes are available: insufficient memory
expect condition DaskCluster demo SchedulerReady = True Ready
expect condition DaskCluster demo WorkersReady = False Unschedulable
expect condition DaskCluster demo Degraded = True Unschedulable
expect condition DaskWorkerGroup demo-default Degraded = True Unschedulable
expect event Unschedulable demo saying insufficient memory
expect event Unschedulable demo-default saying insufficient memory
runs demo-default/1
expect condition DaskCluster demo Ready = True Ready
expect condition DaskCluster demo Degraded = False AsExpected
expect event Ready demo
